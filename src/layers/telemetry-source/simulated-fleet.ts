/**
 * A fleet of simulated GPUs: which series it has, and the value of each in each pass.
 *
 * Every value is a function of seed, GPU and pass alone, so that reading can go on anywhere without going through what
 * came before. A GPU works on one job after another, some of them idleness; what it works on drives its utilisation, and
 * that drives power, temperature, clocks and memory.
 */
import { type Series, sortLabels } from "../../protocol/Series.ts"

/** What makes a fleet that fleet. */
export interface FleetDescription {
  readonly hosts: number
  readonly gpusPerHost: number
  /** An integer; the same seed gives the same fleet with the same values. */
  readonly seed: number
}

/** The metrics in the order in which a GPU's samples come. */
export const simulatedMetricNames = [
  "DCGM_FI_DEV_GPU_UTIL",
  "DCGM_FI_DEV_MEM_COPY_UTIL",
  "DCGM_FI_DEV_POWER_USAGE",
  "DCGM_FI_DEV_GPU_TEMP",
  "DCGM_FI_DEV_FB_USED",
  "DCGM_FI_DEV_FB_FREE",
  "DCGM_FI_DEV_DEC_UTIL",
  "DCGM_FI_DEV_ENC_UTIL",
  "DCGM_FI_DEV_SM_CLOCK",
  "DCGM_FI_DEV_MEM_CLOCK"
] as const

export type SimulatedMetricName = (typeof simulatedMetricNames)[number]

/** The values of one GPU in one pass. */
export type GpuValues = Readonly<Record<SimulatedMetricName, number>>

export interface SimulatedFleet {
  readonly gpus: number
  /** Samples of a pass: one per series. */
  readonly rowsPerPass: number
  /** The series of a row, the same object each time. Rows go GPU by GPU, metric by metric. */
  readonly seriesOf: (row: number) => Series
  readonly valueOf: (pass: number, row: number) => number
}

/** Frame buffer of an H100 that is free or in use; what the driver reserves is not in it. */
const frameBufferMiB = 81_007
const frameBufferIdleMiB = 4
const idlePowerWatts = 68
const powerWattsMax = 690
const idleClockMhz = 345
const fullClockMhz = 1980
const memoryClockMhz = 2619
/** Passes that a job takes, from and below. */
const jobPassesMin = 20
const jobPassesMax = 200
const idleShare = 0.4
/** Passes over which a GPU warms up and cools down. */
const thermalPasses = 4

/** What a random number is for: each purpose draws from a sequence of its own. */
const purpose = {
  uuid: 0,
  jobPasses: 4,
  jobPhase: 5,
  isIdle: 6,
  load: 7,
  memoryShare: 8,
  copyShare: 9,
  heat: 10,
  jitter: 11,
  powerJitter: 12,
  coolness: 13
} as const

