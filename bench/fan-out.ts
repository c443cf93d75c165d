/**
 * Publish to delivered, to 1, 4 and 16 subscribers in this process: `npm run bench:fan-out`.
 *
 * At full speed, each of a batch's messages delivered to every subscriber; by CPU time per delivered message, which holds
 * still on a busy machine. Then at a modest rate, one message at a time: how long from the call of `publish` until a
 * subscriber has the message. Beside it stands how long a callback takes that is due at once in an event loop with
 * nothing else in it, published at the same rate: what lies above that is the broker's.
 */
import { Effect, Fiber, Layer, type Scope } from "effect"
import { Broker, type Subscription } from "../src/layers/Broker.ts"
import { BrokerConfig, layerEmbedded } from "../src/layers/broker/embedded.ts"
import * as Journal from "../src/layers/journal/memory.ts"
import { layerMemory, MemoryLogConfig } from "../src/layers/offset-log/memory.ts"
import * as Rejects from "../src/layers/Rejects.ts"
import * as Scheduler from "../src/layers/Scheduler.ts"
import { SubscriberId } from "../src/protocol/Log.ts"
import { machine, median, printTable } from "./Table.ts"

const subscriberCounts = [1, 4, 16]
const payload = new Uint8Array(256)
const messages = Number(process.argv[2] ?? 100_000)
const batchSize = 100
const publishesInFlight = 8
const warmUpRounds = 1
const rounds = 3

const pacedMessages = 500
const paceMs = 2

const batch = Array<Uint8Array>(batchSize).fill(payload)

/** A fresh broker, whose log holds all of a round: nobody misses anything, however slow. */
const layerBroker = layerEmbedded.pipe(
  Layer.provide([
    layerMemory.pipe(Layer.provide(MemoryLogConfig.layer())),
    Journal.layerMemory,
    Rejects.layer,
    BrokerConfig.layer({ retentionBytes: messages * 1_024 })
  ])
)

/** Takes what is delivered until it is so many messages, and tells how many there are each time. */
const receive = (
  { deliveries }: Subscription,
  count: number,
  onReceived: (received: number) => void = () => {}
) =>
  Effect.gen(function* () {
    for (let received = 0; received < count; ) {
      for (const delivery of yield* deliveries) {
        if (delivery._tag === "Gap") throw new Error(`missed ${delivery.from} to ${delivery.to}`)
        received += delivery.payloads.length
        onReceived(received)
      }
    }
  })

/** Subscribes so many, each of which reads in a fiber of its own. */
const forkReaders = (count: number, read: (subscription: Subscription) => Effect.Effect<void, unknown>) =>
  Effect.flatMap(Broker, (broker) =>
    Effect.forEach(Array.from({ length: count }), (_, index) =>
      Effect.flatMap(
        broker.subscribe({
          subscriberId: SubscriberId.make(`subscriber ${index}`),
          from: "latest",
          resume: "never",
          creditMessages: Number.POSITIVE_INFINITY,
          creditBytes: Number.POSITIVE_INFINITY
        }),
        (subscription) => Effect.forkScoped(read(subscription))
      )
    )
  )

const inFreshBroker = <A>(body: Effect.Effect<A, unknown, Broker | Scope.Scope>) =>
  Effect.provide(Effect.scoped(body), Layer.fresh(layerBroker))

interface Throughput {
  readonly publishedPerSecond: number
  readonly deliveredPerSecond: number
  /** Time of this process, all its threads together, per delivered message. */
  readonly cpuNanos: number
}

/** Publishes everything at full speed, until every subscriber has all of it. */
const throughput = (subscribers: number): Effect.Effect<Throughput, unknown> =>
  inFreshBroker(
    Effect.gen(function* () {
      const { publish } = yield* Broker
      const readers = yield* forkReaders(subscribers, (subscription) => receive(subscription, messages))
      const startMs = performance.now()
      const before = process.cpuUsage()
      yield* Effect.forEach(Array.from({ length: messages / batchSize }), () => publish(batch), {
        concurrency: publishesInFlight,
        discard: true
      })
      yield* Fiber.joinAll(readers)
      const seconds = (performance.now() - startMs) / 1_000
      const { user, system } = process.cpuUsage(before)
      const delivered = messages * subscribers
      return {
        publishedPerSecond: messages / seconds,
        deliveredPerSecond: delivered / seconds,
        cpuNanos: ((user + system) * 1_000) / delivered
      }
    })
  )

