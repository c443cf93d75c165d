/** The memory store under any history of writes and passing time, against the naive model. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck, Layer, Option, TestClock } from "effect"
import { TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import { SampleBlocks } from "../../src/layers/telemetry-store/memory/SampleBlocks.ts"
import {
  RankedSeries,
  SeriesByTag,
  type StoredSeries
} from "../../src/layers/telemetry-store/memory/StoredSeries.ts"
import { layerMemory, MemoryStoreConfig } from "../../src/layers/telemetry-store/memory.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import { compareSeries, type Series } from "../../src/protocol/Series.ts"
import { crowdedEpochNs, crowdedSamples } from "../arbitraries.ts"
import { answer, distinct, gpusOf, settled } from "./NaiveSamples.ts"

/** Writes that share a pool of series, each behind a pause of some seconds. */
const history = FastCheck.tuple(
  crowdedSamples({ maxLength: 60 }),
  FastCheck.array(
    FastCheck.record({ count: FastCheck.nat(15), pauseMs: FastCheck.constantFrom(0, 0, 1_000, 2_500) }),
    { maxLength: 10 }
  )
).map(([samples, writes]) => {
  let first = 0
  return writes.map(({ count, pauseMs }) => {
    const written = samples.slice(first, first + count)
    first += count
    return { written, pauseMs }
  })
})

class NaiveStore {
  samples: ReadonlyArray<Sample> = []
  evicted = 0

  private keep(kept: ReadonlyArray<Sample>, of: ReadonlyArray<Sample>): void {
    this.evicted += of.length - kept.length
    this.samples = kept
  }

  expire(oldestNs: bigint): void {
    this.keep(
      this.samples.filter(({ timeNs }) => timeNs >= oldestNs),
      this.samples
    )
  }

  write(written: ReadonlyArray<Sample>, samplesMax: number): void {
    const all = settled([...this.samples, ...written])
    this.keep(all.slice(Math.max(0, all.length - samplesMax)), all)
  }
}

/** Every answer of the store, compared with what the model's samples say. */
const agree = (model: NaiveStore) =>
  Effect.gen(function* () {
    const store = yield* TelemetryStore
    const page = { limit: 1_000, start: { offset: 0 } }
    const { samples } = model
    for (const order of ["asc", "desc"] as const) {
      expect(yield* store.page({ order }, page)).toEqual(answer(samples, { order }))
    }
    expect(yield* store.stats).toEqual({
      gpus: gpusOf(samples).length,
      samples: samples.length,
      evicted: model.evicted,
      ...(samples.length === 0 ? {} : { oldestNs: samples[0]!.timeNs, newestNs: samples.at(-1)!.timeNs })
    })
    expect(yield* store.gpus({})).toEqual(gpusOf(samples))
    expect(yield* store.metricNames(Option.none())).toEqual(
      distinct(samples.map(({ series }) => series.metricName))
    )
    for (const gpu of gpusOf(samples)) {
      const { uuid } = gpu
      const own = answer(samples, { order: "asc", uuid })
      expect(yield* store.gpu(uuid)).toEqual(Option.some(gpu))
      expect(yield* store.metricNames(Option.some(uuid))).toEqual(
        distinct(own.map(({ series }) => series.metricName))
      )
      expect(yield* store.page({ order: "asc", uuid }, page)).toEqual(own)
    }
  })

describe("after any history", () => {
  it.effect.prop(
    "the newest samples that the bound allows are there, and every other one is counted",
    { writes: history, samplesMax: FastCheck.integer({ min: 1, max: 40 }) },
    ({ writes, samplesMax }) =>
      Effect.gen(function* () {
        const store = yield* TelemetryStore
        const model = new NaiveStore()
        for (const { written } of writes) {
          const report = yield* store.write(written)
          expect(report).toEqual({ stored: written.length, olderThanRetention: [] })
          model.write(written, samplesMax)
          yield* agree(model)
        }
      }).pipe(Effect.provide(Layer.provide(layerMemory, MemoryStoreConfig.layer({ samplesMax }))))
  )

  it.effect.prop(
    "nothing older than the retention is there, or was taken",
    { writes: history },
    ({ writes }) =>
      Effect.gen(function* () {
        const store = yield* TelemetryStore
        const model = new NaiveStore()
        let nowMs = Number(crowdedEpochNs / 1_000_000n) + 2_000
        for (const { written, pauseMs } of writes) {
          nowMs += pauseMs
          const oldestNs = BigInt(nowMs - 3_000) * 1_000_000n
          yield* TestClock.setTime(nowMs)
          const report = yield* store.write(written)
          const tooOld = written.flatMap(({ timeNs }, index) => (timeNs < oldestNs ? [index] : []))
          expect(report).toEqual({ stored: written.length - tooOld.length, olderThanRetention: tooOld })
          model.expire(oldestNs)
          model.write(
            written.filter(({ timeNs }) => timeNs >= oldestNs),
            20
          )
          yield* agree(model)
        }
      }).pipe(
        Effect.provide(
          Layer.provide(layerMemory, MemoryStoreConfig.layer({ samplesMax: 20, retentionMs: 3_000 }))
        )
      )
  )
})

