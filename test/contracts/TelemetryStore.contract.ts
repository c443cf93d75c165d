/**
 * What every telemetry store keeps, whatever it stands on. Run it against a layer that gives a fresh, empty store each time
 * it is built, bounded by nothing that a few thousand samples of July 2025 would reach.
 */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, type Layer, Option, Stream } from "effect"
import { type Page, type SampleQuery, TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import type { Series } from "../../src/protocol/Series.ts"

/** 2025-07-18T20:42:34Z. */
const t0 = 1_752_871_354_000_000_000n
const second = 1_000_000_000n

const seriesOf = (tags: Partial<Series> = {}): Series => ({
  metricName: "DCGM_FI_DEV_GPU_UTIL",
  uuid: "GPU-1",
  hostname: "host-1",
  gpuId: 0,
  device: "nvidia0",
  modelName: "NVIDIA H100 80GB HBM3",
  container: "",
  pod: "",
  namespace: "",
  labels: [],
  ...tags
})

const sampleOf = (timeNs: bigint, value = 1, tags: Partial<Series> = {}): Sample => ({
  series: seriesOf(tags),
  timeNs,
  value
})

const firstPage: Page = { limit: 10_000, start: { offset: 0 } }

const all = (query: Partial<SampleQuery> = {}) =>
  Effect.flatMap(TelemetryStore, (store) => store.page({ order: "asc", ...query }, firstPage))

const write = (...samples: ReadonlyArray<Sample>) =>
  Effect.flatMap(TelemetryStore, (store) => store.write(samples))

/** The suite of the service. */
export const telemetryStoreContract = <E>(name: string, layer: Layer.Layer<TelemetryStore, E>): void => {
  // Live, because a store may stand on a network with deadlines of its own.
  const test = (guarantee: string, body: Effect.Effect<void, unknown, TelemetryStore>) =>
    it.live(guarantee, () => Effect.provide(body, layer))

  describe(`TelemetryStore on ${name}`, () => {
    describe("identity", () => identity(test))
    describe("order and pages", () => pages(test))
    describe("filters", () => filters(test))
    describe("streams", () => streams(test))
    describe("GPUs and metrics", () => catalogue(test))
    describe("figures", () => figures(test))
  })
}

type Test = (guarantee: string, body: Effect.Effect<void, unknown, TelemetryStore>) => void

const identity = (test: Test): void => {
  test(
    "a sample comes back as it was written",
    Effect.gen(function* () {
      const written = sampleOf(t0 + 123_456_789n, 0.1 + 0.2, {
        uuid: "GPU-\u{1f600}, a=b",
        hostname: 'quote " and \\ backslash',
        gpuId: 7,
        container: "c 1",
        pod: "é",
        namespace: "中",
        labels: [
          ["job", "dgx, exporter=1"],
          ["\ue000", "\u{10000}"]
        ]
      })
      yield* write(written)
      expect(yield* all()).toEqual([written])
    })
  )
  test(
    "values keep every bit",
    Effect.gen(function* () {
      const values = [0, -1.5, 1e21, 5e-324, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, 1 / 3]
      yield* write(...values.map((value, i) => sampleOf(t0 + BigInt(i), value)))
      expect((yield* all()).map(({ value }) => value)).toEqual(values)
    })
  )
  test(
    "nanoseconds survive",
    Effect.gen(function* () {
      const times = [-1n, t0, t0 + 1n, t0 + 2n, t0 + 999_999_999n]
      yield* write(...times.map((timeNs) => sampleOf(timeNs)))
      expect((yield* all()).map(({ timeNs }) => timeNs)).toEqual(times)
    })
  )
  test(
    "a second value for one identity replaces the first",
    Effect.gen(function* () {
      yield* write(sampleOf(t0, 1), sampleOf(t0 + second, 2))
      const report = yield* write(sampleOf(t0, 3))
      expect(report).toEqual({ stored: 1, olderThanRetention: [] })
      expect((yield* all()).map(({ value }) => value)).toEqual([3, 2])
    })
  )
  test(
    "of two values for one identity in one write the later is kept",
    Effect.gen(function* () {
      yield* write(sampleOf(t0, 1), sampleOf(t0, 2))
      expect((yield* all()).map(({ value }) => value)).toEqual([2])
    })
  )
  test(
    "every tag and label is part of the identity",
    Effect.gen(function* () {
      const others: ReadonlyArray<Partial<Series>> = [
        {},
        { metricName: "DCGM_FI_DEV_GPU_TEMP" },
        { uuid: "GPU-2" },
        { hostname: "host-2" },
        { gpuId: 1 },
        { gpuId: undefined },
        { device: "nvidia1" },
        { modelName: "A100" },
        { container: "x" },
        { pod: "x" },
        { namespace: "x" },
        { labels: [["a", "x"]] },
        { labels: [["a", "y"]] },
        { labels: [["b", "x"]] }
      ]
      yield* write(...others.map((tags, i) => sampleOf(t0, i, tags)))
      const values = (yield* all()).map(({ value }) => value)
      expect(values.sort((a, b) => a - b)).toEqual(others.map((_, i) => i))
    })
  )
  test(
    "an empty write stores nothing",
    Effect.gen(function* () {
      expect(yield* write()).toEqual({ stored: 0, olderThanRetention: [] })
      expect(yield* all()).toEqual([])
    })
  )
}

/** Ascending by time, then metric, UUID, host, GPU index as a number, labels; as UTF-8 bytes, a missing tag first. */
const inOrder: ReadonlyArray<Sample> = [
  sampleOf(t0 - second, 0, { metricName: "Z" }),
  sampleOf(t0, 1, { metricName: "A", uuid: "GPU-2" }),
  sampleOf(t0, 2, { metricName: "B", uuid: "GPU-1", hostname: "" }),
  sampleOf(t0, 3, { metricName: "B", uuid: "GPU-1", gpuId: undefined }),
  sampleOf(t0, 4, { metricName: "B", uuid: "GPU-1", gpuId: 2 }),
  sampleOf(t0, 5, { metricName: "B", uuid: "GPU-1", gpuId: 10 }),
  sampleOf(t0, 6, { metricName: "B", uuid: "GPU-1", gpuId: 10, labels: [["b", "1"]] }),
  sampleOf(t0, 7, { metricName: "B", uuid: "GPU-1", gpuId: 10, labels: [["a", "1"]] }),
  sampleOf(t0, 8, { metricName: "B", uuid: "GPU-10" }),
  sampleOf(t0, 9, { metricName: "B", uuid: "GPU-\ue000" }),
  sampleOf(t0, 10, { metricName: "B", uuid: "GPU-\u{1f600}" }),
  sampleOf(t0 + 1n, 11, { metricName: "A" })
]

const shuffled: ReadonlyArray<Sample> = [...inOrder].sort(
  (a, b) => ((a.value * 7) % 12) - ((b.value * 7) % 12)
)

const pages = (test: Test): void => {
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
      yield* write(sampleOf(t0))
      const store = yield* TelemetryStore
      expect(yield* store.page({ order: "asc" }, { limit: 5, start: { offset: 1 } })).toEqual([])
      expect(yield* store.page({ order: "asc" }, { limit: 5, start: { after: sampleOf(t0) } })).toEqual([])
    })
  )
  test(
    "a cursor goes on where its sample would be, also if there is no such sample",
    Effect.gen(function* () {
      const earlier = sampleOf(t0)
      const later = sampleOf(t0 + 2n)
      yield* write(earlier, later)
      const store = yield* TelemetryStore
      for (const after of [sampleOf(t0 + 1n, 0, { uuid: "GPU-0" }), sampleOf(t0, 0, { uuid: "GPU-3" })]) {
        expect(yield* store.page({ order: "asc" }, { limit: 5, start: { after } })).toEqual([later])
        expect(yield* store.page({ order: "desc" }, { limit: 5, start: { after } })).toEqual([earlier])
      }
    })
  )
}