/** The finaliser of MurmurHash3: every bit of the input changes half of the output's. */
const scramble = (word: number): number => {
  let x = word
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** 32 random bits that depend on all of the words, safe integers. */
const randomWord = (...words: ReadonlyArray<number>): number => {
  let state = 0x9e3779b9
  for (const word of words) {
    state = scramble(state ^ word)
    state = scramble(state + Math.floor(word / 2 ** 32))
  }
  return state
}

const hex = (word: number): string => word.toString(16).padStart(8, "0")

const uuidOf = (seed: number, gpu: number): string => {
  const digits = [0, 1, 2, 3].map((i) => hex(randomWord(seed, gpu, purpose.uuid + i))).join("")
  const parts = [[0, 8], [8, 12], [12, 16], [16, 20], [20]].map(([from, to]) => digits.slice(from, to))
  return `GPU-${parts.join("-")}`
}

const seriesOfGpu = ({ seed, gpusPerHost }: FleetDescription, gpu: number): ReadonlyArray<Series> => {
  const hostname = `sim-dgx-${String(Math.floor(gpu / gpusPerHost) + 1).padStart(3, "0")}`
  const gpuId = gpu % gpusPerHost
  const shared = {
    uuid: uuidOf(seed, gpu),
    hostname,
    gpuId,
    device: `nvidia${gpuId}`,
    modelName: "NVIDIA H100 80GB HBM3",
    container: "",
    pod: "",
    namespace: "",
    labels: sortLabels([
      ["DCGM_FI_DRIVER_VERSION", "535.129.03"],
      ["instance", `${hostname}:9400`],
      ["job", "dgx_dcgm_exporter"]
    ])
  }
  return simulatedMetricNames.map((metricName) => ({ metricName, ...shared }))
}

/** The values of a GPU in any pass. */
export const makeGpuValues = (seed: number, gpu: number): ((pass: number) => GpuValues) => {
  const share = (what: number, at: number): number => randomWord(seed, gpu, what, at) / 2 ** 32
  const between = (min: number, max: number, what: number, at: number): number =>
    min + share(what, at) * (max - min)
  const jobPasses = Math.floor(between(jobPassesMin, jobPassesMax, purpose.jobPasses, 0))
  const phase = Math.floor(share(purpose.jobPhase, 0) * jobPasses)
  const ambientCelsius = between(26, 34, purpose.coolness, 0)

  const workIn = (pass: number) => {
    const job = Math.floor((pass + phase) / jobPasses)
    const isIdle = share(purpose.isIdle, job) < idleShare
    const load = isIdle
      ? 0
      : Math.min(1, between(0.7, 1, purpose.load, job) * between(0.9, 1.1, purpose.jitter, pass))
    const fullWatts = between(300, powerWattsMax - 20, purpose.heat, job)
    const watts =
      idlePowerWatts + load * (fullWatts - idlePowerWatts) + between(0, 8, purpose.powerJitter, pass)
    return { job, isIdle, load, watts }
  }

  return (pass) => {
    const { job, isIdle, load, watts } = workIn(pass)
    let recentWatts = 0
    for (let i = 0; i < thermalPasses; i++) recentWatts += workIn(Math.max(0, pass - i)).watts / thermalPasses
    const usedMiB = isIdle
      ? frameBufferIdleMiB
      : Math.round(frameBufferMiB * between(0.25, 0.95, purpose.memoryShare, job))
    return {
      DCGM_FI_DEV_GPU_UTIL: Math.round(load * 100),
      DCGM_FI_DEV_MEM_COPY_UTIL: Math.round(load * 100 * between(0.2, 0.8, purpose.copyShare, job)),
      DCGM_FI_DEV_POWER_USAGE: Math.round(watts * 1000) / 1000,
      DCGM_FI_DEV_GPU_TEMP: Math.round(
        ambientCelsius + ((recentWatts - idlePowerWatts) / (powerWattsMax - idlePowerWatts)) * 44
      ),
      DCGM_FI_DEV_FB_USED: usedMiB,
      DCGM_FI_DEV_FB_FREE: frameBufferMiB - usedMiB,
      DCGM_FI_DEV_DEC_UTIL: 0,
      DCGM_FI_DEV_ENC_UTIL: 0,
      DCGM_FI_DEV_SM_CLOCK: isIdle ? idleClockMhz : fullClockMhz,
      DCGM_FI_DEV_MEM_CLOCK: memoryClockMhz
    }
  }
}

/** A fleet; it keeps its series in memory once they are asked for, and nothing of its values. */
export const makeFleet = (description: FleetDescription): SimulatedFleet => {
  const metrics = simulatedMetricNames.length
  const gpus = description.hosts * description.gpusPerHost
  const series: Array<ReadonlyArray<Series> | undefined> = new Array(gpus)
  // Rows of a GPU follow each other: its values are worked out once for all of them.
  let current: { readonly gpu: number; readonly pass: number; readonly values: GpuValues } | undefined
  return {
    gpus,
    rowsPerPass: gpus * metrics,
    seriesOf: (row) => {
      const gpu = Math.floor(row / metrics)
      series[gpu] ??= seriesOfGpu(description, gpu)
      return series[gpu][row % metrics]!
    },
    valueOf: (pass, row) => {
      const gpu = Math.floor(row / metrics)
      if (current?.gpu !== gpu || current.pass !== pass) {
        current = { gpu, pass, values: makeGpuValues(description.seed, gpu)(pass) }
      }
      return current.values[simulatedMetricNames[row % metrics]!]
    }
  }
}