/** How long it took from the call of `publish` to each delivery, in ms, of messages published one by one at a pace. */
const latencies = (subscribers: number): Effect.Effect<ReadonlyArray<number>, unknown> =>
  inFreshBroker(
    Effect.gen(function* () {
      const { publish } = yield* Broker
      const publishedMs = new Float64Array(pacedMessages)
      const tookMs: Array<number> = []
      const readers = yield* forkReaders(subscribers, (subscription) =>
        receive(subscription, pacedMessages, (received) =>
          tookMs.push(performance.now() - publishedMs[received - 1]!)
        )
      )
      for (let index = 0; index < pacedMessages; index++) {
        yield* Effect.sleep(paceMs)
        publishedMs[index] = performance.now()
        yield* publish([payload])
      }
      yield* Fiber.joinAll(readers)
      return tookMs
    })
  )

/** How long a callback takes that is due at once: the machine's part in any latency. */
const turnLatencies = Effect.gen(function* () {
  const tookMs: Array<number> = []
  for (let index = 0; index < pacedMessages; index++) {
    yield* Effect.sleep(paceMs)
    const startMs = performance.now()
    yield* Effect.async<void>((resume) => {
      setImmediate(() => resume(Effect.void))
    })
    tookMs.push(performance.now() - startMs)
  }
  return tookMs
})

const percentile = (sorted: ReadonlyArray<number>, share: number): string =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(2)

const printLatencies = (rows: ReadonlyArray<readonly [name: string, tookMs: ReadonlyArray<number>]>): void =>
  printTable(
    ["ms from publish to delivered", "p50", "p90", "p99"],
    rows.map(([name, tookMs]) => {
      const sorted = [...tookMs].sort((a, b) => a - b)
      return [name, ...[0.5, 0.9, 0.99].map((share) => percentile(sorted, share))]
    })
  )

const program = Effect.gen(function* () {
  const full = subscriberCounts.map((): Array<Throughput> => [])
  const paced = subscriberCounts.map((): Array<number> => [])
  const turning: Array<number> = []
  // In turns, so that a noisy machine is noisy to all; the first rounds warm up.
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    const counts = round >= warmUpRounds
    for (const [index, subscribers] of subscriberCounts.entries()) {
      const measured = yield* throughput(subscribers)
      const tookMs = yield* latencies(subscribers)
      if (!counts) continue
      full[index]!.push(measured)
      paced[index]!.push(...tookMs)
    }
    const tookMs = yield* turnLatencies
    if (counts) turning.push(...tookMs)
  }
  const figure = (index: number, name: keyof Throughput): number =>
    median(full[index]!.map((measured) => measured[name]))
  console.log(
    `publish to delivered, ${payload.length} bytes in batches of ${batchSize}, full speed (${machine()}):`
  )
  printTable(
    ["to", "published/s", "delivered/s", "CPU ns/delivered", "of that to 1"],
    subscriberCounts.map((subscribers, index) => [
      String(subscribers),
      figure(index, "publishedPerSecond").toFixed(0),
      figure(index, "deliveredPerSecond").toFixed(0),
      figure(index, "cpuNanos").toFixed(0),
      median(full[index]!.map(({ cpuNanos }, round) => cpuNanos / full[0]![round]!.cpuNanos)).toFixed(2)
    ])
  )
  console.log(`one message each ${paceMs} ms:`)
  printLatencies([
    ["a callback due at once", turning],
    ...subscriberCounts.map((subscribers, index) => [`to ${subscribers}`, paced[index]!] as const)
  ])
})

await program.pipe(Effect.provide(Scheduler.layer), Effect.runPromise)
