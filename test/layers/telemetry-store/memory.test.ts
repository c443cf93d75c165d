import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Layer, Option, Stream, TestClock } from "effect"
import { TelemetryStore, type WindowQuery } from "../../../src/layers/TelemetryStore.ts"
import { layerMemory, MemoryStoreConfig } from "../../../src/layers/telemetry-store/memory.ts"
import type { Sample } from "../../../src/protocol/Sample.ts"
import type { Series } from "../../../src/protocol/Series.ts"
import { telemetryStoreContract } from "../../contracts/TelemetryStore.contract.ts"

const storeWith = (config: Partial<MemoryStoreConfig["Type"]> = {}) =>
  Layer.provide(layerMemory, MemoryStoreConfig.layer(config))

telemetryStoreContract("memory", storeWith())

const seriesOf = (uuid: string): Series => ({
  metricName: "DCGM_FI_DEV_GPU_UTIL",
  uuid,
  hostname: "",
  gpuId: 0,
  device: "",
  modelName: "",
  container: "",
  pod: "",
  namespace: "",
  labels: []
})

const sampleOf = (timeNs: bigint, uuid = "GPU-1", value = 1): Sample => ({
  series: seriesOf(uuid),
  timeNs,
  value
})

const write = (...samples: ReadonlyArray<Sample>) =>
  Effect.flatMap(TelemetryStore, (store) => store.write(samples))

const times = Effect.gen(function* () {
  const store = yield* TelemetryStore
  const samples = yield* store.page({ order: "asc" }, { limit: 10_000, start: { offset: 0 } })
  return samples.map(({ timeNs }) => timeNs)
})

const minuteCounts: WindowQuery = {
  order: "asc",
  windowNs: 60_000_000_000n,
  aggregate: "count",
  groupBy: "metric"
}

const stats = Effect.flatMap(TelemetryStore, (store) => store.stats)

describe("the bound on samples", () => {
  const three = storeWith({ samplesMax: 3 })

  it.effect("above it the oldest of all series go, and are counted", () =>
    Effect.gen(function* () {
      yield* write(sampleOf(1n, "GPU-1"), sampleOf(2n, "GPU-2"), sampleOf(3n, "GPU-1"))
      expect(yield* write(sampleOf(4n, "GPU-3"), sampleOf(5n, "GPU-3"))).toEqual({
        stored: 2,
        olderThanRetention: []
      })
      expect(yield* times).toEqual([3n, 4n, 5n])
      expect(yield* stats).toEqual({ gpus: 2, samples: 3, evicted: 2, oldestNs: 3n, newestNs: 5n })
    }).pipe(Effect.provide(three))
  )

  it.effect("a sample older than all in a full store is evicted at once, not silently", () =>
    Effect.gen(function* () {
      yield* write(sampleOf(2n), sampleOf(3n), sampleOf(4n))
      yield* write(sampleOf(1n, "GPU-2"))
      expect(yield* times).toEqual([2n, 3n, 4n])
      expect((yield* stats).evicted).toBe(1)
      expect(yield* (yield* TelemetryStore).gpu("GPU-2")).toEqual(Option.none())
    }).pipe(Effect.provide(three))
  )

  it.effect("of equally old samples the first in the global order goes first", () =>
    Effect.gen(function* () {
      yield* write(sampleOf(1n, "GPU-3"), sampleOf(1n, "GPU-\u{1f600}"), sampleOf(1n, "GPU-\ue000"))
      yield* write(sampleOf(1n, "GPU-2"))
      const gpus = yield* (yield* TelemetryStore).gpus({})
      expect(gpus.map(({ uuid }) => uuid)).toEqual(["GPU-3", "GPU-\ue000", "GPU-\u{1f600}"])
    }).pipe(Effect.provide(three))
  )

  it.effect("replacing a value evicts nothing", () =>
    Effect.gen(function* () {
      yield* write(sampleOf(1n), sampleOf(2n), sampleOf(3n))
      yield* write(sampleOf(1n, "GPU-1", 9), sampleOf(3n, "GPU-1", 9))
      expect(yield* times).toEqual([1n, 2n, 3n])
      expect((yield* stats).evicted).toBe(0)
    }).pipe(Effect.provide(three))
  )

  it.effect("a GPU without samples is gone, with its metrics, and comes back with its next sample", () =>
    Effect.gen(function* () {
      const store = yield* TelemetryStore
      const returning = sampleOf(1n, "GPU-0")
      yield* write(returning)
      yield* write(sampleOf(2n), sampleOf(3n), sampleOf(4n))
      expect(yield* store.gpu("GPU-0")).toEqual(Option.none())
      expect(yield* store.metricNames(Option.some("GPU-0"))).toEqual([])
      yield* write({ ...returning, timeNs: 5n })
      expect(Option.map(yield* store.gpu("GPU-0"), (gpu) => gpu.firstSeenNs)).toEqual(Option.some(5n))
      expect(yield* times).toEqual([3n, 4n, 5n])
    }).pipe(Effect.provide(three))
  )
})

