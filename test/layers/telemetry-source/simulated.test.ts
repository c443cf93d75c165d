import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { it } from "@effect/vitest"
import { Effect, FastCheck, Fiber, Layer, Option, TestClock } from "effect"
import { describe, expect } from "vitest"
import { sampleCsv, sampleOfFleet, samplePath } from "../../../scripts/sample-csv.ts"
import { layer as layerRejects, Rejects } from "../../../src/layers/Rejects.ts"
import { TelemetrySource } from "../../../src/layers/TelemetrySource.ts"
import { CsvSourceConfig, layerCsv } from "../../../src/layers/telemetry-source/csv.ts"
import { makeFleet } from "../../../src/layers/telemetry-source/simulated/fleet.ts"
import { simulatedMetricNames } from "../../../src/layers/telemetry-source/simulated/gpu.ts"
import { simulatedEpochNs } from "../../../src/layers/telemetry-source/simulated.ts"
import { positionBytesMax } from "../../../src/protocol/Limits.ts"
import type { SourcePosition } from "../../../src/protocol/Log.ts"
import { encodeSample, type Sample } from "../../../src/protocol/Sample.ts"
import { seriesKey } from "../../../src/protocol/Series.ts"
import { ownsHost, type Shard, shardsOf, wholeSource } from "../../../src/protocol/Shard.ts"
import { readAll, readFleet, texts } from "./simulated-harness.ts"

const small = { hosts: 2, gpusPerHost: 2, timestamps: "original" } as const
const hostnamesOf = (hosts: number) =>
  makeFleet({ ...small, hosts, seed: 1, intervalMs: 1_000 }, []).hostnames
/** Rows of a pass of it. */
const smallRows = 4 * simulatedMetricNames.length

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
      expect(looped.length).toBe(3 * smallRows)
      expect(texts(looped).slice(0, smallRows)).toEqual(texts(once))
    })
  )

  it.effect("does not depend on how many rows are read at a time", () =>
    Effect.gen(function* () {
      const rows = 2 * smallRows
      const byOne = yield* readAll({ settings: small, rows, rowsMax: 1 })
      expect(yield* readAll({ settings: small, rows, rowsMax: 13 })).toEqual(byOne)
      expect(yield* readAll({ settings: small, rows, rowsMax: rows })).toEqual(byOne)
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
      const whole = yield* readAll({ settings: small, rows })
      for (const [index, { after }] of whole.entries()) {
        if (index === rows - 1) break
        const rest = yield* readAll({ settings: small, from: after, rows: rows - index - 1, rowsMax: 11 })
        expect(texts(rest)).toEqual(texts(whole).slice(index + 1))
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
      for (const other of [{}, { seed: 2 }, { hosts: 3 }, { gpusPerHost: 1 }, { intervalMs: 5 }]) {
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
      const shard: Shard = { index: 998, count: 999, by: "host" }
      const rowsGone = 16_000 * simulatedMetricNames.length
      const [read] = yield* readAll({ settings, shard, rowsGone, rowsMax: 10_000 })
      expect(Buffer.byteLength(read!.after)).toBeLessThan(positionBytesMax / 2)
    })
  )
})

