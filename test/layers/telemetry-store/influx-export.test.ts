/** Results of more samples than one answer of InfluxDB may hold: whole, in order, and no faster than they are taken. */
import { expect, it } from "@effect/vitest"
import { Chunk, Context, Effect, Layer, Stream } from "effect"
import { TelemetryStore, type WindowQuery } from "../../../src/layers/TelemetryStore.ts"
import { InfluxConfig, layerInflux } from "../../../src/layers/telemetry-store/influx.ts"
import { layerMemory, MemoryStoreConfig } from "../../../src/layers/telemetry-store/memory.ts"
import { writeSamplesMax } from "../../../src/protocol/Limits.ts"
import { freshBucket, isInfluxThere } from "../../influx/Buckets.ts"
import { FaultProxy } from "../../influx/FaultProxy.ts"
import { epochNs, sampleOf, secondNs } from "../../Samples.ts"

const metrics = 10
const gpus = 3
const atOnce = metrics * gpus
const seconds = 1_500

/** Ascending: at each second all metrics of all GPUs, and for a day nothing. */
const samples = Array.from({ length: atOnce * seconds }, (_, i) => {
  const second = Math.floor(i / atOnce)
  const timeNs = epochNs + BigInt(second < 700 ? second : second + 86_400) * secondNs
  return sampleOf(timeNs, i, {
    metricName: `M${Math.floor((i % atOnce) / gpus)}`,
    uuid: `GPU-${i % gpus}`
  })
})

/** Nothing is asked but what an answer needs. */
const quiet = { openIntervalMs: 1e9, everythingIntervalMs: 1e9 }

const built = Effect.gen(function* () {
  const config = yield* InfluxConfig
  const proxy = yield* Effect.acquireRelease(
    Effect.promise(() => FaultProxy.start(config.url)),
    (started) => Effect.promise(() => started.refuse())
  )
  const layer = Layer.provide(layerInflux, InfluxConfig.layer({ ...config, ...quiet, url: proxy.url }))
  const store = Context.get(yield* Layer.build(layer), TelemetryStore)
  for (let first = 0; first < samples.length; first += writeSamplesMax) {
    yield* store.write(samples.slice(first, first + writeSamplesMax))
  }
  return { proxy, store }
})

const queriesOf = ({ asked }: FaultProxy): number =>
  asked.filter(({ path }) => path.includes("/query")).length

it.scopedLive.skipIf(!isInfluxThere)("a large result comes whole, in order, and as it is taken", () =>
  Effect.gen(function* () {
    const { proxy, store } = yield* built
    for (const order of ["asc", "desc"] as const) {
      const expected = order === "asc" ? samples : [...samples].reverse()
      const chunks = yield* Stream.runCollect(store.samples({ order, hostname: "host-1" }))
      // Compared by value: ninety thousand deep comparisons take minutes.
      const values = Chunk.toReadonlyArray(chunks).flatMap((chunk) => chunk.map(({ value }) => value))
      expect(values).toEqual(expected.map(({ value }) => value))
      for (const offset of [0, 3_999, 4_001, 4_321, 20_950, 21_000, 44_899, 44_950, 45_000, 60_000]) {
        const page = yield* store.page({ order, hostname: "host-1" }, { limit: 100, start: { offset } })
        const wanted = expected.slice(offset, offset + 100)
        expect(
          page.map(({ value }) => value),
          `${order} from ${offset}`
        ).toEqual(wanted.map(({ value }) => value))
      }
    }
    yield* store.stats
    proxy.asked.length = 0
    yield* Stream.runDrain(Stream.take(store.samples({ order: "asc" }), 1))
    const forOneChunk = queriesOf(proxy)
    proxy.asked.length = 0
    yield* Stream.runDrain(store.samples({ order: "asc" }))
    // A query for each five thousand samples and more: what nobody takes is not asked for.
    expect(queriesOf(proxy) - forOneChunk).toBeGreaterThan(5)
  }).pipe(Effect.provide(freshBucket()))
)

it.scopedLive.skipIf(!isInfluxThere)("windows of a large result are those of memory, in either order", () =>
  Effect.gen(function* () {
    const { store } = yield* built
    const memory = Context.get(
      yield* Layer.build(Layer.provide(layerMemory, MemoryStoreConfig.layer())),
      TelemetryStore
    )
    yield* memory.write(samples)
    const windows = (of: TelemetryStore["Type"], query: WindowQuery) =>
      Effect.map(Stream.runCollect(of.windows(query)), (chunks) => Chunk.toReadonlyArray(chunks).flat())
    for (const [seconds, aggregate, groupBy, order] of [
      [1n, "mean", "gpu", "asc"],
      [1n, "p95", "metric", "desc"],
      [7n, "max", "gpu", "desc"],
      [7n, "last", "host", "asc"],
      [60n, "count", "metric", "desc"],
      [3_600n, "sum", "model", "asc"],
      [86_400n, "p50", "gpu", "desc"]
    ] as const) {
      const query: WindowQuery = { windowNs: seconds * secondNs, aggregate, groupBy, order }
      const expected = yield* windows(memory, query)
      const found = yield* windows(store, query)
      const label = `${aggregate} of ${seconds}s by ${groupBy}, ${order}`
      expect(found.length, label).toBe(expected.length)
      const differing = found.findIndex((row, i) => {
        const { value, ...place } = expected[i]!
        return (
          Math.abs(row.value - value) > 1e-9 * Math.abs(value) ||
          row.startNs !== place.startNs ||
          row.metricName !== place.metricName ||
          row.group !== place.group
        )
      })
      expect(differing, label).toBe(-1)
    }
  }).pipe(Effect.provide(freshBucket()))
)
