/** Results of more samples than one answer of InfluxDB may hold: whole, in order, and no faster than they are taken. */
import { expect, it } from "@effect/vitest"
import { Chunk, Context, Effect, Layer, Stream } from "effect"
import { TelemetryStore } from "../../../src/layers/TelemetryStore.ts"
import { InfluxConfig, layerInflux } from "../../../src/layers/telemetry-store/influx.ts"
import { writeSamplesMax } from "../../../src/protocol/Limits.ts"
import { freshBucket, isInfluxThere } from "../../influx/Buckets.ts"
import { FaultProxy } from "../../influx/FaultProxy.ts"
import { epochNs, sampleOf, secondNs } from "../../Samples.ts"

const metrics = 30
const seconds = 1_500

/** Ascending: at each second all metrics, and for some seconds nothing. */
const samples = Array.from({ length: metrics * seconds }, (_, i) => {
  const second = Math.floor(i / metrics)
  const timeNs = epochNs + BigInt(second < 700 ? second : second + 86_400) * secondNs
  return sampleOf(timeNs, i, { metricName: `M${String(i % metrics).padStart(2, "0")}` })
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
      const chunks = yield* Stream.runCollect(store.samples({ order, uuid: "GPU-1" }))
      // Compared by value: ninety thousand deep comparisons take minutes.
      const values = Chunk.toReadonlyArray(chunks).flatMap((chunk) => chunk.map(({ value }) => value))
      expect(values).toEqual(expected.map(({ value }) => value))
      for (const offset of [0, 3_999, 4_001, 4_321, 20_950, 21_000, 44_899, 44_950, 45_000, 60_000]) {
        const page = yield* store.page({ order, uuid: "GPU-1" }, { limit: 100, start: { offset } })
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
