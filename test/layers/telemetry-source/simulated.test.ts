import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { it } from "@effect/vitest"
import { Effect, FastCheck, Layer, Option, TestClock } from "effect"
import { describe, expect } from "vitest"
import { sampleCsv, sampleOfFleet, samplePath } from "../../../scripts/sample-csv.ts"
import { layer as layerRejects, Rejects } from "../../../src/layers/Rejects.ts"
import { TelemetrySource } from "../../../src/layers/TelemetrySource.ts"
import { CsvSourceConfig, layerCsv } from "../../../src/layers/telemetry-source/csv.ts"
import {
  layerSimulated,
  SimulatedSourceConfig,
  simulatedEpochNs
} from "../../../src/layers/telemetry-source/simulated.ts"
import { makeFleet, makeGpuValues } from "../../../src/layers/telemetry-source/simulated-fleet.ts"
import { dcgmCatalogue, unitRange } from "../../../src/protocol/DcgmCatalogue.ts"
import { positionBytesMax } from "../../../src/protocol/Limits.ts"
import type { SourcePosition } from "../../../src/protocol/Log.ts"
import { encodeSample, type Sample } from "../../../src/protocol/Sample.ts"
import { seriesKey } from "../../../src/protocol/Series.ts"

type Settings = Parameters<typeof SimulatedSourceConfig.layer>[0]

/** A sample and the position behind it. */
interface Read {
  readonly sample: Sample
  readonly after: SourcePosition
}

/** What reading gives, `rowsMax` rows at a time, until it ends or `rows` are read. */
const readAll = (options: {
  readonly settings: Settings
  readonly from?: SourcePosition
  readonly rowsMax?: number
  readonly rows?: number
}): Effect.Effect<ReadonlyArray<Read>> =>
  Effect.gen(function* () {
    const source = yield* TelemetrySource
    const reader = yield* source.open(Option.fromNullable(options.from))
    const read: Array<Read> = []
    while (read.length < (options.rows ?? Number.POSITIVE_INFINITY)) {
      const chunk = yield* reader.read(options.rowsMax ?? 1_000)
      if (Option.isNone(chunk)) break
      const { samples, rowsRead, positionAfter } = chunk.value
      expect(rowsRead).toBe(samples.length)
      samples.forEach((sample, index) => {
        read.push({ sample, after: positionAfter(index) })
      })
    }
    return read
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.provide(layerSimulated, SimulatedSourceConfig.layer(options.settings))),
    Effect.orDie
  )

const texts = (read: ReadonlyArray<Read>): ReadonlyArray<string> =>
  read.map(({ sample }) => encodeSample(sample))

const small = { hosts: 2, gpusPerHost: 2, timestamps: "original" } as const
/** Rows of a pass of it. */
const smallRows = 2 * 2 * 10

describe("what is read", () => {
  it.effect("is the same for the same seed, and other for another", () =>
    Effect.gen(function* () {
      const read = (seed: number) => Effect.map(readAll({ settings: { ...small, seed }, rows: 200 }), texts)
      expect(yield* read(5)).toEqual(yield* read(5))
      expect(yield* read(5)).not.toEqual(yield* read(6))
    })
  )

  it.effect("is each series once in a pass, and one pass where it does not loop", () =>
    Effect.gen(function* () {
      const once = yield* readAll({ settings: { ...small, loop: false }, rowsMax: 7 })
      expect(once.length).toBe(smallRows)
      expect(new Set(once.map(({ sample }) => seriesKey(sample.series))).size).toBe(smallRows)
      const looped = yield* readAll({ settings: small, rows: 3 * smallRows, rowsMax: 7 })
      expect(texts(looped).slice(0, smallRows)).toEqual(texts(once))
    })
  )

  it.effect("does not depend on how many rows are read at a time", () =>
    Effect.gen(function* () {
      const rows = 2 * smallRows
      const byOne = yield* readAll({ settings: small, rows, rowsMax: 1 })
      expect(
        yield* readAll({ settings: small, rows, rowsMax: 13 }).pipe(Effect.map((r) => r.slice(0, rows)))
      ).toEqual(byOne)
    })
  )

  it.effect("has the simulated time of its pass with original times", () =>
    Effect.gen(function* () {
      const read = yield* readAll({ settings: { ...small, intervalMs: 250 }, rows: 3 * smallRows })
      read.forEach(({ sample }, row) => {
        const pass = BigInt(Math.floor(row / smallRows))
        expect(sample.timeNs).toBe(simulatedEpochNs + pass * 250_000_000n)
      })
    })
  )

  it.effect("has the time it was read at, strictly rising, otherwise", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_752_871_354_000)
      const read = yield* readAll({ settings: { ...small, timestamps: "now" }, rows: smallRows, rowsMax: 7 })
      read.forEach(({ sample }, row) => {
        expect(sample.timeNs).toBe(1_752_871_354_000_000_000n + BigInt(row))
      })
    })
  )
})

