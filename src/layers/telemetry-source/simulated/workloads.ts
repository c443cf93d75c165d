/** What jobs are like: how their load goes over time, and what a GPU has to do at full load. */
import { between, share } from "./random.ts"
import type { Load } from "./waves.ts"

export type WorkloadKind = "training" | "simulation" | "inference"

/** What a job asks of each of its GPUs. */
export interface Workload {
  readonly kind: WorkloadKind
  readonly load: Load
  /** How far the load wavers about that, as a share of it. */
  readonly waver: number
  /** What a GPU would draw at full load if nothing capped it. */
  readonly demandWatts: number
  readonly frameBufferShare: number
  /** Of the cycles at full load, those in which tensor cores, memory and video decoder are busy. */
  readonly tensorShare: number
  readonly memoryShare: number
  readonly decoderShare: number
  /** At full load, over all links. */
  readonly nvlinkMegabytesPerS: number
  readonly pcieBytesPerS: number
}

const purpose = {
  mean: 101,
  demand: 102,
  frameBuffer: 103,
  tensor: 104,
  memory: 105,
  decoder: 106,
  nvlink: 107,
  pcie: 108,
  period: 109,
  dip: 110,
  stallPeriod: 111,
  stall: 112,
  stallDepth: 113
} as const

/** Full load, but for deep dips while a checkpoint is written and shallow ones where data comes late. */
export const training = (key: number, gpus: number, beginsS: number): Workload => {
  const mean = between(key, purpose.mean, 0.88, 0.98)
  const checkpoints = {
    periodS: between(key, purpose.period, 200, 400),
    lengthS: between(key, purpose.dip, 15, 35),
    depth: 0.75 * mean
  }
  const stalls = {
    periodS: between(key, purpose.stallPeriod, 50, 130),
    lengthS: between(key, purpose.stall, 4, 12),
    depth: between(key, purpose.stallDepth, 0.08, 0.24) * mean
  }
  return {
    kind: "training",
    load: { mean, swing: 0, dips: [checkpoints, stalls], beginsS },
    waver: 0.02,
    demandWatts: between(key, purpose.demand, 560, 780),
    frameBufferShare: between(key, purpose.frameBuffer, 0.7, 0.95),
    tensorShare: between(key, purpose.tensor, 0.4, 0.65),
    memoryShare: between(key, purpose.memory, 0.3, 0.5),
    decoderShare: 0,
    nvlinkMegabytesPerS: gpus === 1 ? 0 : between(key, purpose.nvlink, 60_000, 250_000),
    pcieBytesPerS: between(key, purpose.pcie, 5e8, 4e9)
  }
}

/** High-performance computing: bursts of work with waits in between. */
export const simulation = (key: number, gpus: number, beginsS: number): Workload => {
  const mean = between(key, purpose.mean, 0.7, 0.95)
  const periodS = between(key, purpose.period, 60, 180)
  const waits = { periodS, lengthS: periodS * between(key, purpose.dip, 0.2, 0.5), depth: 0.85 * mean }
  return {
    kind: "simulation",
    load: { mean, swing: 0, dips: [waits], beginsS },
    waver: 0.04,
    demandWatts: between(key, purpose.demand, 400, 720),
    frameBufferShare: between(key, purpose.frameBuffer, 0.15, 0.7),
    tensorShare: between(key, purpose.tensor, 0.01, 0.1),
    memoryShare: between(key, purpose.memory, 0.5, 0.8),
    decoderShare: 0,
    nvlinkMegabytesPerS: gpus === 1 ? 0 : between(key, purpose.nvlink, 10_000, 80_000),
    pcieBytesPerS: between(key, purpose.pcie, 1e8, 2e9)
  }
}

/** A service, whose traffic comes and goes with the day; some of them look at video. */
export const inference = (key: number, beginsS: number): Workload => {
  const peak = between(key, purpose.mean, 0.5, 0.85)
  return {
    kind: "inference",
    load: { mean: 0.55 * peak, swing: 0.45 * peak, dips: [], beginsS },
    waver: 0.15,
    demandWatts: between(key, purpose.demand, 320, 560),
    frameBufferShare: between(key, purpose.frameBuffer, 0.5, 0.92),
    tensorShare: between(key, purpose.tensor, 0.1, 0.3),
    memoryShare: between(key, purpose.memory, 0.45, 0.75),
    decoderShare: share(key, purpose.decoder) < 0.3 ? 0.3 : 0,
    nvlinkMegabytesPerS: 0,
    pcieBytesPerS: between(key, purpose.pcie, 5e7, 5e8)
  }
}
