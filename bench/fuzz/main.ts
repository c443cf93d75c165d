/**
 * A million random and damaged frames against a server in this process: `npm run fuzz [-- frames [seed]]`.
 *
 * Nothing may be thrown that is not caught, memory may not grow once the log is full, and a good connection beside them is
 * served all the time. A seed that is printed makes the same frames again.
 */
import { Context, Effect, Layer } from "effect"
import { BrokerServer, BrokerServerConfig } from "../../src/layers/BrokerServer.ts"
import { BrokerConfig, layerEmbedded } from "../../src/layers/broker/embedded.ts"
import { layerTcpServer } from "../../src/layers/broker-server/tcp.ts"
import * as Journal from "../../src/layers/journal/memory.ts"
import { layerMemory, MemoryLogConfig } from "../../src/layers/offset-log/memory.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import { fuzz } from "./Fuzz.ts"

const frames = Number(process.argv[2] ?? 1_000_000)
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000)
/** What the log may hold; it is full long before the middle. */
const retentionBytes = 8 * 1024 * 1024
const growthBytesMax = 16 * 1024 * 1024

const layer = layerTcpServer.pipe(
  Layer.provide([
    layerEmbedded.pipe(
      Layer.provide([
        layerMemory.pipe(Layer.provide(MemoryLogConfig.layer({ segmentBytes: retentionBytes / 16 }))),
        Journal.layerMemory,
        Rejects.layer,
        BrokerConfig.layer({ retentionBytes, whenFull: "drop_oldest", redeliveryDelayMs: 10 })
      ])
    ),
    Rejects.layer,
    BrokerServerConfig.layer({ port: 0 })
  ])
)

const program = Effect.gen(function* () {
  const { address, figures } = Context.get(yield* Layer.build(layer), BrokerServer)
  const framesRead = () => Effect.runSync(figures).framesRead
  console.log(`${frames} frames, seed ${seed}`)
  const report = yield* Effect.promise(() => fuzz({ port: address.port, framesRead }, frames, seed))
  const { errors, framesRead: read } = yield* figures
  console.log({ framesRead: read, ...report, errors })
  const grown = report.heapBytesAtEnd - report.heapBytesHalfway
  if (grown > growthBytesMax) throw new Error(`the heap grew by ${grown} bytes in the second half`)
})

let uncaught = 0
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error) => {
    uncaught++
    console.error(`${event}:`, error)
  })
}
await program.pipe(Effect.scoped, Effect.provide(Scheduler.layer), Effect.runPromise)
if (uncaught > 0) process.exitCode = 1
