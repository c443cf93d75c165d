import { FastCheck } from "effect"
import { describe, expect, it } from "vitest"
import { type CsvHeader, columnNames, readHeader } from "../../../src/layers/telemetry-source/csv-header.ts"
import { makeRowReader } from "../../../src/layers/telemetry-source/row.ts"
import { csvCells, inOrder } from "../../../src/layers/telemetry-source/simulated/csv-row.ts"
import { type FaultName, faultNames } from "../../../src/layers/telemetry-source/simulated/faults.ts"
import { makeFleet } from "../../../src/layers/telemetry-source/simulated/fleet.ts"
import { type GpuState, simulatedMetricNames } from "../../../src/layers/telemetry-source/simulated/gpu.ts"
import { dcgmCatalogue, unitRange } from "../../../src/protocol/DcgmCatalogue.ts"
import { seriesKey } from "../../../src/protocol/Series.ts"

const fleetOf = (
  { hosts = 6, gpusPerHost = 8, seed = 1, intervalMs = 10_000 },
  faults: ReadonlyArray<FaultName> = []
) => makeFleet({ hosts, gpusPerHost, seed, intervalMs }, faults)

const passesPerDay = 8_640

/** Every GPU of a fleet at times spread over a day that hit no beat of its jobs. */
const overADay = (fleet: ReturnType<typeof makeFleet>, gpus: number): ReadonlyArray<GpuState> =>
  Array.from({ length: 150 }, (_, i) => Math.floor((i * passesPerDay) / 150)).flatMap((pass) =>
    Array.from({ length: gpus }, (_, gpu) => fleet.stateOf(gpu, pass))
  )

const correlation = (pairs: ReadonlyArray<readonly [number, number]>): number => {
  const mean = (of: 0 | 1) => pairs.reduce((sum, pair) => sum + pair[of], 0) / pairs.length
  const [meanX, meanY] = [mean(0), mean(1)]
  let [covariance, varianceX, varianceY] = [0, 0, 0]
  for (const pair of pairs) {
    const [x, y] = [pair[0] - meanX, pair[1] - meanY]
    covariance += x * y
    varianceX += x * x
    varianceY += y * y
  }
  return covariance / Math.sqrt(varianceX * varianceY)
}

const anyGpu = FastCheck.record({
  seed: FastCheck.nat(),
  host: FastCheck.nat(40),
  gpuId: FastCheck.nat(15),
  intervalMs: FastCheck.constantFrom(250, 1_000, 10_000),
  faults: FastCheck.subarray([...faultNames])
})

/** Passes of the first minutes, and of any of the next two hundred years. */
const anyPass = FastCheck.oneof(FastCheck.nat(1_000), FastCheck.nat(600_000_000))

const gpuOf = ({
  seed,
  host,
  gpuId,
  intervalMs,
  faults
}: typeof anyGpu extends FastCheck.Arbitrary<infer A> ? A : never) => {
  const fleet = fleetOf({ hosts: 41, gpusPerHost: 16, seed, intervalMs }, faults)
  return (pass: number) => fleet.stateOf(host * 16 + gpuId, pass)
}

