/** What every telemetry store answers to queries: order, pages, filters, streams. */
import { expect } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import { type SampleQuery, TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import { epochNs, sampleOf, secondNs } from "../Samples.ts"
import { all, type Test, write } from "./TelemetryStore.samples.ts"

/** Ascending by time, then metric, UUID, host, GPU index as a number, labels; as UTF-8 bytes, a missing tag first. */
const inOrder: ReadonlyArray<Sample> = [
  sampleOf(epochNs - secondNs, 0, { metricName: "Z" }),
  sampleOf(epochNs, 1, { metricName: "A", uuid: "GPU-2" }),
  sampleOf(epochNs, 2, { metricName: "B", uuid: "GPU-1", hostname: "" }),
  sampleOf(epochNs, 3, { metricName: "B", uuid: "GPU-1", gpuId: undefined }),
  sampleOf(epochNs, 4, { metricName: "B", uuid: "GPU-1", gpuId: 2 }),
  sampleOf(epochNs, 5, { metricName: "B", uuid: "GPU-1", gpuId: 10 }),
  sampleOf(epochNs, 6, { metricName: "B", uuid: "GPU-1", gpuId: 10, labels: [["b", "1"]] }),
  sampleOf(epochNs, 7, { metricName: "B", uuid: "GPU-1", gpuId: 10, labels: [["a", "1"]] }),
  sampleOf(epochNs, 8, { metricName: "B", uuid: "GPU-10" }),
  sampleOf(epochNs, 9, { metricName: "B", uuid: "GPU-\ue000" }),
  sampleOf(epochNs, 10, { metricName: "B", uuid: "GPU-\u{1f600}" }),
  sampleOf(epochNs + 1n, 11, { metricName: "A" })
]

const shuffled: ReadonlyArray<Sample> = [...inOrder].sort(
  (a, b) => ((a.value * 7) % 12) - ((b.value * 7) % 12)
)

/** Guarantees about order and pages. */
export const pages = (test: Test): void => {
  test(
    "a result is in the global order, across series",
    Effect.gen(function* () {
      yield* write(...shuffled)
      expect(yield* all()).toEqual(inOrder)
    })
  )
  test(
    "descending is the exact reverse of ascending",
    Effect.gen(function* () {
      yield* write(...shuffled)
      expect(yield* all({ order: "desc" })).toEqual([...inOrder].reverse())
    })
  )
  test(
    "pages by offset and by cursor are slices of the result",
    Effect.gen(function* () {
      yield* write(...shuffled)
      const store = yield* TelemetryStore
      for (const order of ["asc", "desc"] as const) {
        const whole = order === "asc" ? inOrder : [...inOrder].reverse()
        for (let offset = 1; offset < whole.length; offset++) {
          const slice = whole.slice(offset, offset + 5)
          expect(yield* store.page({ order }, { limit: 5, start: { offset } })).toEqual(slice)
          const after = whole[offset - 1]!
          expect(yield* store.page({ order }, { limit: 5, start: { after } })).toEqual(slice)
        }
      }
    })
  )
  test(
    "behind the end is nothing",
    Effect.gen(function* () {
      yield* write(sampleOf(epochNs))
      const store = yield* TelemetryStore
      expect(yield* store.page({ order: "asc" }, { limit: 5, start: { offset: 1 } })).toEqual([])
      expect(yield* store.page({ order: "asc" }, { limit: 5, start: { after: sampleOf(epochNs) } })).toEqual(
        []
      )
    })
  )
  test(
    "a cursor goes on where its sample would be, also if there is no such sample",
    Effect.gen(function* () {
      const earlier = sampleOf(epochNs)
      const later = sampleOf(epochNs + 2n)
      yield* write(earlier, later)
      const store = yield* TelemetryStore
      for (const after of [
        sampleOf(epochNs + 1n, 0, { uuid: "GPU-0" }),
        sampleOf(epochNs, 0, { uuid: "GPU-3" })
      ]) {
        expect(yield* store.page({ order: "asc" }, { limit: 5, start: { after } })).toEqual([later])
        expect(yield* store.page({ order: "desc" }, { limit: 5, start: { after } })).toEqual([earlier])
      }
    })
  )
}

/** Guarantees about filters. */
export const filters = (test: Test): void => {
  test(
    "start and end are inclusive",
    Effect.gen(function* () {
      yield* write(...[0n, 1n, 2n, 3n].map((nanos) => sampleOf(epochNs + nanos)))
      const within = yield* all({ startNs: epochNs + 1n, endNs: epochNs + 2n })
      expect(within.map(({ timeNs }) => timeNs)).toEqual([epochNs + 1n, epochNs + 2n])
      expect(yield* all({ startNs: epochNs + 4n })).toEqual([])
      expect(yield* all({ startNs: epochNs + 2n, endNs: epochNs + 1n })).toEqual([])
    })
  )
  test(
    "each filter restricts, and all together do",
    Effect.gen(function* () {
      const wanted = sampleOf(epochNs)
      yield* write(
        wanted,
        sampleOf(epochNs, 2, { uuid: "GPU-2" }),
        sampleOf(epochNs, 3, { metricName: "Z" }),
        sampleOf(epochNs, 4, { hostname: "host-2" }),
        sampleOf(epochNs, 5, { gpuId: 1 }),
        sampleOf(epochNs, 6, { gpuId: undefined }),
        sampleOf(epochNs + secondNs, 7)
      )
      const valuesOf = (query: Partial<SampleQuery>) =>
        Effect.map(all(query), (samples) => samples.map(({ value }) => value).sort())
      expect(yield* valuesOf({ uuid: "GPU-1" })).toEqual([1, 3, 4, 5, 6, 7])
      expect(yield* valuesOf({ metricName: "DCGM_FI_DEV_GPU_UTIL" })).toEqual([1, 2, 4, 5, 6, 7])
      expect(yield* valuesOf({ hostname: "host-1" })).toEqual([1, 2, 3, 5, 6, 7])
      expect(yield* valuesOf({ gpuId: 0 })).toEqual([1, 2, 3, 4, 7])
      const { uuid, metricName, hostname } = wanted.series
      expect(yield* all({ uuid, metricName, hostname, gpuId: 0, endNs: epochNs })).toEqual([wanted])
    })
  )
  test(
    "a filter is compared, never interpreted",
    Effect.gen(function* () {
      yield* write(sampleOf(epochNs))
      for (const text of ['" or true or "', "GPU-.*", "*", "GPU-1\\", "gpu-1", " GPU-1"]) {
        expect(yield* all({ uuid: text })).toEqual([])
        expect(yield* all({ metricName: text })).toEqual([])
        expect(yield* all({ hostname: text })).toEqual([])
      }
    })
  )
}

const collected = (query: SampleQuery) =>
  Effect.gen(function* () {
    const store = yield* TelemetryStore
    return Chunk.toReadonlyArray(yield* Stream.runCollect(store.samples(query))).flat()
  })

const manySamples: ReadonlyArray<Sample> = Array.from({ length: 2_500 }, (_, i) =>
  sampleOf(epochNs + BigInt(Math.floor(i / 5)), i, { uuid: `GPU-${i % 5}` })
)

/** Guarantees about streams. */
export const streams = (test: Test): void => {
  test(
    "a stream is the whole result, in order",
    Effect.gen(function* () {
      yield* write(...manySamples)
      expect(yield* collected({ order: "asc" })).toEqual(manySamples)
      expect(yield* collected({ order: "desc" })).toEqual([...manySamples].reverse())
      const ofOne = manySamples.filter(({ series }) => series.uuid === "GPU-3")
      expect(yield* collected({ order: "asc", uuid: "GPU-3" })).toEqual(ofOne)
    })
  )
  test(
    "the stream of nothing is empty",
    Effect.gen(function* () {
      expect(yield* collected({ order: "desc" })).toEqual([])
    })
  )
  test(
    "writing while a stream is read neither repeats nor hides what was there",
    Effect.gen(function* () {
      yield* write(...manySamples)
      const store = yield* TelemetryStore
      for (const order of ["asc", "desc"] as const) {
        const chunks = yield* store.samples({ order }).pipe(
          Stream.tap(() => write(sampleOf(epochNs - 1n), sampleOf(epochNs + 250n, 1, { uuid: "GPU-9" }))),
          Stream.runCollect
        )
        const values = new Set(manySamples)
        const read = Chunk.toReadonlyArray(chunks).flat()
        const old = read.filter(({ series, timeNs }) => series.uuid !== "GPU-9" && timeNs >= epochNs)
        expect(old.length).toBe(values.size)
        expect(old).toEqual(order === "asc" ? manySamples : [...manySamples].reverse())
      }
    })
  )
}