describe("a position", () => {
  it.effect("gives exactly the rest, wherever it is", () =>
    Effect.gen(function* () {
      const rows = 2 * smallRows + 5
      const whole = (yield* readAll({ settings: small, rows })).slice(0, rows)
      for (const [index, { after }] of whole.entries()) {
        if (index === rows - 1) break
        const rest = yield* readAll({ settings: small, from: after, rows: rows - index - 1, rowsMax: 11 })
        expect(texts(rest).slice(0, rows - index - 1)).toEqual(texts(whole).slice(index + 1))
      }
    })
  )

  it.effect("ends with the pass that it is in, where it does not loop", () =>
    Effect.gen(function* () {
      const whole = yield* readAll({ settings: small, rows: 2 * smallRows })
      const restAfter = (index: number) =>
        readAll({ settings: { ...small, loop: false }, from: whole[index]!.after })
      expect(texts(yield* restAfter(smallRows + 3))).toEqual(texts(whole).slice(smallRows + 4, 2 * smallRows))
      expect(yield* restAfter(smallRows - 1)).toEqual([])
    })
  )

  it.effect("carries the last time given, also to another fleet, which starts afresh", () =>
    Effect.gen(function* () {
      const now = { ...small, timestamps: "now" } as const
      yield* TestClock.setTime(2_000)
      const [first] = yield* readAll({ settings: now, rows: 1 })
      yield* TestClock.setTime(1_000)
      for (const other of [{}, { seed: 2 }, { hosts: 3 }, { gpusPerHost: 1 }]) {
        const [next] = yield* readAll({
          settings: { ...now, ...other },
          from: first!.after,
          rows: 1,
          rowsMax: 1
        })
        expect(next!.sample.timeNs).toBe(first!.sample.timeNs + 1n)
        const isAfresh = next!.sample.series.metricName === first!.sample.series.metricName
        expect(isAfresh).toBe(Object.keys(other).length > 0)
      }
    })
  )

  it.effect("of another source starts afresh", () =>
    Effect.gen(function* () {
      const fromStart = yield* readAll({ settings: small, rows: smallRows })
      for (const text of ["", "{}", '{"file":{},"pass":1}', "null"]) {
        const read = yield* readAll({ settings: small, from: text as SourcePosition, rows: smallRows })
        expect(texts(read)).toEqual(texts(fromStart))
      }
    })
  )

  it.effect("fits into a record", () =>
    Effect.gen(function* () {
      const settings = { hosts: 1_000, gpusPerHost: 16, seed: 2 ** 32 - 1 }
      const [read] = yield* readAll({ settings, rows: 1, rowsMax: 1 })
      expect(Buffer.byteLength(read!.after)).toBeLessThan(positionBytesMax / 2)
    })
  )
})