describe("a shard", () => {
  it.effect.prop(
    "reads the rows of its hosts in their order, and all shards together read each row once",
    [FastCheck.nat(), FastCheck.integer({ min: 1, max: 12 }), FastCheck.integer({ min: 1, max: 6 })],
    ([seed, hosts, count]) =>
      Effect.gen(function* () {
        const settings = { ...small, seed, hosts, gpusPerHost: 2, loop: false }
        const whole = yield* readAll({ settings })
        const shares = yield* Effect.forEach(shardsOf(count, "host"), (shard) =>
          readAll({ settings, shard, rowsMax: 17 })
        )
        expect(shares.flatMap(texts).sort()).toEqual([...texts(whole)].sort())
        for (const share of shares) {
          const hostnames = new Set(share.map(({ sample }) => sample.series.hostname))
          const ofHosts = whole.filter(({ sample }) => hostnames.has(sample.series.hostname))
          expect(texts(share)).toEqual(texts(ofHosts))
        }
      }),
    { fastCheck: { numRuns: 30 } }
  )

  it.effect.prop(
    "that goes through as many rows as one reader has read exactly what that has of its hosts",
    [
      FastCheck.nat(),
      FastCheck.integer({ min: 1, max: 4 }),
      FastCheck.integer({ min: 2, max: 4 }),
      FastCheck.nat(5_000)
    ],
    ([seed, hosts, count, rowsGone]) =>
      Effect.gen(function* () {
        const settings = { ...small, seed, hosts, faults: ["silent"] as const, intervalMs: 60_000 }
        const whole = yield* readAll({ settings, rowsGone, rowsMax: 70 })
        for (const shard of shardsOf(count, "host")) {
          const own = whole.filter(({ sample }) => ownsHost(shard, sample.series.hostname, ""))
          // Without a host it waits.
          if (hostnamesOf(hosts).every((hostname) => !ownsHost(shard, hostname, ""))) continue
          expect(texts(yield* readAll({ settings, shard, rowsGone, rowsMax: 130 }))).toEqual(texts(own))
        }
      }),
    { fastCheck: { numRuns: 30 } }
  )

  it.effect("of none reads everything, and gives times that no other gives", () =>
    Effect.gen(function* () {
      const settings = { ...small, timestamps: "now" } as const
      const shares = yield* Effect.forEach(shardsOf(3, "none"), (shard) =>
        readAll({ settings, shard, rows: smallRows })
      )
      const times = shares.flatMap((share) => share.map(({ sample }) => sample.timeNs))
      expect(new Set(times).size).toBe(3 * smallRows)
    })
  )

  it.effect("goes on exactly at its own positions, over the ends of passes", () =>
    Effect.gen(function* () {
      const settings = { ...small, hosts: 9, gpusPerHost: 1 }
      const shard: Shard = { index: 1, count: 3, by: "host" }
      const [end] = (yield* readAll({ settings: { ...settings, loop: false }, shard })).slice(-1)
      const rows = 3 * simulatedMetricNames.length
      const whole = yield* readAll({ settings, shard, rows: 20 * rows })
      const index = whole.findIndex(({ after }) => after === end!.after)
      expect(index).toBeGreaterThan(0)
      for (const at of [index - 1, index, index + 1, 10 * rows]) {
        const rest = yield* readAll({ settings, shard, from: whole[at]!.after, rows: rows * 2 })
        expect(texts(rest)).toEqual(texts(whole).slice(at + 1, at + 1 + rows * 2))
      }
    })
  )

  it.effect("refuses the position of another", () =>
    Effect.gen(function* () {
      const settings = { ...small, hosts: 9 }
      const shard: Shard = { index: 1, count: 3, by: "host" }
      const [first] = yield* readAll({ settings, shard, rows: 1 })
      for (const other of [wholeSource, { ...shard, index: 2 }, { ...shard, count: 4 }]) {
        const error = yield* Effect.flip(readFleet({ settings, shard: other, from: first!.after, rows: 1 }))
        expect(error.message).toContain("1/3")
        expect(error.message).toContain(`${other.index}/${other.count}`)
      }
    })
  )

  it.effect("without hosts ends at once, or waits in a loop until it is stopped", () =>
    Effect.gen(function* () {
      const settings = { ...small, hosts: 1 }
      const shares = yield* Effect.forEach(shardsOf(2, "host"), (shard) =>
        readAll({ settings: { ...settings, loop: false }, shard })
      )
      const empty = shares.findIndex((share) => share.length === 0)
      expect(shares.map((share) => share.length).sort()).toEqual([0, smallRows / 2])
      const waiting = yield* Effect.fork(readAll({ settings, shard: shardsOf(2, "host")[empty]!, rows: 1 }))
      yield* TestClock.adjust("1 hour")
      expect(yield* Fiber.poll(waiting)).toEqual(Option.none())
      yield* Fiber.interrupt(waiting)
    })
  )
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
        const reader = yield* (yield* TelemetrySource).open({ resumeAt: Option.none(), shard: wholeSource })
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
