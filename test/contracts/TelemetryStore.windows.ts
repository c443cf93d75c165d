/** What every telemetry store answers about windows: their bounds, their groups, and what their values come to. */
import { expect } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import { TelemetryStore, type WindowQuery, type WindowValue } from "../../src/layers/TelemetryStore.ts"
import { aggregates, type Grouping, groupings } from "../../src/protocol/Window.ts"
import { epochNs, sampleAt, sampleOf, secondNs } from "../Samples.ts"
import { type Test, write } from "./TelemetryStore.samples.ts"

const minuteNs = 60n * secondNs
/** 2025-07-18T20:42:00Z, when the minute of the samples starts. */
const minuteStartNs = epochNs - 34n * secondNs

const defaults: WindowQuery = { order: "asc", windowNs: minuteNs, aggregate: "sum", groupBy: "metric" }

/** Every window of a query: by default the sums of minutes, ascending, of all series of a metric together. */
const windows = (query: Partial<WindowQuery> = {}) =>
  Effect.gen(function* () {
    const store = yield* TelemetryStore
    const chunks = yield* Stream.runCollect(store.windows({ ...defaults, ...query }))
    return Chunk.toReadonlyArray(chunks).flat()
  })

const util = "DCGM_FI_DEV_GPU_UTIL"
const temperature = "DCGM_FI_DEV_GPU_TEMP"

const rowOf = (startNs: bigint, value: number, group = "", metricName = util): WindowValue => ({
  startNs,
  metricName,
  group,
  value
})

/** Guarantees about the bounds of windows. */
export const windowBounds = (test: Test): void => {
  test(
    "nothing has no windows",
    Effect.gen(function* () {
      expect(yield* windows()).toEqual([])
      yield* write(sampleOf(epochNs))
      expect(yield* windows({ uuid: "GPU-2" })).toEqual([])
      expect(yield* windows({ startNs: epochNs + 1n })).toEqual([])
      expect(yield* windows({ startNs: epochNs + 1n, endNs: epochNs - 1n })).toEqual([])
    })
  )
  test(
    "windows are aligned to the epoch, named by their start, and hold what is before their end; empty ones are left out",
    Effect.gen(function* () {
      const starts = [-60n, -1n, 0n, 1n, 600n].map((minutes) => minuteStartNs + minutes * minuteNs)
      yield* write(
        ...starts.flatMap((startNs, i) => [sampleOf(startNs, i), sampleOf(startNs + minuteNs - 1n, 10)])
      )
      const expected = starts.map((startNs, i) => rowOf(startNs, 10 + i))
      expect(yield* windows()).toEqual(expected)
      expect(yield* windows({ order: "desc" })).toEqual([...expected].reverse())
    })
  )
  test(
    "before 1970 too",
    Effect.gen(function* () {
      const times = [-minuteNs - 1n, -minuteNs, -1n, 0n, minuteNs - 1n, minuteNs]
      yield* write(...times.map((timeNs, i) => sampleOf(timeNs, 10 ** i)))
      const expected = [
        rowOf(-2n * minuteNs, 1),
        rowOf(-minuteNs, 110),
        rowOf(0n, 11_000),
        rowOf(minuteNs, 100_000)
      ]
      expect(yield* windows()).toEqual(expected)
      expect(yield* windows({ order: "desc" })).toEqual([...expected].reverse())
    })
  )
  test(
    "a window may have any length, from nanoseconds to what holds everything",
    Effect.gen(function* () {
      const odd = 7_000_003n
      const startNs = epochNs - (epochNs % odd)
      yield* write(
        sampleOf(startNs - 1n, 1),
        sampleOf(startNs, 2),
        sampleOf(startNs + odd - 1n, 4),
        sampleOf(startNs + odd, 8)
      )
      expect(yield* windows({ windowNs: odd })).toEqual([
        rowOf(startNs - odd, 1),
        rowOf(startNs, 6),
        rowOf(startNs + odd, 8)
      ])
      const single = [1n, 2n].map((windowNs) => windows({ windowNs, startNs, endNs: startNs }))
      for (const found of yield* Effect.all(single)) expect(found.map(({ value }) => value)).toEqual([2])
      // 365 days, which do not begin with a year.
      const yearNs = 31_536_000n * secondNs
      expect(yield* windows({ windowNs: yearNs })).toEqual([rowOf((epochNs / yearNs) * yearNs, 15)])
    })
  )
  test(
    "a window is cut at the start and the end, which are inclusive, and keeps its name",
    Effect.gen(function* () {
      yield* write(...[0, 1, 2, 25, 26, 27, 28].map((seconds, i) => sampleAt(seconds, {}, 10 ** i)))
      const cut = { startNs: epochNs + secondNs, endNs: epochNs + 27n * secondNs }
      const expected = [rowOf(minuteStartNs, 1_110), rowOf(minuteStartNs + minuteNs, 110_000)]
      expect(yield* windows(cut)).toEqual(expected)
      expect(yield* windows({ ...cut, order: "desc" })).toEqual([...expected].reverse())
      expect(yield* windows({ startNs: cut.startNs + 1n, endNs: cut.endNs - 1n })).toEqual([
        rowOf(minuteStartNs, 1_100),
        rowOf(minuteStartNs + minuteNs, 10_000)
      ])
    })
  )
  test(
    "what was written is in the windows that are asked for next, each identity once",
    Effect.gen(function* () {
      yield* write(sampleAt(0, {}, 5), sampleAt(1, {}, 6))
      expect(yield* windows({ aggregate: "count" })).toEqual([rowOf(minuteStartNs, 2)])
      yield* write(sampleAt(0, {}, 7), sampleAt(60, {}, 1))
      expect(yield* windows()).toEqual([rowOf(minuteStartNs, 13), rowOf(minuteStartNs + minuteNs, 1)])
      expect(yield* windows({ aggregate: "count" })).toEqual([
        rowOf(minuteStartNs, 2),
        rowOf(minuteStartNs + minuteNs, 1)
      ])
    })
  )
}

