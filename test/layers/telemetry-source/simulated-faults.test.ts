import { it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { describe, expect } from "vitest"
import { load, withFlags } from "../../../src/layers/Setting.ts"
import { sourceSettings } from "../../../src/layers/settings/source.ts"
import { type FaultName, faultNames } from "../../../src/layers/telemetry-source/simulated/faults.ts"
import { makeFleet } from "../../../src/layers/telemetry-source/simulated/fleet.ts"
import { simulatedMetricNames } from "../../../src/layers/telemetry-source/simulated/gpu.ts"
import { type RejectReason, rowRejectReasons } from "../../../src/protocol/Reject.ts"
import { encodeSample, type Sample } from "../../../src/protocol/Sample.ts"
import { type Outcome, readFleet, texts } from "./simulated-harness.ts"

const metrics = simulatedMetricNames.length
const small = { hosts: 3, gpusPerHost: 4, timestamps: "original" } as const
const rowsPerPass = 12 * metrics

const withFaults = (faults: ReadonlyArray<FaultName>, rows: number) =>
  readFleet({ settings: { ...small, faults }, rows })

const countsOf = ({ rejected }: Outcome): Partial<Record<RejectReason, number>> =>
  Object.fromEntries(rejected.map(({ reason, count }) => [reason, count]))

const identity = (sample: Sample): string => {
  const { metricName, uuid } = sample.series
  return `${metricName} ${uuid} ${sample.timeNs}`
}

/** Reads with some faults and without any; answers both, and the samples that the faults cost. */
const compare = (faults: ReadonlyArray<FaultName>, passes: number) =>
  Effect.gen(function* () {
    const good = yield* withFaults([], passes * rowsPerPass)
    const lastNs = good.read.at(-1)!.sample.timeNs
    const faulty = yield* withFaults(faults, passes * rowsPerPass)
    // Of what is read of later passes in place of silent rows, nothing can be compared.
    const kept = faulty.read.filter(({ sample }) => sample.timeNs <= lastNs)
    const identities = new Set(kept.map(({ sample }) => identity(sample)))
    const lost = good.read.filter(({ sample }) => !identities.has(identity(sample)))
    return { good, faulty, kept, lost }
  })

describe("without faults", () => {
  it.effect("every row is a sample", () =>
    Effect.gen(function* () {
      const { read, rowsRead, rejected } = yield* withFaults([], 50 * rowsPerPass)
      expect([read.length, rowsRead, rejected]).toEqual([50 * rowsPerPass, 50 * rowsPerPass, []])
    })
  )
})

describe("with malformed rows", () => {
  it.effect("every reason for which a row can be rejected occurs, and costs that row alone", () =>
    Effect.gen(function* () {
      const { good, faulty, lost } = yield* compare(["rejects"], 120)
      const counts = countsOf(faulty)
      expect(Object.keys(counts)).toEqual([...rowRejectReasons, "bad_label"])
      const { bad_label: badLabels, ...ofRows } = counts
      expect(badLabels).toBeGreaterThan(0)
      expect(lost.length).toBe(Object.values(ofRows).reduce((sum, count) => sum + count, 0))
      expect(faulty.rowsRead).toBe(good.rowsRead)
      expect(lost.length / good.read.length).toBeLessThan(0.01)
      const all = new Set(texts(good.read))
      expect(texts(faulty.read).filter((text) => !all.has(text))).toEqual([])
    })
  )

  it.effect("what was rejected can be looked at, with where it came from", () =>
    Effect.gen(function* () {
      const { rejected } = yield* withFaults(["rejects"], 60 * rowsPerPass)
      for (const { reason, recent } of rejected) {
        for (const { origin, input } of recent) {
          expect(origin).toMatch(/^simulated fleet 3x4: pass \d+, row \d+$/)
          expect(input, reason).toContain(reason === "bad_label" ? "rack=" : "NVIDIA H100")
        }
      }
    })
  )

  it.effect("a row whose own time is not asked for is not rejected for it", () =>
    Effect.gen(function* () {
      const settings = { ...small, timestamps: "now", faults: ["rejects"] } as const
      const outcome = yield* readFleet({ settings, rows: 120 * rowsPerPass })
      const reasons = rowRejectReasons.filter((reason) => reason !== "bad_timestamp")
      expect(Object.keys(countsOf(outcome))).toEqual([...reasons, "bad_label"])
    })
  )
})

describe("with sentinels", () => {
  it.effect("no blank becomes a value, and each is counted as one", () =>
    Effect.gen(function* () {
      const { good, faulty, lost } = yield* compare(["sentinel"], 60)
      expect(lost.length).toBeGreaterThan(20)
      expect(countsOf(faulty)).toEqual({ sentinel: lost.length })
      const lostTexts = new Set(texts(lost))
      expect(texts(faulty.read)).toEqual(texts(good.read).filter((text) => !lostTexts.has(text)))
    })
  )
})

describe("with silent GPUs", () => {
  it.effect(
    "a GPU is not heard of at all for one to four minutes, then as ever, and no row is rejected",
    () =>
      Effect.gen(function* () {
        const passes = 300
        const { faulty, kept, good, lost } = yield* compare(["silent"], passes)
        expect(faulty.rejected).toEqual([])
        expect(faulty.read.length).toBe(faulty.rowsRead)
        const lostTexts = new Set(texts(lost))
        expect(texts(kept)).toEqual(texts(good.read).filter((text) => !lostTexts.has(text)))
        const lostTimes = new Map<string, Map<bigint, number>>()
        for (const { sample } of lost) {
          const ofGpu = lostTimes.get(sample.series.uuid) ?? new Map<bigint, number>()
          lostTimes.set(sample.series.uuid, ofGpu.set(sample.timeNs, (ofGpu.get(sample.timeNs) ?? 0) + 1))
        }
        expect(lostTimes.size).toBeGreaterThan(1)
        const beginsNs = good.read[0]!.sample.timeNs
        for (const ofGpu of lostTimes.values()) {
          expect(new Set(ofGpu.values())).toEqual(new Set([metrics]))
          const silent = Array.from({ length: passes }, (_, pass) =>
            ofGpu.has(beginsNs + BigInt(pass) * 10_000_000_000n) ? "x" : "."
          ).join("")
          for (const [run] of silent.slice(0, silent.lastIndexOf(".")).matchAll(/x+/g)) {
            expect(run.length).toBeGreaterThanOrEqual(6)
            expect(run.length).toBeLessThanOrEqual(24)
          }
        }
      })
  )
})

const describedFleet = { hosts: 16, gpusPerHost: 8, seed: 3, intervalMs: 10_000 }
const gpus = Array.from({ length: 128 }, (_, gpu) => gpu)

describe("with XID errors", () => {
  it("a GPU's job ends with its error, which is shown until the GPU is used again", () => {
    const fleet = makeFleet(describedFleet, ["xid"])
    const violations: Array<string> = []
    const codes = new Set<number>()
    let [ended, mended] = [0, 0]
    for (const gpu of gpus) {
      let before = fleet.stateOf(gpu, 0)
      for (let pass = 1; pass < 2_000; pass++) {
        const state = fleet.stateOf(gpu, pass)
        const [code, codeBefore] = [state.values.DCGM_FI_DEV_XID_ERRORS, before.values.DCGM_FI_DEV_XID_ERRORS]
        const errors =
          state.values.DCGM_FI_DEV_ECC_DBE_VOL_TOTAL - before.values.DCGM_FI_DEV_ECC_DBE_VOL_TOTAL
        const isNew = code !== 0 && code !== codeBefore
        if (isNew) {
          codes.add(code)
          ended++
          if (before.job === undefined) violations.push(`${gpu} ${pass}: nothing ended`)
        }
        if (errors !== (isNew && (code === 48 || code === 94) ? 1 : 0)) violations.push(`${gpu} ${pass}: ECC`)
        if (code !== 0 && (state.job !== undefined || state.values.DCGM_FI_DEV_GPU_UTIL !== 0)) {
          violations.push(`${gpu} ${pass}: still works`)
        }
        if (code === 0 && codeBefore !== 0) mended++
        before = state
      }
    }
    expect(violations).toEqual([])
    expect(codes).toEqual(new Set([13, 31, 43, 45, 48, 74, 94]))
    expect(ended).toBeGreaterThan(20)
    expect(mended).toBeGreaterThan(20)
  })
})

describe("with hot GPUs", () => {
  it("some get hotter than they ever would, and run slower for it; none is cooler or faster", () => {
    const [well, ill] = [makeFleet(describedFleet, []), makeFleet(describedFleet, ["hot"])]
    let throttled = 0
    let hottest = 0
    let different = 0
    for (const gpu of gpus) {
      for (let pass = 0; pass < 1_500; pass++) {
        const [good, hot] = [well.stateOf(gpu, pass).values, ill.stateOf(gpu, pass).values]
        if (hot.DCGM_FI_DEV_GPU_TEMP === good.DCGM_FI_DEV_GPU_TEMP) continue
        different++
        hottest = Math.max(hottest, hot.DCGM_FI_DEV_GPU_TEMP)
        expect(hot.DCGM_FI_DEV_GPU_TEMP).toBeGreaterThan(good.DCGM_FI_DEV_GPU_TEMP)
        expect(hot.DCGM_FI_DEV_SM_CLOCK).toBeLessThanOrEqual(good.DCGM_FI_DEV_SM_CLOCK)
        expect(hot.DCGM_FI_DEV_GPU_UTIL).toBe(good.DCGM_FI_DEV_GPU_UTIL)
        if (hot.DCGM_FI_DEV_SM_CLOCK < good.DCGM_FI_DEV_SM_CLOCK) {
          throttled++
          expect(hot.DCGM_FI_DEV_GPU_TEMP).toBeGreaterThan(65)
          expect(hot.DCGM_FI_DEV_POWER_USAGE).toBeLessThan(good.DCGM_FI_DEV_POWER_USAGE)
        } else {
          expect(hot.DCGM_FI_DEV_POWER_USAGE).toBe(good.DCGM_FI_DEV_POWER_USAGE)
        }
      }
    }
    expect(hottest).toBeGreaterThanOrEqual(87)
    expect(throttled).toBeGreaterThan(1_000)
    expect(different).toBeLessThan(gpus.length * 1_500 * 0.15)
  })
})

describe("with every fault", () => {
  const settings = { ...small, faults: faultNames }

  it.effect.prop(
    "the same seed gives the same samples and rejects, and a position exactly the rest",
    [
      FastCheck.nat(),
      FastCheck.integer({ min: 9, max: 400 }),
      FastCheck.double({ max: 0.45, min: 0, noNaN: true })
    ],
    ([seed, rowsMax, at]) =>
      Effect.gen(function* () {
        const rows = 8 * rowsPerPass
        const ofSeed = { ...settings, seed }
        const whole = yield* readFleet({ settings: ofSeed, rows })
        const again = yield* readFleet({ settings: ofSeed, rows, rowsMax })
        expect(texts(again.read)).toEqual(texts(whole.read))
        expect(again.rejected).toEqual(whole.rejected)
        const index = Math.floor(at * whole.read.length)
        const from = whole.read[index]!.after
        const { read } = yield* readFleet({ settings: ofSeed, from, rows: rows / 2, rowsMax })
        expect(read.length).toBeGreaterThan(rows / 3)
        expect(texts(read)).toEqual(texts(whole.read).slice(index + 1, index + 1 + read.length))
      }),
    { fastCheck: { numRuns: 12 } }
  )

  it.effect("rows that are read are samples or rejects", () =>
    Effect.gen(function* () {
      const outcome = yield* readFleet({ settings, rows: 120 * rowsPerPass })
      const rejected = outcome.rejected.reduce(
        (sum, { reason, count }) => sum + (reason === "bad_label" ? 0 : count),
        0
      )
      expect(outcome.read.length + rejected).toBe(outcome.rowsRead)
      expect(outcome.read.every(({ sample }) => Number.isFinite(sample.value))).toBe(true)
      expect(new Set(outcome.read.map(({ sample }) => encodeSample(sample))).size).toBe(outcome.read.length)
    })
  )

  it("each can be asked for by its name, and all at once", () => {
    const faultsOf = (text: string) =>
      Effect.runSync(
        load(sourceSettings.config).pipe(
          Effect.map(({ source }) => (source.kind === "simulated" ? source.faults : undefined)),
          withFlags(
            new Map([
              ["--simulate", "1x1"],
              ["--simulate-faults", text]
            ])
          ),
          Effect.either
        )
      )
    const right = (faults: ReadonlyArray<FaultName>) => ({ _tag: "Right", right: faults })
    expect(faultsOf("all")).toMatchObject(right(faultNames))
    expect(faultsOf("none")).toMatchObject(right([]))
    expect(faultsOf("")).toMatchObject(right([]))
    expect(faultsOf(" Hot, xid,hot")).toMatchObject(right(["xid", "hot"]))
    for (const name of faultNames) expect(faultsOf(name)).toMatchObject(right([name]))
    for (const text of ["hot,", "hot,none", "cold", "all,xid"]) {
      expect(faultsOf(text)).toMatchObject({ _tag: "Left" })
    }
  })
})