describe("a simulated GPU", () => {
  it("has values that its metrics' units allow, whatever its seed, pass and faults", () => {
    FastCheck.assert(
      FastCheck.property(anyGpu, anyPass, (of, pass) => {
        const { values } = gpuOf(of)(pass)
        expect(Object.keys(values)).toEqual([...simulatedMetricNames])
        for (const [name, value] of Object.entries(values)) {
          const [min, max] = unitRange(dcgmCatalogue.get(name)!.unit) ?? [0, Number.MAX_SAFE_INTEGER]
          expect(value, name).toBeGreaterThanOrEqual(min)
          expect(value, name).toBeLessThanOrEqual(max)
        }
        const { DCGM_FI_DEV_FB_USED: used, DCGM_FI_DEV_FB_FREE: free } = values
        expect(used + free + values.DCGM_FI_DEV_FB_RESERVED).toBe(81_559)
        expect(values.DCGM_FI_DEV_GPU_TEMP).toBeGreaterThanOrEqual(24)
        expect(values.DCGM_FI_DEV_GPU_TEMP).toBeLessThanOrEqual(of.faults.includes("hot") ? 95 : 84)
        expect(values.DCGM_FI_DEV_MEMORY_TEMP).toBeGreaterThan(values.DCGM_FI_DEV_GPU_TEMP)
        expect(values.DCGM_FI_DEV_POWER_USAGE).toBeGreaterThanOrEqual(60)
        expect(values.DCGM_FI_DEV_POWER_USAGE).toBeLessThanOrEqual(700)
        expect(values.DCGM_FI_DEV_SM_CLOCK).toBeLessThanOrEqual(1_980)
      }),
      { numRuns: 1_000 }
    )
  })

  it("is in the same state in a pass, whatever was asked before", () => {
    FastCheck.assert(
      FastCheck.property(anyGpu, FastCheck.array(anyPass, { maxLength: 5 }), anyPass, (of, before, pass) => {
        const used = gpuOf(of)
        for (const other of [...before, pass - 1, pass + 1]) used(Math.max(0, other))
        expect(used(pass)).toEqual(gpuOf(of)(pass))
      }),
      { numRuns: 300 }
    )
  })

  it("has counters that never fall, and energy that rises at least by what idling takes", () => {
    FastCheck.assert(
      FastCheck.property(anyGpu, anyPass, FastCheck.oneof(FastCheck.nat(20), anyPass), (of, pass, ahead) => {
        const state = gpuOf(of)
        const [before, after] = [state(pass).values, state(pass + ahead).values]
        for (const name of simulatedMetricNames) {
          if (dcgmCatalogue.get(name)!.type === "counter") {
            expect(after[name], name).toBeGreaterThanOrEqual(before[name])
          }
        }
        const name = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
        expect(after[name] - before[name]).toBeGreaterThanOrEqual(60 * ahead * of.intervalMs)
      }),
      { numRuns: 1_000 }
    )
  })

  it.each([[[]], [["hot", "xid"]]] as const)(
    "uses the energy that its power adds up to, faults: %j",
    (faults) => {
      const fleet = fleetOf({ hosts: 12, gpusPerHost: 4, intervalMs: 1_000 }, faults)
      const windowS = 1_200
      for (let gpu = 0; gpu < 48; gpu += 3) {
        for (let window = 0; window < 6; window++) {
          let joules = 0
          const from = window * windowS
          for (let second = from; second < from + windowS; second++) {
            joules += fleet.stateOf(gpu, second).values.DCGM_FI_DEV_POWER_USAGE
          }
          const energyAt = (pass: number) =>
            fleet.stateOf(gpu, pass).values.DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION / 1_000
          const ratio = joules / (energyAt(from + windowS) - energyAt(from))
          expect(Math.abs(ratio - 1), `gpu ${gpu}, window ${window}`).toBeLessThan(0.015)
        }
      }
    }
  )

  it("warms up and cools down behind its power, as a body of heat does", () => {
    const fleet = fleetOf({ hosts: 12, gpusPerHost: 4, intervalMs: 1_000 })
    const ranges: Array<number> = []
    for (let gpu = 0; gpu < 48; gpu += 3) {
      let followed = 70
      const offsets: Array<number> = []
      const temperatures: Array<number> = []
      for (let second = 0; second < 7_200; second++) {
        const { values } = fleet.stateOf(gpu, second)
        followed += (values.DCGM_FI_DEV_POWER_USAGE - followed) / 45
        if (second < 600) continue
        offsets.push(values.DCGM_FI_DEV_GPU_TEMP - 0.068 * followed)
        temperatures.push(values.DCGM_FI_DEV_GPU_TEMP)
      }
      // What is left is the air, and that a temperature is a whole number.
      expect(Math.max(...offsets) - Math.min(...offsets)).toBeLessThan(3)
      ranges.push(Math.max(...temperatures) - Math.min(...temperatures))
    }
    expect(Math.max(...ranges)).toBeGreaterThan(25)
  })

  it("passes the check that rows of files pass, a whole day long", () => {
    const fleet = fleetOf({ hosts: 3, gpusPerHost: 4 })
    const reader = makeRowReader("original")
    const header = readHeader(columnNames) as CsvHeader
    for (let pass = 0; pass < passesPerDay; pass += 97) {
      for (let gpu = 0; gpu < 12; gpu++) {
        const { values, job } = fleet.stateOf(gpu, pass)
        for (const series of fleet.seriesOf(gpu, job)) {
          const value = values[series.metricName as keyof typeof values]
          const row = reader.read(header, inOrder(csvCells({ series, timeNs: 0n, value })))
          expect(row).toEqual({ series, value, timeNs: 0n, malformedLabels: [] })
        }
      }
    }
  })
})