/** Guarantees about the groups of windows. */
export const windowGroups = (test: Test): void => {
  test(
    "the samples of a metric are told apart by GPU, host or model, or not at all",
    Effect.gen(function* () {
      yield* write(
        sampleAt(0, { uuid: "GPU-1", hostname: "host-1", modelName: "A100" }, 1),
        sampleAt(0, { uuid: "GPU-1", hostname: "host-1", modelName: "A100", pod: "p" }, 10),
        sampleAt(1, { uuid: "GPU-2", hostname: "host-1", modelName: "H100" }, 100),
        sampleAt(2, { uuid: "GPU-3", hostname: "host-2", modelName: "H100", labels: [["a", "b"]] }, 1_000),
        sampleAt(3, { uuid: "GPU-3", hostname: "host-2", modelName: "H100", metricName: temperature }, 7)
      )
      const sums: Record<
        Grouping,
        ReadonlyArray<readonly [group: string, value: number, metric?: string]>
      > = {
        gpu: [
          ["GPU-3", 7, temperature],
          ["GPU-1", 11],
          ["GPU-2", 100],
          ["GPU-3", 1_000]
        ],
        host: [
          ["host-2", 7, temperature],
          ["host-1", 111],
          ["host-2", 1_000]
        ],
        model: [
          ["H100", 7, temperature],
          ["A100", 11],
          ["H100", 1_100]
        ],
        metric: [
          ["", 7, temperature],
          ["", 1_111]
        ]
      }
      for (const groupBy of groupings) {
        const expected = sums[groupBy].map(([group, value, metric]) =>
          rowOf(minuteStartNs, value, group, metric)
        )
        expect(yield* windows({ groupBy })).toEqual(expected)
        expect(yield* windows({ groupBy, order: "desc" })).toEqual([...expected].reverse())
      }
    })
  )
  test(
    "what lacks a tag is a group of its own, named by an empty text",
    Effect.gen(function* () {
      yield* write(
        sampleAt(0, { hostname: "", modelName: "" }, 1),
        sampleAt(1, { hostname: "", modelName: "m" }, 10),
        sampleAt(2, { hostname: "h", modelName: "" }, 100)
      )
      expect(yield* windows({ groupBy: "host" })).toEqual([
        rowOf(minuteStartNs, 11),
        rowOf(minuteStartNs, 100, "h")
      ])
      expect(yield* windows({ groupBy: "model" })).toEqual([
        rowOf(minuteStartNs, 101),
        rowOf(minuteStartNs, 10, "m")
      ])
    })
  )
  test(
    "windows are ordered by start, then metric, then group, as UTF-8; descending is the exact reverse",
    Effect.gen(function* () {
      const inOrder = [
        [-60, "Z", "GPU-1"],
        [0, "A", "GPU-\u{1f600}"],
        [0, "B", "GPU-1"],
        [0, "B", "GPU-10"],
        [0, "B", "GPU-2"],
        [0, "B", "GPU-\ue000"],
        [0, "B", "GPU-\u{1f600}"],
        [0, "\ue000", "GPU-1"],
        [0, "\u{1f600}", "GPU-1"],
        [60, "A", "GPU-1"]
      ] as const
      yield* write(
        ...inOrder
          .map(([seconds, metricName, uuid], i) => sampleAt(seconds, { metricName, uuid }, i))
          .sort((a, b) => ((a.value * 7) % 10) - ((b.value * 7) % 10))
      )
      for (const aggregate of aggregates) {
        const query = { aggregate, groupBy: "gpu" } as const
        const ascending = yield* windows(query)
        expect(
          ascending.map(({ startNs, metricName, group }) => [
            Number((startNs - minuteStartNs) / secondNs),
            metricName,
            group
          ])
        ).toEqual(inOrder)
        expect(yield* windows({ ...query, order: "desc" })).toEqual([...ascending].reverse())
      }
    })
  )
  test(
    "a filter decides which samples are in a window, whatever it is grouped by",
    Effect.gen(function* () {
      yield* write(
        sampleAt(0, {}, 1),
        sampleAt(0, { uuid: "GPU-2" }, 10),
        sampleAt(0, { hostname: "host-2" }, 100),
        sampleAt(0, { gpuId: 1 }, 1_000),
        sampleAt(0, { gpuId: undefined }, 10_000),
        sampleAt(0, { metricName: temperature }, 5)
      )
      expect(yield* windows({ groupBy: "host", uuid: "GPU-1", metricName: util })).toEqual([
        rowOf(minuteStartNs, 11_001, "host-1"),
        rowOf(minuteStartNs, 100, "host-2")
      ])
      expect(yield* windows({ groupBy: "gpu", hostname: "host-1", gpuId: 0 })).toEqual([
        rowOf(minuteStartNs, 5, "GPU-1", temperature),
        rowOf(minuteStartNs, 1, "GPU-1"),
        rowOf(minuteStartNs, 10, "GPU-2")
      ])
      expect(yield* windows({ metricName: temperature })).toEqual([rowOf(minuteStartNs, 5, "", temperature)])
      expect(yield* windows({ hostname: '" or true or "' })).toEqual([])
    })
  )
}