describe("the bound on age", () => {
  const tenSeconds = storeWith({ retentionMs: 10_000 })
  const ns = (seconds: number): bigint => BigInt(seconds) * 1_000_000_000n

  it.effect("samples that are too old are reported by index and not stored", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(100_000)
      const report = yield* write(sampleOf(ns(95)), sampleOf(ns(90) - 1n), sampleOf(ns(90)), sampleOf(0n))
      expect(report).toEqual({ stored: 2, olderThanRetention: [1, 3] })
      expect(yield* times).toEqual([ns(90), ns(95)])
      expect((yield* stats).evicted).toBe(0)
    }).pipe(Effect.provide(tenSeconds))
  )

  it.effect("as time passes, every answer loses what is too old, and it is counted", () =>
    Effect.gen(function* () {
      const store = yield* TelemetryStore
      yield* write(sampleOf(ns(1), "GPU-1"), sampleOf(ns(2), "GPU-1"), sampleOf(ns(3), "GPU-2"))
      yield* TestClock.setTime(11_001)
      expect(yield* times).toEqual([ns(2), ns(3)])
      expect(yield* Stream.runCollect(store.windows(minuteCounts))).toEqual(
        Chunk.of([{ startNs: 0n, metricName: "DCGM_FI_DEV_GPU_UTIL", group: "", value: 2 }])
      )
      yield* TestClock.setTime(12_500)
      expect((yield* store.gpus({})).map(({ uuid }) => uuid)).toEqual(["GPU-2"])
      yield* TestClock.setTime(20_000)
      expect(yield* store.gpu("GPU-2")).toEqual(Option.none())
      expect(yield* store.metricNames(Option.none())).toEqual([])
      expect(yield* Stream.runCollect(store.samples({ order: "asc" }))).toEqual(Chunk.empty())
      expect(yield* Stream.runCollect(store.windows(minuteCounts))).toEqual(Chunk.empty())
      expect(yield* stats).toEqual({ gpus: 0, samples: 0, evicted: 3 })
    }).pipe(Effect.provide(tenSeconds))
  )
})

describe("streams", () => {
  const many = Array.from({ length: 1_500 }, (_, i) => sampleOf(BigInt(i)))
  const valuesOf = (chunks: Chunk.Chunk<ReadonlyArray<Sample>>) =>
    Chunk.toReadonlyArray(chunks)
      .flat()
      .map(({ timeNs }) => Number(timeNs))

  it.effect("a reader slower than the writer still reaches the end", () =>
    Effect.gen(function* () {
      yield* write(...many)
      let written = 1_500
      const chunks = yield* (yield* TelemetryStore).samples({ order: "asc" }).pipe(
        Stream.tap(() => write(...Array.from({ length: 2_000 }, () => sampleOf(BigInt(written++))))),
        Stream.runCollect
      )
      expect(valuesOf(chunks)).toEqual(many.map((_, i) => i))
    }).pipe(Effect.provide(storeWith()))
  )

  it.effect("one whose next samples were evicted goes on with the oldest that is left", () =>
    Effect.gen(function* () {
      yield* write(...many)
      const chunks = yield* (yield* TelemetryStore).samples({ order: "asc" }).pipe(
        Stream.tap(() => write(...Array.from({ length: 1_200 }, (_, i) => sampleOf(BigInt(1_500 + i))))),
        Stream.runCollect
      )
      const expected = Array.from({ length: 1_500 }, (_, i) => i).filter((i) => i < 1_000 || i >= 1_200)
      expect(valuesOf(chunks)).toEqual(expected)
    }).pipe(Effect.provide(storeWith({ samplesMax: 1_500 })))
  )
})

it.effect("samples of a series share one Series object, whose JSON is then made once", () =>
  Effect.gen(function* () {
    yield* write(sampleOf(1n), sampleOf(2n))
    yield* write(sampleOf(3n))
    const page = yield* (yield* TelemetryStore).page({ order: "asc" }, { limit: 3, start: { offset: 0 } })
    expect(new Set(page.map(({ series }) => series)).size).toBe(1)
  }).pipe(Effect.provide(storeWith()))
)