const filters = (test: Test): void => {
  test(
    "start and end are inclusive",
    Effect.gen(function* () {
      yield* write(...[0n, 1n, 2n, 3n].map((nanos) => sampleOf(t0 + nanos)))
      const within = yield* all({ startNs: t0 + 1n, endNs: t0 + 2n })
      expect(within.map(({ timeNs }) => timeNs)).toEqual([t0 + 1n, t0 + 2n])
      expect(yield* all({ startNs: t0 + 4n })).toEqual([])
      expect(yield* all({ startNs: t0 + 2n, endNs: t0 + 1n })).toEqual([])
    })
  )
  test(
    "each filter restricts, and all together do",
    Effect.gen(function* () {
      const wanted = sampleOf(t0)
      yield* write(
        wanted,
        sampleOf(t0, 2, { uuid: "GPU-2" }),
        sampleOf(t0, 3, { metricName: "Z" }),
        sampleOf(t0, 4, { hostname: "host-2" }),
        sampleOf(t0, 5, { gpuId: 1 }),
        sampleOf(t0, 6, { gpuId: undefined }),
        sampleOf(t0 + second, 7)
      )
      const valuesOf = (query: Partial<SampleQuery>) =>
        Effect.map(all(query), (samples) => samples.map(({ value }) => value).sort())
      expect(yield* valuesOf({ uuid: "GPU-1" })).toEqual([1, 3, 4, 5, 6, 7])
      expect(yield* valuesOf({ metricName: "DCGM_FI_DEV_GPU_UTIL" })).toEqual([1, 2, 4, 5, 6, 7])
      expect(yield* valuesOf({ hostname: "host-1" })).toEqual([1, 2, 3, 5, 6, 7])
      expect(yield* valuesOf({ gpuId: 0 })).toEqual([1, 2, 3, 4, 7])
      const { uuid, metricName, hostname } = wanted.series
      expect(yield* all({ uuid, metricName, hostname, gpuId: 0, endNs: t0 })).toEqual([wanted])
    })
  )
  test(
    "a filter is compared, never interpreted",
    Effect.gen(function* () {
      yield* write(sampleOf(t0))
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
  sampleOf(t0 + BigInt(Math.floor(i / 5)), i, { uuid: `GPU-${i % 5}` })
)

const streams = (test: Test): void => {
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
          Stream.tap(() => write(sampleOf(t0 - 1n), sampleOf(t0 + 250n, 1, { uuid: "GPU-9" }))),
          Stream.runCollect
        )
        const values = new Set(manySamples)
        const read = Chunk.toReadonlyArray(chunks).flat()
        const old = read.filter(({ series, timeNs }) => series.uuid !== "GPU-9" && timeNs >= t0)
        expect(old.length).toBe(values.size)
        expect(old).toEqual(order === "asc" ? manySamples : [...manySamples].reverse())
      }
    })
  )
}

