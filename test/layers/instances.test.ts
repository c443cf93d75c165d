/** The streamers and the collectors of a process, as one service each. */
import { expect, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, Option, Scope } from "effect"
import { describe } from "vitest"
import { Broker, BrokerUnavailable, PublishRefused } from "../../src/layers/Broker.ts"
import { afterSubscribing, Collectors } from "../../src/layers/Collectors.ts"
import * as CollectorsHere from "../../src/layers/collectors/embedded.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import { Streamers } from "../../src/layers/Streamers.ts"
import * as StreamersHere from "../../src/layers/streamers/embedded.ts"
import { type SourceChunk, TelemetrySource } from "../../src/layers/TelemetrySource.ts"
import { TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import { layerMemory, MemoryStoreConfig } from "../../src/layers/telemetry-store/memory.ts"
import { encodeBatch } from "../../src/protocol/Batch.ts"
import { ProducerId, SourcePosition, SubscriberId } from "../../src/protocol/Log.ts"
import { ownsRow } from "../../src/protocol/Shard.ts"
import { timePasses } from "../properties/Turns.ts"
import { sampleAt } from "../Samples.ts"
import { makeGround } from "./broker/Ground.ts"

/** Rows of a test, `rows` to each streamer, in turn; row `n` is a sample of value `n`. */
const sourceOf = (rows: number) =>
  Layer.succeed(
    TelemetrySource,
    TelemetrySource.of({
      description: "rows of a test",
      open: ({ shard }) =>
        Effect.sync(() => {
          let next = 0
          const readSome = (rowsMax: number): Option.Option<SourceChunk> => {
            const rowsGone = Math.min(rowsMax, rows * shard.count - next)
            if (rowsGone === 0) return Option.none()
            const gone = Array.from({ length: rowsGone }, (_, n) => next + n)
            const own = gone.filter((row) => ownsRow(shard, row))
            next += rowsGone
            return Option.some({
              rowsRead: own.length,
              rowsPassed: rowsGone - own.length,
              samples: own.map((row) => sampleAt(row, {}, row)),
              positionAfter: (index: number) => SourcePosition.make(String(own[index]! + 1))
            })
          }
          return { read: (rowsMax) => Effect.sync(() => readSome(rowsMax)) }
        })
    })
  )

const streamersOver = (
  broker: Broker["Type"],
  options: Parameters<typeof StreamersHere.StreamerConfig.layer>[0],
  rows = 20
) =>
  StreamersHere.layer.pipe(
    Layer.provide([
      sourceOf(rows),
      StreamersHere.StreamerConfig.layer({
        streamerId: ProducerId.make("s"),
        rowsPerSecond: "max",
        batchSize: 5,
        ...options
      }),
      Layer.succeed(Broker, broker)
    ])
  )

const memory = Layer.provide(layerMemory, MemoryStoreConfig.layer())

const collectorsOver = (
  broker: Broker["Type"],
  collectors: number,
  store: Layer.Layer<TelemetryStore> = memory,
  drainTo: "log_end" | "received" = "log_end"
) =>
  CollectorsHere.layer.pipe(
    Layer.provide([
      CollectorsHere.CollectorConfig.layer({
        collectorId: SubscriberId.make("c"),
        collectors,
        from: "latest",
        drainTo
      }),
      Layer.succeed(Broker, broker),
      store,
      Rejects.layer
    ])
  )

const openBroker = Effect.flatMap(makeGround(), (ground) => ground.openBroker)

describe("the streamers of a process", () => {
  it.scoped("publish each under an id of its own, and are done when all are", () =>
    Effect.gen(function* () {
      const broker = yield* openBroker
      const streamers = Context.get(yield* Layer.build(streamersOver(broker, { streamers: 3 })), Streamers)
      yield* streamers.done
      expect(yield* streamers.progress).toEqual(
        ["s-0", "s-1", "s-2"].map((streamerId) => ({
          streamerId,
          rowsRead: 20,
          samplesRead: 20,
          batchesPublished: 4,
          waitsBecause: null
        }))
      )
      expect((yield* broker.stats).producers.map(({ producerId }) => producerId).sort()).toEqual([
        "s-0",
        "s-1",
        "s-2"
      ])
    })
  )

  it.scoped("that is one has the id itself", () =>
    Effect.gen(function* () {
      const streamers = Context.get(yield* Layer.build(streamersOver(yield* openBroker, {})), Streamers)
      expect((yield* streamers.progress).map(({ streamerId }) => streamerId)).toEqual(["s"])
    })
  )

  it.scoped.each(["host", "none"] as const)(
    "that share by %s read all together at the rate, and each as much",
    (shardBy) =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(timePasses)
        const options = { streamers: 3, shardBy, rowsPerSecond: 300, batchSize: 100 }
        const built = yield* Layer.build(streamersOver(yield* openBroker, options, 1_000_000))
        const seconds = 10
        yield* Effect.sleep(Duration.seconds(seconds))
        const read = (yield* Context.get(built, Streamers).progress).map(({ rowsRead }) => rowsRead)
        for (const rows of read) {
          expect(rows).toBeLessThanOrEqual(100 * seconds + 1)
          expect(rows).toBeGreaterThan(95 * seconds)
        }
      })
  )

  it.scoped("fail with the first that can't go on, by its id, and the others drain all the same", () =>
    Effect.gen(function* () {
      const broker = yield* openBroker
      const fenced = new PublishRefused({ reason: "fenced", problem: "another one has its id", placed: [] })
      const failing = Broker.of({
        ...broker,
        hello: (id) =>
          Effect.map(broker.hello(id), (session) =>
            id === "s-1" ? { ...session, publish: () => fenced } : session
          )
      })
      const scope = yield* Scope.make()
      const built = yield* Layer.buildWithScope(
        streamersOver(failing, { streamers: 3, collectIntervalMs: 3_600_000, batchSize: 15 }),
        scope
      )
      const streamers = Context.get(built, Streamers)
      expect((yield* Effect.flip(streamers.done)).message).toContain("s-1: ")
      expect((yield* Effect.flip(streamers.drain)).streamerId).toBe("s-1")
      expect((yield* streamers.progress).map(({ batchesPublished }) => batchesPublished)).toEqual([2, 0, 2])
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.scoped("have their ids in what they log", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.map(Logger.logfmtLogger, (line) => {
          lines.push(line)
        })
      )
      const broker = yield* openBroker
      const told = new Set<string>()
      /** Unavailable once to each of them, who then tries again. */
      const awayAtFirst = <A, E, R>(id: string, call: Effect.Effect<A, E, R>) =>
        Effect.suspend((): Effect.Effect<A, E | BrokerUnavailable, R> => {
          if (told.has(id)) return call
          told.add(id)
          return new BrokerUnavailable({ problem: "down" })
        })
      const away = Broker.of({
        ...broker,
        hello: (id) => awayAtFirst(id, broker.hello(id)),
        subscribe: (options) => awayAtFirst(options.subscriberId, broker.subscribe(options))
      })
      yield* Effect.forkScoped(timePasses)
      const built = yield* Effect.provide(
        Layer.build(Layer.merge(streamersOver(away, { streamers: 2 }), collectorsOver(away, 2))),
        logger
      )
      yield* Context.get(built, Streamers).done
      yield* Context.get(built, Collectors).subscribed
      for (const id of ["streamer=s-0", "streamer=s-1", "collector=c-0", "collector=c-1"]) {
        expect(lines.some((line) => line.endsWith(id) || line.includes(`${id} `))).toBe(true)
      }
    })
  )
})

