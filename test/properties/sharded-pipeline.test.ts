/**
 * Several streamers of a file and several collectors in one process, any of which is killed at any moment and started
 * again, over connections that break: the one store holds what the file says.
 */
import { it } from "@effect/vitest"
import { Context, Effect, ExecutionStrategy, Exit, FastCheck, Layer, Scope, Stream } from "effect"
import { expect } from "vitest"
import { Broker } from "../../src/layers/Broker.ts"
import { makeCollector } from "../../src/layers/collectors/collector.ts"
import { makeStreamer } from "../../src/layers/streamers/streamer.ts"
import { TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import { layerMemory, MemoryStoreConfig } from "../../src/layers/telemetry-store/memory.ts"
import { ProducerId, SubscriberId } from "../../src/protocol/Log.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import { shardsOf } from "../../src/protocol/Shard.ts"
import { makeGround } from "../layers/broker/Ground.ts"
import { openAndRead, rejectCounts, sourceOf, temporaryFile } from "../layers/telemetry-source/csv-harness.ts"
import { maxRowBytes } from "./CsvRows.ts"
import * as FaultyBroker from "./FaultyBroker.ts"
import { settled } from "./NaiveSamples.ts"
import { bytesOf, shardedFile } from "./ShardedFile.ts"
import { type Drawn, scheduled, timePasses, turns } from "./Turns.ts"

const numRuns = 24

const history = FastCheck.record({
  by: FastCheck.constantFrom("host" as const, "host" as const, "none" as const),
  collectors: FastCheck.integer({ min: 1, max: 3 }),
  batchSize: FastCheck.integer({ min: 1, max: 9 }),
  rowsPerSecond: FastCheck.constantFrom<number | "max">("max", 500),
  faults: FastCheck.array(
    FastCheck.constantFrom<FaultyBroker.Fault>("none", "none", "none", "lost", "answerLost", "onItsWay"),
    { maxLength: 30 }
  ),
  /** Who is killed, and after how long. */
  kills: FastCheck.array(FastCheck.record({ who: FastCheck.nat(), after: FastCheck.nat(150) }), {
    maxLength: 6
  })
})

/** Something that runs until it is killed, and then does so again. */
const restartable = <A, R>(start: Effect.Effect<A, never, R | Scope.Scope>) =>
  Effect.gen(function* () {
    const live = Effect.gen(function* () {
      const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
      return { scope, running: yield* Scope.extend(start, scope) }
    })
    let life = yield* live
    return {
      running: () => life.running,
      restart: Effect.gen(function* () {
        yield* Scope.close(life.scope, Exit.void)
        life = yield* live
      })
    }
  })

const storedSamples = Effect.gen(function* () {
  const chunks = yield* Stream.runCollect((yield* TelemetryStore).samples({ order: "asc" }))
  return [...chunks].flat()
})

type Story = Drawn<typeof history> & Pick<Drawn<typeof shardedFile>, "count">

/** Streams the source of the context to its end and collects it, through all that befalls; answers what is stored. */
const pipeline = ({
  by,
  count,
  collectors: collectorCount,
  batchSize,
  rowsPerSecond,
  faults,
  kills
}: Story) =>
  Effect.gen(function* () {
    const broker = yield* (yield* makeGround()).openBroker
    yield* Effect.forkScoped(timePasses)
    const services = (yield* Layer.build(layerMemory.pipe(Layer.provide(MemoryStoreConfig.layer())))).pipe(
      Context.add(
        Broker,
        FaultyBroker.make(() => broker, [...faults], yield* Effect.scope)
      )
    )
    return yield* Effect.gen(function* () {
      const common = { batchSize, collectIntervalMs: 100, rowsPerSecond, windowBytes: 4_000 }
      const collectors = yield* Effect.forEach(Array(collectorCount).keys(), (n) =>
        restartable(makeCollector({ collectorId: SubscriberId.make(`collector-${n}`), from: "earliest" }))
      )
      const streamers = yield* Effect.forEach(shardsOf(count, by), (shard) =>
        restartable(
          makeStreamer({ ...common, streamerId: ProducerId.make(`streamer-${shard.index}`), shard })
        )
      )
      const all = [...streamers, ...collectors]
      for (const { who, after } of kills) {
        yield* turns(after)
        yield* all[who % all.length]!.restart
      }
      yield* Effect.forEach(streamers, ({ running }) => running().done, { concurrency: "unbounded" })
      const { nextOffset } = yield* broker.stats
      yield* Effect.forEach(collectors, ({ running }) => running().drainTo(nextOffset), {
        concurrency: "unbounded"
      })
      return yield* storedSamples
    }).pipe(Effect.provide(services))
  })

const textOf = ({ series, value }: Sample): string => JSON.stringify([series, value])

it.scoped.prop(
  "with the times of its rows, the store holds what the file says, whoever reads it and is killed",
  { file: shardedFile, history },
  ({ file, history }) =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(bytesOf(file))
      yield* Effect.gen(function* () {
        const whole = yield* openAndRead()
        const stored = yield* pipeline({ ...history, count: file.count })
        expect(stored).toEqual(settled(whole.samples))
      }).pipe(Effect.provide(sourceOf({ path, maxRowBytes })))
    }).pipe(scheduled),
  { fastCheck: { numRuns } }
)

it.scoped.prop(
  "with the times of reading, every row is stored, once for each who reads it, at a time of its own",
  { file: shardedFile, history },
  ({ file, history }) =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(bytesOf(file))
      yield* Effect.gen(function* () {
        const whole = yield* openAndRead()
        const stored = yield* pipeline({ ...history, count: file.count })
        const times = history.by === "host" ? 1 : file.count
        const expected = Array.from({ length: times }, () => whole.samples.map(textOf)).flat()
        expect(stored.map(textOf).sort()).toEqual(expected.sort())
        expect(new Set(stored.map(({ timeNs }) => timeNs)).size).toBe(stored.length)
      }).pipe(Effect.provide(sourceOf({ path, maxRowBytes, timestamps: "now" })))
    }).pipe(scheduled),
  { fastCheck: { numRuns } }
)

it.scoped.prop(
  "without kills, what several reject together is what one does",
  { file: shardedFile, history },
  ({ file, history }) =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(bytesOf(file))
      const rejectsOf = <A, E, R>(reading: Effect.Effect<A, E, R>) =>
        Effect.zipRight(reading, rejectCounts).pipe(Effect.provide(sourceOf({ path, maxRowBytes })))
      const byOne = yield* rejectsOf(openAndRead())
      const bySeveral = yield* rejectsOf(pipeline({ ...history, by: "host", kills: [], count: file.count }))
      expect(bySeveral).toEqual(byOne)
    }).pipe(scheduled),
  { fastCheck: { numRuns: numRuns / 2 } }
)