describe("a simulated GPU", () => {
  const passes = 2_000
  const gpus = Array.from({ length: 8 }, (_, gpu) => makeGpuValues(1, gpu))
  const values = gpus.flatMap((valuesIn) => Array.from({ length: passes }, (_, pass) => valuesIn(pass)))

  it("has values that its metrics' units allow, for every seed and pass", () => {
    const anyPass = FastCheck.oneof(FastCheck.nat(1_000), FastCheck.maxSafeNat())
    FastCheck.assert(
      FastCheck.property(FastCheck.nat(), FastCheck.nat(15_999), anyPass, (seed, gpu, pass) => {
        const all = makeGpuValues(seed, gpu)(pass)
        for (const [name, value] of Object.entries(all)) {
          const metric = dcgmCatalogue.get(name)
          const [min, max] = unitRange(metric!.unit) ?? [0, Number.POSITIVE_INFINITY]
          expect(value, name).toBeGreaterThanOrEqual(min)
          expect(value, name).toBeLessThanOrEqual(max)
        }
        expect(all.DCGM_FI_DEV_FB_USED + all.DCGM_FI_DEV_FB_FREE).toBe(81_007)
        expect(all.DCGM_FI_DEV_GPU_TEMP).toBeGreaterThanOrEqual(26)
        expect(all.DCGM_FI_DEV_GPU_TEMP).toBeLessThanOrEqual(85)
        expect(all.DCGM_FI_DEV_POWER_USAGE).toBeGreaterThanOrEqual(68)
        expect(all.DCGM_FI_DEV_POWER_USAGE).toBeLessThanOrEqual(700)
      }),
      { numRuns: 1_000 }
    )
  })

  it("works and idles", () => {
    const idle = values.filter((all) => all.DCGM_FI_DEV_GPU_UTIL === 0).length / values.length
    expect(idle).toBeGreaterThan(0.2)
    expect(idle).toBeLessThan(0.6)
  })

  it("draws power, warms up, clocks up and fills its memory with its utilisation", () => {
    const correlation = (a: keyof (typeof values)[number], b: keyof (typeof values)[number]): number => {
      const mean = (name: typeof a) => values.reduce((sum, all) => sum + all[name], 0) / values.length
      const [meanA, meanB] = [mean(a), mean(b)]
      let [covariance, varianceA, varianceB] = [0, 0, 0]
      for (const all of values) {
        const [x, y] = [all[a] - meanA, all[b] - meanB]
        covariance += x * y
        varianceA += x * x
        varianceB += y * y
      }
      return covariance / Math.sqrt(varianceA * varianceB)
    }
    expect(correlation("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE")).toBeGreaterThan(0.85)
    expect(correlation("DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_TEMP")).toBeGreaterThan(0.85)
    expect(correlation("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED")).toBeGreaterThan(0.7)
    expect(correlation("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL")).toBeGreaterThan(0.7)
    for (const all of values) {
      expect(all.DCGM_FI_DEV_SM_CLOCK).toBe(all.DCGM_FI_DEV_GPU_UTIL > 0 ? 1980 : 345)
    }
  })

  it("warms up and cools down over some passes, never at once", () => {
    for (let i = 1; i < values.length; i++) {
      if (i % passes === 0) continue
      const change = values[i]!.DCGM_FI_DEV_GPU_TEMP - values[i - 1]!.DCGM_FI_DEV_GPU_TEMP
      expect(Math.abs(change)).toBeLessThanOrEqual(14)
    }
  })

  it("has a UUID of its own in the real ones' form", () => {
    const fleet = makeFleet({ hosts: 1_000, gpusPerHost: 16, seed: 1 })
    const uuids = Array.from({ length: fleet.gpus }, (_, gpu) => fleet.seriesOf(gpu * 10).uuid)
    expect(new Set(uuids).size).toBe(16_000)
    for (const uuid of uuids) {
      expect(uuid).toMatch(/^GPU-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
    }
  })
})

describe("the sample that is shipped", () => {
  it.effect("is what the generator writes (npx tsx scripts/make-sample.ts)", () =>
    Effect.gen(function* () {
      expect(readFileSync(samplePath, "utf8")).toBe(yield* sampleCsv)
    })
  )

  it.effect("is read as the samples that it was written from", () =>
    Effect.gen(function* () {
      const config = CsvSourceConfig.layer({
        path: fileURLToPath(samplePath),
        loop: false,
        timestamps: "original"
      })
      const { read, rejected } = yield* Effect.gen(function* () {
        const reader = yield* (yield* TelemetrySource).open(Option.none())
        const samples: Array<Sample> = []
        for (;;) {
          const chunk = yield* reader.read(100)
          if (Option.isNone(chunk)) break
          samples.push(...chunk.value.samples)
        }
        return { read: samples, rejected: yield* (yield* Rejects).total }
      }).pipe(
        Effect.scoped,
        Effect.provide(layerCsv.pipe(Layer.provideMerge(Layer.merge(config, layerRejects))))
      )
      expect(rejected).toBe(0)
      expect(read.map(encodeSample)).toEqual((yield* sampleOfFleet).map(encodeSample))
    })
  )
})
