/**
 * What every telemetry store keeps, whatever it stands on. Run it against a layer that gives a fresh, empty store each time
 * it is built, bounded by nothing that a few thousand samples of July 2025 would reach.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import { TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import type { Series } from "../../src/protocol/Series.ts"
import { epochNs, sampleOf, secondNs } from "../Samples.ts"
import { filters, pages, streams } from "./TelemetryStore.queries.ts"
import { all, type Test, write } from "./TelemetryStore.samples.ts"
import { windowBounds, windowGroups, windowValues } from "./TelemetryStore.windows.ts"

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
    describe("bounds of windows", () => windowBounds(test))
    describe("groups of windows", () => windowGroups(test))
    describe("values of windows", () => windowValues(test))
    describe("GPUs and metrics", () => catalogue(test))
    describe("figures", () => figures(test))
  })
}

const identity = (test: Test): void => {
  test(
    "a sample comes back as it was written",
    Effect.gen(function* () {
      const written = sampleOf(epochNs + 123_456_789n, 0.1 + 0.2, {
        uuid: "GPU-\u{1f600}, a=b",
        hostname: 'quote " and \\backslash',
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
      yield* write(...values.map((value, i) => sampleOf(epochNs + BigInt(i), value)))
      expect((yield* all()).map(({ value }) => value)).toEqual(values)
    })
  )
  test(
    "nanoseconds survive",
    Effect.gen(function* () {
      const times = [-1n, epochNs, epochNs + 1n, epochNs + 2n, epochNs + 999_999_999n]
      yield* write(...times.map((timeNs) => sampleOf(timeNs)))
      expect((yield* all()).map(({ timeNs }) => timeNs)).toEqual(times)
    })
  )
  test(
    "a second value for one identity replaces the first",
    Effect.gen(function* () {
      yield* write(sampleOf(epochNs, 1), sampleOf(epochNs + secondNs, 2))
      const report = yield* write(sampleOf(epochNs, 3))
      expect(report).toEqual({ stored: 1, olderThanRetention: [] })
      expect((yield* all()).map(({ value }) => value)).toEqual([3, 2])
    })
  )
  test(
    "of two values for one identity in one write the later is kept",
    Effect.gen(function* () {
      yield* write(sampleOf(epochNs, 1), sampleOf(epochNs, 2))
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
      yield* write(...others.map((tags, i) => sampleOf(epochNs, i, tags)))
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

const catalogue = (test: Test): void => {
  test(
    "an unknown GPU is none",
    Effect.gen(function* () {
      yield* write(sampleOf(epochNs))
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
      yield* write(sampleOf(epochNs + secondNs, 1, moved), sampleOf(epochNs, 1, { metricName: "A" }))
      yield* write(sampleOf(epochNs - secondNs))
      const store = yield* TelemetryStore
      const gpu = { uuid: "GPU-1", ...moved, firstSeenNs: epochNs - secondNs, lastSeenNs: epochNs + secondNs }
      expect(yield* store.gpu("GPU-1")).toEqual(Option.some(gpu))
      expect(yield* store.gpus({})).toEqual([gpu])
      expect(yield* store.gpus({ hostname: "host-2", modelName: "H200" })).toEqual([gpu])
      expect(yield* store.gpus({ hostname: "host-1" })).toEqual([])
    })
  )
  test(
    "every GPU is listed, by UUID as UTF-8, however long it has been silent",
    Effect.gen(function* () {
      const day = 86_400n * secondNs
      yield* write(
        sampleOf(epochNs, 1, { uuid: "GPU-\u{1f600}" }),
        sampleOf(epochNs - 5n * day, 1, { uuid: "GPU-\ue000" }),
        sampleOf(epochNs - 30n * day, 1, { uuid: "GPU-10" }),
        sampleOf(epochNs, 1, { uuid: "GPU-2" })
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
        sampleOf(epochNs, 1, { metricName: "B" }),
        sampleOf(epochNs, 1, { metricName: "B", pod: "p" }),
        sampleOf(epochNs, 1, { metricName: "A" }),
        sampleOf(epochNs, 1, { metricName: "C", uuid: "GPU-2" })
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
      yield* write(sampleOf(epochNs), sampleOf(epochNs + 5n, 1, { uuid: "GPU-2" }), sampleOf(epochNs + 3n))
      yield* write(sampleOf(epochNs, 2), sampleOf(epochNs - 7n))
      const store = yield* TelemetryStore
      expect(yield* store.stats).toEqual({
        gpus: 2,
        samples: 4,
        evicted: 0,
        oldestNs: epochNs - 7n,
        newestNs: epochNs + 5n
      })
    })
  )
}