/** How a series grows or shrinks: some samples from a place on, in steps of some direction, or a loss at the front. */
const phase = FastCheck.oneof(
  FastCheck.record({
    from: FastCheck.integer({ min: -3_000, max: 3_000 }),
    step: FastCheck.constantFrom(-3, -1, 0, 1, 2, 997),
    count: FastCheck.integer({ min: 1, max: 700 })
  }),
  FastCheck.record({ dropFirst: FastCheck.nat(400) }),
  FastCheck.record({ dropBefore: FastCheck.integer({ min: -3_000, max: 3_000 }) })
)

const applyPhase = (
  given: typeof phase extends FastCheck.Arbitrary<infer A> ? A : never,
  blocks: SampleBlocks,
  model: Map<number, number>
): void => {
  if ("dropFirst" in given) {
    for (const time of [...model.keys()].sort((a, b) => a - b).slice(0, given.dropFirst)) {
      blocks.dropFirst()
      model.delete(time)
    }
  } else if ("dropBefore" in given) {
    const dropped = [...model.keys()].filter((time) => time < given.dropBefore)
    expect(blocks.dropBefore(BigInt(given.dropBefore))).toBe(dropped.length)
    for (const time of dropped) model.delete(time)
  } else {
    for (let i = 0; i < given.count; i++) {
      // Steps wrap around, so that a large one scatters.
      const time: number = ((given.from + i * given.step + 3_000) % 6_000) - 3_000
      if (blocks.set(BigInt(time), i) === model.has(time))
        expect.fail(`set(${time}) tells new from known wrongly`)
      model.set(time, i)
    }
  }
}

it.prop(
  "blocks hold a series in order, however it grows and shrinks, and their ordinals are dense",
  [FastCheck.array(phase, { minLength: 1, maxLength: 12 })],
  ([phases]) => {
    const blocks = new SampleBlocks()
    const model = new Map<number, number>()
    for (const given of phases) {
      applyPhase(given, blocks, model)
      const sorted = [...model].sort(([a], [b]) => a - b)
      expect(blocks.size).toBe(sorted.length)
      const held = sorted.map(([time], i) => {
        const block = blocks.blockAt(blocks.blockHolding(blocks.begin + i))
        const slot = blocks.begin + i - block.base
        return [Number(block.times[slot]), block.values[slot], blocks.lowerBound(BigInt(time)) - blocks.begin]
      })
      expect(held).toEqual(sorted.map(([time, value], i) => [time, value, i]))
      if (sorted.length > 0) {
        expect([blocks.firstNs, blocks.lastNs]).toEqual([BigInt(sorted[0]![0]), BigInt(sorted.at(-1)![0])])
        expect(blocks.lowerBound(blocks.lastNs + 1n)).toBe(blocks.end)
      }
    }
  }
)

/** Some series from a place on, in steps: adding downwards halves one gap between ranks until it is used up. */
const seriesPhase = FastCheck.record({
  from: FastCheck.nat(3_000),
  step: FastCheck.constantFrom(-1, 1, 7, 997),
  count: FastCheck.nat(900),
  removing: FastCheck.boolean()
})

const numbered = (n: number): Series => ({
  metricName: `M${n % 2}`,
  uuid: String(n).padStart(5, "0"),
  hostname: "",
  gpuId: 0,
  device: "",
  modelName: "",
  container: "",
  pod: "",
  namespace: "",
  labels: []
})

it.prop(
  "ranks order any number of series as comparing them does, in whatever order they come and go",
  [FastCheck.array(seriesPhase, { minLength: 1, maxLength: 8 })],
  ([phases]) => {
    const ranked = new RankedSeries()
    const byMetric = new SeriesByTag((series) => series.metricName)
    const model = new Map<number, StoredSeries>()
    for (const { from, step, count, removing } of phases) {
      for (let i = 0; i < count; i++) {
        const n = (from + i * step + 6_000) % 6_000
        const stored = model.get(n)
        if (removing && stored !== undefined) {
          ranked.remove(stored)
          byMetric.remove(stored)
          model.delete(n)
        } else if (!removing && stored === undefined) {
          const added = ranked.add(numbered(n))
          byMetric.add(added)
          model.set(n, added)
        }
      }
      const expected = [...model.values()].sort((a, b) => compareSeries(a.series, b.series))
      expect(ranked.members.map(({ series }) => series.uuid)).toEqual(
        expected.map(({ series }) => series.uuid)
      )
      expect(expected.every(({ rank }, i) => i === 0 || expected[i - 1]!.rank < rank)).toBe(true)
      expect(["M0", "M1"].flatMap((name) => byMetric.get(name).map(({ series }) => series.uuid))).toEqual(
        expected.map(({ series }) => series.uuid)
      )
    }
  },
  { fastCheck: { numRuns: 30 } }
)
