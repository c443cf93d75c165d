/**
 * Collectors over a real InfluxDB behind a network and a server that fail: at the end it holds exactly what was published, and
 * at no time was a checkpoint committed for what it did not hold.
 */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, FastCheck, Layer, Logger, Schedule, type Scope } from "effect"
import { Broker, type Subscription } from "../../../src/layers/Broker.ts"
import { type Collector, makeCollector } from "../../../src/layers/collectors/collector.ts"
import * as Rejects from "../../../src/layers/Rejects.ts"
import type { TelemetryStore } from "../../../src/layers/TelemetryStore.ts"
import { InfluxConfig, layerInflux } from "../../../src/layers/telemetry-store/influx.ts"
import { encodeBatch } from "../../../src/protocol/Batch.ts"
import { collectorCreditMessages } from "../../../src/protocol/Limits.ts"
import { type Offset, SubscriberId } from "../../../src/protocol/Log.ts"
import type { Sample } from "../../../src/protocol/Sample.ts"
import { call, freshBucket, isInfluxThere, post } from "../../influx/Buckets.ts"
import { type Fault, FaultProxy } from "../../influx/FaultProxy.ts"
import { rowsOf } from "../../influx/Rows.ts"
import { sampleAt, sampleOf } from "../../Samples.ts"
import { makeGround } from "../broker/Ground.ts"

const numRuns = 12
const hourMs = 3_600_000

/** What a sample is to the store: kept, refused before it is sent, refused by the server, too old. */
type Kind = "good" | "uncarried" | "conflicting" | "old"

const faults: FastCheck.Arbitrary<Fault | undefined> = FastCheck.oneof(
  FastCheck.constant(undefined),
  FastCheck.constantFrom<Fault>(
    { type: "reset" },
    { type: "hang" },
    { type: "hangAnswer" },
    { type: "loseAnswer" },
    { type: "answer", status: 429 },
    { type: "answer", status: 503 },
    { type: "answer", status: 401, body: '{"message":"unauthorized access"}' }
  ),
  FastCheck.nat(200).map((bytes): Fault => ({ type: "cutRequest", bytes })),
  FastCheck.nat(200).map((bytes): Fault => ({ type: "cutAnswer", bytes }))
)

const history = FastCheck.record({
  messages: FastCheck.array(
    FastCheck.array(
      FastCheck.oneof(
        { weight: 12, arbitrary: FastCheck.constant<Kind>("good") },
        { weight: 1, arbitrary: FastCheck.constantFrom<Kind>("uncarried", "conflicting", "old") }
      ),
      { maxLength: 12 }
    ),
    { minLength: 1, maxLength: 30 }
  ),
  /** What becomes of each request to InfluxDB, as long as there are any left. */
  faults: FastCheck.array(faults, { maxLength: 30 }),
  /** Requests after which the first collector is killed, wherever it is. */
  killedAfter: FastCheck.nat(40)
})

/** A network in which nothing fails yet, in front of a bucket of one's own. */
const setUp = Effect.gen(function* () {
  const config = yield* InfluxConfig
  const proxy = yield* Effect.acquireRelease(
    Effect.promise(() => FaultProxy.start(config.url)),
    (started) => Effect.promise(() => started.refuse())
  )
  const behind = InfluxConfig.layer({ ...config, url: proxy.url, timeoutMs: 300 })
  const services = yield* Layer.build(
    Layer.merge(layerInflux.pipe(Layer.provide(Layer.fresh(behind))), Rejects.layer)
  )
  const ground = yield* makeGround()
  const broker = yield* ground.openBroker
  const publish = (samples: ReadonlyArray<Sample>) =>
    broker.publish([encodeBatch({ batchId: "b", source: "s", collectedAtNs: 0n, samples })])
  return { config, proxy, broker, publish, services }
})

type Services = Context.Context<TelemetryStore | Rejects.Rejects>

const open = (
  id: string,
  broker: Broker["Type"],
  services: Services
): Effect.Effect<Collector, never, Scope.Scope> =>
  makeCollector({
    collectorId: SubscriberId.make(id),
    from: "earliest",
    retryDelayMsMin: 1,
    retryDelayMsMax: 20
  }).pipe(Effect.provide(Context.add(services, Broker, broker)))