const catalogue = (test: Test): void => {
  test(
    "an unknown GPU is none",
    Effect.gen(function* () {
      yield* write(sampleOf(t0))
      const store = yield* TelemetryStore
      expect(yield* store.gpu("GPU-2")).toEqual(Option.none())
      expect(yield* store.metricNames(Option.some("GPU-2"))).toEqual([])
      expect(yield* all({ uuid: "GPU-2" })).toEqual([])
    })
  )
  test(
    "a GPU is described by its newest sample, whenever that was written",
    Effect.gen(function* () {
      const moved = { hostname: "host-2", gpuId: 3, device: "nvidia3", modelName: "H200" }
      yield* write(sampleOf(t0 + second, 1, moved), sampleOf(t0, 1, { metricName: "A" }))
      yield* write(sampleOf(t0 - second))
      const store = yield* TelemetryStore
      const gpu = { uuid: "GPU-1", ...moved, firstSeenNs: t0 - second, lastSeenNs: t0 + second }
      expect(yield* store.gpu("GPU-1")).toEqual(Option.some(gpu))
      expect(yield* store.gpus({})).toEqual([gpu])
      expect(yield* store.gpus({ hostname: "host-2", modelName: "H200" })).toEqual([gpu])
      expect(yield* store.gpus({ hostname: "host-1" })).toEqual([])
    })
  )
  test(
    "every GPU is listed, by UUID as UTF-8, however long it has been silent",
    Effect.gen(function* () {
      const day = 86_400n * second
      yield* write(
        sampleOf(t0, 1, { uuid: "GPU-\u{1f600}" }),
        sampleOf(t0 - 5n * day, 1, { uuid: "GPU-\ue000" }),
        sampleOf(t0 - 30n * day, 1, { uuid: "GPU-10" }),
        sampleOf(t0, 1, { uuid: "GPU-2" })
      )
      const store = yield* TelemetryStore
      const listed = (yield* store.gpus({})).map(({ uuid }) => uuid)
      expect(listed).toEqual(["GPU-10", "GPU-2", "GPU-\ue000", "GPU-\u{1f600}"])
    })
  )
  test(
    "metric names are listed once, in order, for one GPU and for all",
    Effect.gen(function* () {
      yield* write(
        sampleOf(t0, 1, { metricName: "B" }),
        sampleOf(t0, 1, { metricName: "B", pod: "p" }),
        sampleOf(t0, 1, { metricName: "A" }),
        sampleOf(t0, 1, { metricName: "C", uuid: "GPU-2" })
      )
      const store = yield* TelemetryStore
      expect(yield* store.metricNames(Option.some("GPU-1"))).toEqual(["A", "B"])
      expect(yield* store.metricNames(Option.none())).toEqual(["A", "B", "C"])
    })
  )
}

const figures = (test: Test): void => {
  test(
    "an empty store has no times, and can answer",
    Effect.gen(function* () {
      const store = yield* TelemetryStore
      yield* store.ready
      expect(yield* store.stats).toEqual({ gpus: 0, samples: 0, evicted: 0 })
      expect(yield* store.gpus({})).toEqual([])
      expect(yield* store.metricNames(Option.none())).toEqual([])
    })
  )
  test(
    "figures count identities, not writes",
    Effect.gen(function* () {
      yield* write(sampleOf(t0), sampleOf(t0 + 5n, 1, { uuid: "GPU-2" }), sampleOf(t0 + 3n))
      yield* write(sampleOf(t0, 2), sampleOf(t0 - 7n))
      const store = yield* TelemetryStore
      expect(yield* store.stats).toEqual({
        gpus: 2,
        samples: 4,
        evicted: 0,
        oldestNs: t0 - 7n,
        newestNs: t0 + 5n
      })
    })
  )
}