describe("the collectors of a process", () => {
  it.scoped("read everything each, from latest on too where streamers start once all have subscribed", () =>
    Effect.gen(function* () {
      const broker = yield* openBroker
      const opened = yield* Deferred.make<void>()
      let subscribed = 0
      const slow = Broker.of({
        ...broker,
        subscribe: (options) =>
          Effect.zipRight(
            options.subscriberId === "c-1" ? Deferred.await(opened) : Effect.void,
            Effect.tap(broker.subscribe(options), () => subscribed++)
          ),
        hello: (id) =>
          Effect.suspend(() => {
            expect(subscribed, "collectors that have subscribed before a streamer starts").toBe(2)
            return broker.hello(id)
          })
      })
      const building = yield* Effect.fork(
        Layer.build(
          Layer.provideMerge(afterSubscribing(streamersOver(slow, { streamers: 2 })), collectorsOver(slow, 2))
        )
      )
      while (subscribed === 0) yield* Effect.yieldNow()
      yield* Deferred.succeed(opened, undefined)
      const built = yield* building
      yield* Context.get(built, Streamers).done
      const collectors = Context.get(built, Collectors)
      yield* Effect.forkScoped(timePasses)
      yield* collectors.drain
      const { nextOffset } = yield* broker.stats
      expect(yield* collectors.progress).toEqual(
        ["c-0", "c-1"].map((collectorId) => ({
          collectorId,
          messagesReceived: nextOffset,
          samplesStored: 40,
          samplesRefused: 0,
          messagesMissed: 0,
          checkpoint: nextOffset
        }))
      )
    })
  )

  it.scoped("try again what a store broke at, whatever that was", () =>
    Effect.gen(function* () {
      const broker = yield* openBroker
      let writes = 0
      const brittle = Layer.map(memory, (built) => {
        const store = Context.get(built, TelemetryStore)
        return Context.make(TelemetryStore, {
          ...store,
          write: (samples) =>
            Effect.suspend(() => (++writes < 3 ? Effect.die(new Error("a bug")) : store.write(samples)))
        })
      })
      const built = yield* Layer.build(
        Layer.provideMerge(afterSubscribing(streamersOver(broker, {})), collectorsOver(broker, 1, brittle))
      )
      yield* Context.get(built, Streamers).done
      yield* Effect.forkScoped(timePasses)
      const collectors = Context.get(built, Collectors)
      yield* collectors.drain
      expect((yield* collectors.progress)[0]).toMatchObject({ samplesStored: 20, samplesRefused: 0 })
    })
  )

  it.scoped("end with what they have received where others go on, and do not wait for more", () =>
    Effect.gen(function* () {
      const broker = yield* openBroker
      const batch = encodeBatch({
        ...{ batchId: "b", source: "s", collectedAtNs: 0n, samples: [sampleAt(0, {}, 1)] }
      })
      const received = yield* Deferred.make<void>()
      const written = yield* Deferred.make<void>()
      /** What is published later never comes. */
      const stalling = Broker.of({
        ...broker,
        stats: Effect.die("not asked for"),
        subscribe: (options) =>
          Effect.map(broker.subscribe(options), (subscription) => ({
            ...subscription,
            deliveries: Effect.flatMap(Deferred.isDone(received), (isDone) =>
              isDone
                ? Effect.never
                : Effect.tap(subscription.deliveries, () => Deferred.succeed(received, undefined))
            )
          }))
      })
      const slow = Layer.map(memory, (built) => {
        const store = Context.get(built, TelemetryStore)
        const write = (samples: Parameters<typeof store.write>[0]) =>
          Effect.zipRight(Deferred.await(written), store.write(samples))
        return Context.make(TelemetryStore, { ...store, write })
      })
      const scope = yield* Scope.make()
      const building = Layer.build(collectorsOver(stalling, 1, slow, "received"))
      const collectors = Context.get(yield* Scope.extend(building, scope), Collectors)
      yield* collectors.subscribed
      yield* broker.publish([batch])
      yield* Deferred.await(received)
      yield* broker.publish([batch])
      while ((yield* collectors.progress)[0]!.messagesReceived === 0) yield* Effect.yieldNow()
      const draining = yield* Effect.fork(collectors.drain)
      for (let turn = 0; turn < 100; turn++) yield* Effect.yieldNow()
      expect(Option.isNone(yield* Fiber.poll(draining)), "what was received is waited for").toBe(true)
      yield* Deferred.succeed(written, undefined)
      yield* Fiber.join(draining)
      expect((yield* broker.stats).checkpoints[0]).toMatchObject({ subscriberId: "c", offset: 1 })
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.scoped("end at once where they have no subscription: nothing that they hold can be committed", () =>
    Effect.gen(function* () {
      const away = new BrokerUnavailable({ problem: "away" })
      const broker = Broker.of({ ...(yield* openBroker), stats: away, subscribe: () => away })
      const scope = yield* Scope.make()
      const building = Layer.build(collectorsOver(broker, 2, memory, "received"))
      yield* Context.get(yield* Scope.extend(building, scope), Collectors).drain
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.scoped("fail with the first whose id another one has taken", () =>
    Effect.gen(function* () {
      const broker = yield* openBroker
      const collectors = Context.get(yield* Layer.build(collectorsOver(broker, 3)), Collectors)
      yield* collectors.subscribed
      yield* Layer.build(
        CollectorsHere.layer.pipe(
          Layer.provide([
            CollectorsHere.CollectorConfig.layer({ collectorId: SubscriberId.make("c-2") }),
            Layer.succeed(Broker, broker),
            memory,
            Rejects.layer
          ])
        )
      )
      expect((yield* Effect.flip(collectors.failed)).collectorId).toBe("c-2")
    })
  )
})