/** Collects everything that is in the log now. */
const drain = (collector: Collector, broker: Broker["Type"]) =>
  Effect.flatMap(broker.stats, ({ nextOffset }) => collector.drainTo(nextOffset))

/** Runs a test over a bucket of its own, quietly; answers what was logged. */
const onBucket = <A, E>(
  test: Effect.Effect<A, E, InfluxConfig | Scope.Scope>,
  partial: Partial<InfluxConfig["Type"]> = {}
): Effect.Effect<ReadonlyArray<string>, E> =>
  Effect.suspend(() => {
    const log: Array<string> = []
    const logger = Logger.make(({ message }) => log.push(String(message)))
    return Effect.scoped(
      Effect.flatMap(Layer.build(freshBucket(partial)), (bucket) => Effect.provide(test, bucket))
    ).pipe(Effect.as(log), Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })

const until = <A, E>(ask: Effect.Effect<A, E>, wanted: (answer: A) => boolean) =>
  Effect.repeat(ask, { until: wanted, schedule: Schedule.spaced(5) })

describe.skipIf(!isInfluxThere)("collectors over InfluxDB", () => {
  it.live.prop(
    "store what was published, once and all of it, whatever fails, and commit nothing that is not stored",
    [history],
    ([{ messages: shapes, faults: planned, killedAfter }]) =>
      onBucket(
        Effect.gen(function* () {
          const { config, proxy, broker, publish, services } = yield* setUp
          // All points that conflict are of one shard, of an hour that is over.
          const nowMs = yield* Clock.currentTimeMillis
          const startNs = BigInt(Math.floor(nowMs / hourMs - 2) * hourMs) * 1_000_000n
          let count = 0
          const sampleOfKind = (kind: Kind): Sample => {
            const timeNs = startNs + BigInt(count++)
            if (kind === "uncarried") return sampleOf(timeNs, count, { pod: "a\\" })
            if (kind === "conflicting") return sampleOf(timeNs, count, { metricName: "theirs" })
            return sampleOf(kind === "old" ? timeNs - 100n * BigInt(hourMs) * 1_000_000n : timeNs, count)
          }
          const messages = shapes.map((shape) => shape.map((kind) => [kind, sampleOfKind(kind)] as const))
          const goodOf = (some: typeof messages) =>
            some.flatMap((message) => message.flatMap(([kind, sample]) => (kind === "good" ? [sample] : [])))
          const stored = rowsOf(config, 'r._measurement != "theirs"')

          // The first write makes the bucket; then another collector's points are in it.
          const writer = yield* open("first", broker, services)
          yield* publish([sampleOf(startNs - 1n, 0)])
          yield* drain(writer, broker)
          yield* post(config, [`theirs,uuid=u value="text" ${startNs}`])
          yield* Effect.forEach(messages, (message) => publish(message.map(([, sample]) => sample)))

          const early: Array<string> = []
          const checked = (subscription: Subscription): Subscription => ({
            ...subscription,
            commit: (offset: Offset) =>
              Effect.flatMap(stored, (rows) => {
                const held = new Set(rows.map(({ timeNs }) => timeNs))
                for (const { timeNs } of goodOf(messages.slice(0, Math.max(0, offset - 1)))) {
                  if (!held.has(timeNs)) early.push(`${timeNs} below ${offset}`)
                }
                return subscription.commit(offset)
              })
          })
          const checkedBroker = Broker.of({
            ...broker,
            subscribe: (options) => Effect.map(broker.subscribe(options), checked)
          })
          const killed = yield* Deferred.make<void>()
          const queue = [...planned]
          const before = proxy.asked.length
          proxy.plan = () => {
            if (proxy.asked.length - before > killedAfter) Deferred.unsafeDone(killed, Effect.void)
            return queue.shift()
          }
          const live = (id: string, end: Effect.Effect<void> = Effect.never) =>
            Effect.scoped(
              Effect.gen(function* () {
                const collector = yield* open(id, checkedBroker, services)
                yield* Effect.raceFirst(drain(collector, broker), end)
                return (yield* collector.progress).checkpoint
              })
            )
          const [, other] = yield* Effect.all([live("second", Deferred.await(killed)), live("third")], {
            concurrency: "unbounded"
          })
          const last = yield* live("second")

          const { nextOffset } = yield* broker.stats
          expect([other, last]).toEqual([nextOffset, nextOffset])
          expect(early, "committed before they were stored").toEqual([])
          expect((yield* stored).slice(1)).toEqual(
            goodOf(messages).map(({ timeNs, value }) => ({ timeNs, value }))
          )
          const rejects = yield* Context.get(services, Rejects.Rejects).byReason
          const countOf = (reason: string) => rejects.find((entry) => entry.reason === reason)?.count ?? 0
          const published = (kinds: ReadonlyArray<Kind>) =>
            messages.flat().filter(([kind]) => kinds.includes(kind)).length
          // Each collector meets each of them; again where it is delivered again.
          expect(countOf("refused_by_store")).toBeGreaterThanOrEqual(
            2 * published(["uncarried", "conflicting"])
          )
          expect(countOf("older_than_retention")).toBeGreaterThanOrEqual(2 * published(["old"]))
          for (const { reason, recent } of rejects) {
            if (reason !== "refused_by_store") continue
            for (const { input } of recent) expect(input).toMatch(/theirs|"pod":"a\\\\"/)
          }
        }),
        { retentionMs: 48 * hourMs }
      ).pipe(Effect.asVoid),
    { fastCheck: { numRuns } }
  )

  it.live("wait for a server that is away with a bounded number of messages in hand, and say so once", () =>
    Effect.gen(function* () {
      const samples = Array.from({ length: 3 * collectorCreditMessages }, (_, n) => sampleAt(n))
      const log = yield* onBucket(
        Effect.gen(function* () {
          const { config, proxy, broker, publish, services } = yield* setUp
          yield* Effect.promise(() => proxy.refuse())
          yield* Effect.forEach(samples, (sample) => publish([sample]))
          const collector = yield* open("collector", broker, services)
          yield* until(
            collector.progress,
            ({ messagesReceived }) => messagesReceived >= collectorCreditMessages
          )
          const { messagesReceived, checkpoint } = yield* collector.progress
          expect([messagesReceived, checkpoint]).toEqual([collectorCreditMessages, 0])
          yield* Effect.promise(() => proxy.accept())
          yield* drain(collector, broker)
          expect(yield* rowsOf(config)).toEqual(samples.map(({ timeNs, value }) => ({ timeNs, value })))
        })
      )
      expect(log.filter((line) => line.includes("stored"))).toEqual([
        expect.stringMatching(/^nothing can be stored, .*InfluxDB at .*ECONNREFUSED/),
        "samples are stored again"
      ])
    })
  )

  it.live("go on without a restart when a token is mended, and when a bucket is removed", () =>
    Effect.gen(function* () {
      const log = yield* onBucket(
        Effect.gen(function* () {
          const { config, proxy, broker, publish, services } = yield* setUp
          const collector = yield* open("collector", broker, services)
          const refused = yield* Deferred.make<void>()
          proxy.token = "wrong"
          proxy.plan = () => {
            if (proxy.asked.length > 3) Deferred.unsafeDone(refused, Effect.void)
            return undefined
          }
          yield* publish([sampleAt(0)])
          yield* Deferred.await(refused)
          expect((yield* collector.progress).checkpoint).toBe(0)
          proxy.token = undefined
          yield* until(collector.progress, ({ checkpoint }) => checkpoint === 1)
          expect((yield* rowsOf(config)).map(({ value }) => value)).toEqual([0])

          const text = yield* call(config, "GET", `/api/v2/buckets?org=${config.org}&name=${config.bucket}`)
          const [{ id }] = (JSON.parse(text) as { buckets: [{ id: string }] }).buckets
          yield* call(config, "DELETE", `/api/v2/buckets/${id}`)
          yield* publish([sampleAt(1)])
          yield* until(collector.progress, ({ checkpoint }) => checkpoint === 2)
          expect((yield* rowsOf(config)).map(({ value }) => value)).toEqual([1])
        })
      )
      expect(log.filter((line) => line.includes("stored"))).toEqual([
        expect.stringMatching(
          /^nothing can be stored, .*\(INFLUXDB_TOKEN\) for organization .* \(INFLUXDB_ORG\)/
        ),
        "samples are stored again",
        expect.stringMatching(/^nothing can be stored, .* bucket .* \(INFLUXDB_BUCKET\)/),
        "samples are stored again"
      ])
    })
  )
})