/** Values of one metric within a minute, of four series that take turns. */
const scattered = [4, -8, 15.5, 16, 23, 42, 0.25]

/** Guarantees about what the values of a window come to. */
export const windowValues = (test: Test): void => {
  test(
    "each aggregate is over all samples of the window, whichever series they are of",
    Effect.gen(function* () {
      const members = [{}, { uuid: "GPU-2" }, { pod: "p" }, { hostname: "host-2", gpuId: 3 }]
      yield* write(
        ...scattered.map((value, seconds) => sampleAt(seconds, members[seconds % members.length], value)),
        sampleAt(60, {}, -3)
      )
      const expected = {
        ...{ mean: 92.75 / 7, min: -8, max: 42, sum: 92.75, count: 7, first: 4, last: 0.25 },
        // Ascending: -8, 0.25, 4, 15.5, 16, 23, 42; the places are 3, 5.7 and 5.94.
        ...{ p50: 15.5, p95: 23 + 0.7 * 19, p99: 23 + 0.94 * 19 }
      }
      for (const order of ["asc", "desc"] as const) {
        for (const aggregate of aggregates) {
          const found = yield* windows({ aggregate, order })
          const [several, single] = order === "asc" ? found : [...found].reverse()
          expect(several, aggregate).toEqual(rowOf(minuteStartNs, expect.closeTo(expected[aggregate], 10)))
          expect(single, aggregate).toEqual(rowOf(minuteStartNs + minuteNs, aggregate === "count" ? 1 : -3))
        }
      }
    })
  )
  test(
    "a percentile lies between the two values nearest to it, by linear interpolation",
    Effect.gen(function* () {
      const cases = [
        { values: [5], p50: 5, p95: 5, p99: 5 },
        { values: [10, 0], p50: 5, p95: 9.5, p99: 9.9 },
        { values: [3, 1, 2], p50: 2, p95: 2.9, p99: 2.98 },
        { values: [4, 3, 2, 1], p50: 2.5, p95: 3.85, p99: 3.97 },
        { values: [7, 7, 7, 7, -7], p50: 7, p95: 7, p99: 7 },
        { values: Array.from({ length: 101 }, (_, i) => (i * 37) % 101), p50: 50, p95: 95, p99: 99 }
      ]
      // Of a metric each, told apart further by GPU, so that the values come from many series.
      yield* write(
        ...cases.flatMap(({ values }, of) =>
          values.map((value, i) => sampleAt(i % 20, { metricName: `M${of}`, uuid: `GPU-${i}` }, value))
        )
      )
      for (const aggregate of ["p50", "p95", "p99"] as const) {
        expect(yield* windows({ aggregate })).toEqual(
          cases.map((given, of) => rowOf(minuteStartNs, expect.closeTo(given[aggregate], 10), "", `M${of}`))
        )
      }
    })
  )
  test(
    "first and last follow the global order, also among samples of one instant",
    Effect.gen(function* () {
      yield* write(
        sampleAt(5, { uuid: "GPU-2", hostname: "b", gpuId: 10 }, 6),
        sampleAt(0, { uuid: "GPU-2", hostname: "a" }, 2),
        sampleAt(5, { uuid: "GPU-10", hostname: "c" }, 4),
        sampleAt(0, { uuid: "GPU-10", hostname: "b" }, 1),
        sampleAt(3, { uuid: "GPU-3", hostname: "c" }, 3),
        sampleAt(5, { uuid: "GPU-2", hostname: "b", gpuId: 2 }, 5)
      )
      for (const order of ["asc", "desc"] as const) {
        const valuesOf = (aggregate: "first" | "last", groupBy: Grouping) =>
          Effect.map(windows({ aggregate, groupBy, order }), (found) =>
            (order === "asc" ? found : [...found].reverse()).map(({ value }) => value)
          )
        expect(yield* valuesOf("first", "metric")).toEqual([1])
        expect(yield* valuesOf("last", "metric")).toEqual([6])
        expect(yield* valuesOf("first", "gpu")).toEqual([1, 2, 3])
        expect(yield* valuesOf("last", "gpu")).toEqual([4, 6, 3])
        expect(yield* valuesOf("first", "host")).toEqual([2, 1, 3])
        expect(yield* valuesOf("last", "host")).toEqual([2, 6, 4])
      }
    })
  )
  test(
    "many windows of many samples come whole, in either order",
    Effect.gen(function* () {
      const samples = Array.from({ length: 3_000 }, (_, i) => sampleAt(i >> 1, { uuid: `GPU-${i % 2}` }, i))
      yield* write(...samples)
      const expected: Array<WindowValue> = []
      for (let second = 0; second < 1_500; second += 2) {
        for (const gpu of [0, 1]) {
          expected.push(rowOf(epochNs + BigInt(second) * secondNs, 4 * second + 2 + 2 * gpu, `GPU-${gpu}`))
        }
      }
      const query = { windowNs: 2n * secondNs, groupBy: "gpu" } as const
      expect(yield* windows(query)).toEqual(expected)
      expect(yield* windows({ ...query, order: "desc" })).toEqual(expected.reverse())
    })
  )
}