describe("what a GPU does", () => {
  const fleet = fleetOf({ hosts: 16 })
  const states = overADay(fleet, 128)
  const values = states.map((state) => state.values)
  const idle = states.filter(({ job }) => job === undefined).map((state) => state.values)
  const busy = values.filter((of) => of.DCGM_FI_DEV_GPU_UTIL > 50)

  it("is nothing for some, work for others", () => {
    expect(idle.length).toBeGreaterThan(values.length / 5)
    expect(busy.length).toBeGreaterThan(values.length / 5)
    const kinds = new Set(states.map(({ job }) => job?.workload.kind))
    expect(kinds).toEqual(new Set([undefined, "training", "simulation", "inference"]))
  })

  it("shows in all of its metrics at once", () => {
    for (const of of idle) {
      expect(of.DCGM_FI_DEV_GPU_UTIL).toBe(0)
      expect(of.DCGM_FI_DEV_POWER_USAGE).toBeLessThan(80)
      expect(of.DCGM_FI_DEV_SM_CLOCK).toBe(345)
      expect(of.DCGM_FI_DEV_FB_USED).toBeLessThan(10)
      expect(of.DCGM_FI_PROF_DRAM_ACTIVE).toBe(0)
    }
    for (const of of busy) {
      expect(of.DCGM_FI_DEV_POWER_USAGE).toBeGreaterThan(200)
      expect(of.DCGM_FI_DEV_SM_CLOCK).toBeGreaterThan(1_700)
      expect(of.DCGM_FI_DEV_FB_USED).toBeGreaterThan(10_000)
      expect(of.DCGM_FI_DEV_MEM_COPY_UTIL).toBeGreaterThan(10)
    }
    for (const of of values) {
      expect(Math.abs(of.DCGM_FI_PROF_GR_ENGINE_ACTIVE * 100 - of.DCGM_FI_DEV_GPU_UTIL)).toBeLessThanOrEqual(
        0.5
      )
      expect(of.DCGM_FI_PROF_PIPE_TENSOR_ACTIVE).toBeLessThanOrEqual(of.DCGM_FI_PROF_GR_ENGINE_ACTIVE)
      expect(Math.abs(of.DCGM_FI_PROF_DRAM_ACTIVE * 115 - of.DCGM_FI_DEV_MEM_COPY_UTIL)).toBeLessThanOrEqual(
        0.51
      )
      expect(of.DCGM_FI_DEV_XID_ERRORS).toBe(0)
    }
    const pairs = (a: keyof GpuState["values"], b: typeof a) => values.map((of) => [of[a], of[b]] as const)
    expect(correlation(pairs("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE"))).toBeGreaterThan(0.9)
    expect(correlation(pairs("DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_TEMP"))).toBeGreaterThan(0.9)
    expect(correlation(pairs("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED"))).toBeGreaterThan(0.7)
  })

  it("takes clocks where the power limit holds it back, and only there", () => {
    const atLimit = values.filter((of) => of.DCGM_FI_DEV_POWER_USAGE > 600)
    const capped = atLimit.filter((of) => of.DCGM_FI_DEV_SM_CLOCK < 1_980)
    expect(capped.length).toBeGreaterThan(0)
    for (const of of busy) {
      if (of.DCGM_FI_DEV_SM_CLOCK < 1_980) expect(of.DCGM_FI_DEV_POWER_USAGE).toBeGreaterThan(600)
    }
  })

  it("rises and falls with the day where it serves", () => {
    const serving = (hourOfSimulation: number) => {
      const pass = hourOfSimulation * 360
      const loads = Array.from({ length: 128 }, (_, gpu) => fleet.stateOf(gpu, pass)).flatMap(
        ({ values, job }) => (job?.workload.kind === "inference" ? [values.DCGM_FI_DEV_GPU_UTIL] : [])
      )
      return { gpus: loads.length, mean: loads.reduce((a, b) => a + b, 0) / loads.length }
    }
    // The simulation begins at 16:00: 23 hours later it is 15:00, 11 hours later 03:00.
    const [day, night] = [serving(23), serving(11)]
    expect(day.gpus).toBeGreaterThan(night.gpus)
    expect(night.gpus).toBeGreaterThan(0)
    expect(day.mean).toBeGreaterThan(4 * night.mean)
  })

  it("starts and ends within minutes somewhere in a fleet, whatever the seed", () => {
    for (let seed = 0; seed < 20; seed++) {
      const fleet = fleetOf({ hosts: 32, seed })
      const held = (pass: number) =>
        Array.from({ length: 256 }, (_, gpu) => fleet.stateOf(gpu, pass).job !== undefined)
      const [before, after] = [held(0), held(30)]
      expect(after.filter((isHeld, gpu) => isHeld && !before[gpu]).length).toBeGreaterThan(0)
      expect(after.filter((isHeld, gpu) => !isHeld && before[gpu]).length).toBeGreaterThan(0)
    }
  })

  it("names its pod, container and namespace, those of the other GPUs of its job, and none where it has no job", () => {
    for (let pass = 0; pass < passesPerDay; pass += 331) {
      for (let host = 0; host < 16; host++) {
        const gpus = Array.from({ length: 8 }, (_, gpuId) => {
          const gpu = host * 8 + gpuId
          const { job } = fleet.stateOf(gpu, pass)
          return { job, series: fleet.seriesOf(gpu, job)[0]! }
        })
        for (const { job, series } of gpus) {
          const names = [series.pod, series.container, series.namespace]
          expect(names.map((name) => name !== "")).toEqual(names.map(() => job !== undefined))
          for (const other of gpus) {
            if (job === undefined || other.series.pod !== series.pod) continue
            expect(other.job!.firstGpu).toBe(job.firstGpu)
            expect(other.job!.endS).toBe(job.endS)
          }
        }
      }
    }
  })

  it("gives few series, however long it goes on", () => {
    const of = new Map<number, Set<string>>()
    for (let pass = 0; pass < 60 * passesPerDay; pass += 331) {
      for (let gpu = 0; gpu < 128; gpu += 5) {
        const [first] = fleet.seriesOf(gpu, fleet.stateOf(gpu, pass).job)
        of.set(gpu, (of.get(gpu) ?? new Set()).add(seriesKey(first!)))
      }
    }
    const counts = [...of.values()].map((keys) => keys.size)
    expect(Math.max(...counts)).toBeLessThanOrEqual(9)
    expect(Math.max(...counts)).toBeGreaterThan(4)
  })
})

it("a fleet's GPUs have UUIDs of their own in the real ones' form", () => {
  const fleet = makeFleet({ hosts: 1_000, gpusPerHost: 16, seed: 1, intervalMs: 1_000 }, [])
  const uuids = Array.from({ length: 16_000 }, (_, gpu) => fleet.seriesOf(gpu, undefined)[0]!.uuid)
  expect(new Set(uuids).size).toBe(16_000)
  for (const uuid of uuids) {
    expect(uuid).toMatch(/^GPU-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
  }
})
