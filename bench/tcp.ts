/**
 * The broker over TCP, against a floor: `npm run bench:tcp`.
 *
 * A stranger's client, in a process of its own, publishes frames of JSON, pipelined, and counts answers; then subscribes on 1, 8
 * and 64 connections, and counts messages. The floor is the least that a server of this protocol can do: it finds
 * frames, checks nothing, keeps the bytes of payloads, and writes many frames at a time. What counts is the ratio of the
 * two in one run. Aims at 1 KB: publishes at 0.4 of the floor, since it has to prove that a payload is JSON; delivery at
 * 0.7 of it, to one and to eight. On a machine with other work, the CPU time of the server per frame says more than a rate.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { createServer, type Server } from "node:net"
import { fileURLToPath } from "node:url"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { BrokerServer, BrokerServerConfig } from "../src/layers/BrokerServer.ts"
import { BrokerConfig, layerEmbedded } from "../src/layers/broker/embedded.ts"
import { layerTcpServer } from "../src/layers/broker-server/tcp.ts"
import * as Journal from "../src/layers/journal/memory.ts"
import { layerMemory, MemoryLogConfig } from "../src/layers/offset-log/memory.ts"
import * as Rejects from "../src/layers/Rejects.ts"
import * as Scheduler from "../src/layers/Scheduler.ts"
import { machine, median, printAim, printTable } from "./Table.ts"
import { type ClientTask, type ClientTimes, runClient } from "./tcp/Client.ts"
import { serveFloor } from "./tcp/Floor.ts"

const sizes = [128, 1_024, 50 * 1_024] as const
const subscriberCounts = [1, 8, 64] as const
const rounds = Number(process.argv[2] ?? 5)
/** Of each round, so that it takes about a second. */
const publishesOf = (size: number): number => (size > 10_000 ? 6_000 : 150_000)
/** What a subscriber reads; all of them together a few times as much. */
const messagesOf = (size: number, subscribers: number): number =>
  Math.floor(publishesOf(size) / Math.max(1, subscribers / 4))

interface Served {
  readonly port: number
  readonly close: () => Promise<void>
}

const floor = async (): Promise<Served> => {
  const server: Server = createServer(serveFloor())
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    port: (server.address() as { port: number }).port,
    close: async () => {
      server.close()
    }
  }
}

const ours = async (): Promise<Served> => {
  const scope = Effect.runSync(Scope.make())
  const layer = layerTcpServer.pipe(
    Layer.provide([
      layerEmbedded.pipe(
        Layer.provide([
          layerMemory.pipe(Layer.provide(MemoryLogConfig.layer())),
          Journal.layerMemory,
          Rejects.layer,
          BrokerConfig.layer({ retentionBytes: 2 ** 31, whenFull: "drop_oldest" })
        ])
      ),
      Rejects.layer,
      BrokerServerConfig.layer({ port: 0 })
    ]),
    Layer.provideMerge(Scheduler.layer)
  )
  const built = await Effect.runPromise(Scope.extend(Layer.build(Layer.fresh(layer)), scope))
  return {
    port: Context.get(built, BrokerServer).address.port,
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

/** Frames per second, and the server's CPU time for one. */
interface Rate {
  readonly perSecond: number
  readonly cpuMicros: number
}

if (process.argv[2] === "client") {
  process.on("message", async (task: ClientTask) => process.send!(await runClient(task)))
} else {
  const client = fork(fileURLToPath(import.meta.url), ["client"])
  const run = async (task: ClientTask): Promise<Rate> => {
    const before = process.cpuUsage()
    client.send(task)
    const [{ perSecond, frames }] = (await once(client, "message")) as [ClientTimes]
    const { user, system } = process.cpuUsage(before)
    return { perSecond, cpuMicros: (user + system) / frames }
  }

  /** Published, and delivered to all subscribers together, by their number. */
  const measure = async (serve: () => Promise<Served>, size: number): Promise<ReadonlyArray<Rate>> => {
    const { port, close } = await serve()
    const rates = [await run({ type: "publish", port, size, count: publishesOf(size) })]
    for (const subscribers of subscriberCounts) {
      rates.push(await run({ type: "subscribe", port, subscribers, messages: messagesOf(size, subscribers) }))
    }
    await close()
    globalThis.gc?.()
    return rates
  }

  console.log(`frames per second over TCP, median of ${rounds} (${machine()}):`)
  const names = ["published", ...subscriberCounts.map((count) => `delivered to ${count}`)]
  const onlySize = process.argv[3] === undefined ? undefined : Number(process.argv[3])
  for (const size of sizes) {
    if (onlySize !== undefined && size !== onlySize) continue
    const floors: Array<ReadonlyArray<Rate>> = []
    const figures: Array<ReadonlyArray<Rate>> = []
    // In turns, so that a noisy machine is noisy to both; the first round warms up.
    for (let round = 0; round <= rounds; round++) {
      const least = await measure(floor, size)
      const measured = await measure(ours, size)
      if (round === 0) continue
      floors.push(least)
      figures.push(measured)
    }
    const ratio = (index: number, figure: keyof Rate): number =>
      median(figures.map((rates, round) => rates[index]![figure] / floors[round]![index]![figure]))
    const of = (measured: ReadonlyArray<ReadonlyArray<Rate>>, index: number, figure: keyof Rate): number =>
      median(measured.map((rates) => rates[index]![figure]))
    console.log(`payloads of ${size} bytes`)
    printTable(
      ["", "broker", "floor", "of the floor", "CPU µs", "floor's", "times the floor's"],
      names.map((name, index) => [
        name,
        of(figures, index, "perSecond").toFixed(0),
        of(floors, index, "perSecond").toFixed(0),
        ratio(index, "perSecond").toFixed(2),
        of(figures, index, "cpuMicros").toFixed(2),
        of(floors, index, "cpuMicros").toFixed(2),
        ratio(index, "cpuMicros").toFixed(2)
      ])
    )
    if (size !== 1_024) continue
    printAim("publishes of 1 KB, of the floor", ratio(0, "perSecond"), "at least", 0.4)
    printAim("delivery of 1 KB to one, of the floor", ratio(1, "perSecond"), "at least", 0.7)
    printAim("delivery of 1 KB to eight, of the floor", ratio(2, "perSecond"), "at least", 0.7)
  }
  client.disconnect()
}
