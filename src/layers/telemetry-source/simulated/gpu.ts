/**
 * A simulated H100 SXM5: what its metrics say at any moment.
 *
 * Figures are those of NVIDIA's H100 datasheet (700 W, 80 GB of HBM3, NVLink 900 GB/s, PCIe Gen5) and of what exporters of
 * a DGX H100 cluster report: 67 W when idle, clocks of 345 to 1,980 MHz, memory at 2,619 MHz, 81,007 MiB of frame buffer
 * used and free. Names and units of metrics are DCGM's (dcgm_fields.h).
 */
import { cappedWatts, isHeld, isThrottled, loadOf, throttledShare, wattsOf } from "./assignment.ts"
import { below, between, keyOf, mix, share } from "./random.ts"
import { type Counters, makeSlots, type Slot } from "./slots.ts"
import type { Job, Timetable } from "./timetable.ts"
import { dayS, dayWave, dipAt } from "./waves.ts"

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
  "DCGM_FI_DEV_MEM_CLOCK",
  "DCGM_FI_DEV_FB_RESERVED",
  "DCGM_FI_DEV_MEMORY_TEMP",
  "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
  "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL",
  "DCGM_FI_DEV_PCIE_REPLAY_COUNTER",
  "DCGM_FI_DEV_XID_ERRORS",
  "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",
  "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
  "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
  "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
  "DCGM_FI_DEV_ROW_REMAP_FAILURE",
  "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
  "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
  "DCGM_FI_PROF_DRAM_ACTIVE",
  "DCGM_FI_PROF_PCIE_TX_BYTES",
  "DCGM_FI_PROF_PCIE_RX_BYTES"
] as const
export type SimulatedMetricName = (typeof simulatedMetricNames)[number]

/** The values of one GPU at one moment. */
export type GpuValues = Readonly<Record<SimulatedMetricName, number>>

/** What is heard of a GPU in a pass. */
export interface GpuState {
  readonly values: GpuValues
  /** The job that holds it. */
  readonly job: Job | undefined
}

/** Frame buffer that is free or in use, and what the driver keeps for itself. */
const frameBufferMiB = 81_007
const frameBufferReservedMiB = 552
const frameBufferIdleMiB = 4
const idleClockMhz = 345
const fullClockMhz = 1_980
const throttledClockMhz = 1_305
const memoryClockMhz = 2_619
/** Clocks change in steps; the power limit takes one for so many watts that it holds back. */
const clockStepMhz = 15
const wattsPerClockStep = 6
const celsiusPerWatt = 0.068
/** The power sensor is off by at most so much. */
const sensorErrorWatts = 3
const powerLimitWatts = 700
/** Rows of its memory that an H100 can remap. */
const remappedRowsMax = 512
const loadingBytesPerS = 2e10
const checkpointBytesPerS = 8e9
const idleBytesPerS = 4e4

const purpose = {
  idleWatts: 1,
  hostAir: 2,
  placeAir: 3,
  hotCelsius: 4,
  replays: 5,
  hasBitErrors: 6,
  bitErrors: 7,
  remappedRows: 8,
  frameBuffer: 9,
  waver: 10,
  traffic: 11
} as const
/** What tells the keys of GPUs and of their hosts' air from other keys of the same seed. */
const gpuKeys = 0x61
const airKeys = 0x62

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value))
const toPercent = (ratio: number): number => Math.round(100 * clamp(ratio, 0, 1))
const toRatio = (ratio: number): number => Math.round(1e6 * clamp(ratio, 0, 1)) / 1e6

/** What is so of a GPU whatever it does. */
interface Constitution {
  readonly idleWatts: number
  readonly airCelsius: number
  readonly hotCelsius: number
  readonly replays: number
  readonly bitErrorsPerDay: number
  readonly remappedRows: number
  readonly frameBufferIdleMiB: number
}

const constitutionOf = (key: number, airKey: number, gpuId: number): Constitution => ({
  idleWatts: between(key, purpose.idleWatts, 66, 74),
  // The second row of four gets the air that the first has warmed.
  airCelsius:
    between(airKey, purpose.hostAir, 22, 27) + (gpuId % 8 < 4 ? 0 : 4) + between(key, purpose.placeAir, 0, 2),
  hotCelsius: between(key, purpose.hotCelsius, 88, 91),
  replays: Math.max(0, below(key, purpose.replays, 12) - 8),
  bitErrorsPerDay: share(key, purpose.hasBitErrors) < 0.1 ? between(key, purpose.bitErrors, 0.2, 3) : 0,
  remappedRows: Math.max(0, below(key, purpose.remappedRows, 20) - 17),
  frameBufferIdleMiB: frameBufferIdleMiB + below(key, purpose.frameBuffer, 4)
})

/** A moment of a GPU: its slot, the seconds since that began, and chance from -1 to 1 for what wavers. */
interface Moment {
  readonly hostS: number
  readonly slot: Slot
  readonly s: number
  readonly waver: number
  readonly traffic: number
}

/** What clocks a job runs at. */
const clockOf = ({ slot: { assignment }, s, waver }: Moment, load: number): number => {
  if (assignment === undefined || !isHeld(assignment, s)) return idleClockMhz
  if (load > 0 && isThrottled(assignment, s)) return throttledClockMhz + clockStepMhz * Math.round(waver)
  const heldBackWatts = assignment.job.workload.demandWatts * load - cappedWatts
  const steps = Math.ceil(Math.max(0, heldBackWatts) / wattsPerClockStep)
  return fullClockMhz - clockStepMhz * steps
}

/** Bytes a second over PCIe, sent and received: data for the job, and its checkpoints. */
const pcieOf = ({ slot: { assignment }, s, traffic }: Moment, load: number) => {
  const idleBytes = idleBytesPerS * (1 + 0.5 * traffic)
  if (assignment === undefined || !isHeld(assignment, s)) return { sent: idleBytes, received: idleBytes }
  const { workload, loadedS } = assignment.job
  if (s < loadedS) return { sent: idleBytes, received: loadingBytesPerS * (1 + 0.1 * traffic) }
  const [checkpoints] = workload.load.dips
  const writes =
    workload.kind === "training" && checkpoints !== undefined && dipAt(checkpoints, s - loadedS) > 0
  const bytes = workload.pcieBytesPerS * load * (1 + 0.2 * traffic)
  return { sent: idleBytes + bytes / 4 + (writes ? checkpointBytesPerS : 0), received: idleBytes + bytes }
}

const frameBufferUsedMiB = ({ slot: { assignment }, s }: Moment, idleMiB: number): number => {
  if (assignment === undefined || !isHeld(assignment, s)) return idleMiB
  const { startS, loadedS, workload } = assignment.job
  const loaded = s >= loadedS ? 1 : (s - startS) / (loadedS - startS)
  return idleMiB + Math.round(loaded * workload.frameBufferShare * (frameBufferMiB - idleMiB))
}

/** The error that is shown: the job's that ended with it, until the slot is over and the GPU is reset. */
const xidOf = ({ slot: { assignment }, s }: Moment, gpuId: number): number => {
  const xid = assignment?.job.xid
  return xid?.gpu === gpuId && s >= assignment!.job.endS ? xid.code : 0
}

const valuesOf = (
  moment: Moment,
  gpuId: number,
  constitution: Constitution,
  counters: Counters,
  heat: { readonly heatWatts: number; readonly riseCelsius: number }
): GpuValues => {
  const { slot, s, waver, hostS } = moment
  const { assignment } = slot
  const workload = assignment?.job.workload
  const usual = assignment === undefined ? 0 : loadOf(assignment, s)
  const wavering = usual * (workload?.waver ?? 0) * waver
  const load = clamp(usual + wavering, 0, 1)
  const isSlow = assignment !== undefined && isThrottled(assignment, s)
  const pace = isSlow ? throttledShare : 1
  const memory = load * pace * (workload?.memoryShare ?? 0)
  const watts =
    constitution.idleWatts +
    (assignment === undefined ? 0 : wattsOf(assignment, s) + (pace * wavering * assignment.spanWatts) / 2) +
    sensorErrorWatts * waver
  const celsius =
    constitution.airCelsius +
    1.5 * dayWave(hostS) +
    celsiusPerWatt * (constitution.idleWatts + heat.heatWatts) +
    heat.riseCelsius
  const usedMiB = frameBufferUsedMiB(moment, constitution.frameBufferIdleMiB)
  const { sent, received } = pcieOf(moment, load)
  return {
    DCGM_FI_DEV_GPU_UTIL: toPercent(load),
    DCGM_FI_DEV_MEM_COPY_UTIL: toPercent(1.15 * memory),
    DCGM_FI_DEV_POWER_USAGE: Math.round(1_000 * clamp(watts, 0, powerLimitWatts)) / 1_000,
    DCGM_FI_DEV_GPU_TEMP: Math.round(celsius),
    DCGM_FI_DEV_FB_USED: usedMiB,
    DCGM_FI_DEV_FB_FREE: frameBufferMiB - usedMiB,
    DCGM_FI_DEV_DEC_UTIL: toPercent(load * (workload?.decoderShare ?? 0)),
    DCGM_FI_DEV_ENC_UTIL: 0,
    DCGM_FI_DEV_SM_CLOCK: clockOf(moment, load),
    DCGM_FI_DEV_MEM_CLOCK: memoryClockMhz,
    DCGM_FI_DEV_FB_RESERVED: frameBufferReservedMiB,
    DCGM_FI_DEV_MEMORY_TEMP: Math.round(celsius + 3 + 9 * memory),
    DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION: counters.millijoules,
    DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL: counters.nvlinkMegabytes,
    DCGM_FI_DEV_PCIE_REPLAY_COUNTER: constitution.replays,
    DCGM_FI_DEV_XID_ERRORS: xidOf(moment, gpuId),
    DCGM_FI_DEV_ECC_SBE_VOL_TOTAL: Math.floor((constitution.bitErrorsPerDay * hostS) / dayS),
    DCGM_FI_DEV_ECC_DBE_VOL_TOTAL: counters.memoryErrors,
    DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS: constitution.remappedRows,
    DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS: Math.min(counters.memoryErrors, remappedRowsMax),
    DCGM_FI_DEV_ROW_REMAP_FAILURE: counters.memoryErrors > remappedRowsMax ? 1 : 0,
    DCGM_FI_PROF_GR_ENGINE_ACTIVE: toRatio(load),
    DCGM_FI_PROF_PIPE_TENSOR_ACTIVE: toRatio(load * (workload?.tensorShare ?? 0)),
    DCGM_FI_PROF_DRAM_ACTIVE: toRatio(memory),
    DCGM_FI_PROF_PCIE_TX_BYTES: Math.round(sent),
    DCGM_FI_PROF_PCIE_RX_BYTES: Math.round(received)
  }
}

/** A GPU of a host; answers its state in a pass, `simulatedS` seconds after the simulation began. */
export const makeGpu = (
  seed: number,
  {
    host,
    gpusPerHost,
    gpuId
  }: { readonly host: number; readonly gpusPerHost: number; readonly gpuId: number },
  timetable: Timetable
): ((pass: number, simulatedS: number) => GpuState) => {
  const key = keyOf(seed, gpuKeys, host * gpusPerHost + gpuId)
  const constitution = constitutionOf(key, keyOf(seed, airKeys, host), gpuId)
  const slots = makeSlots(timetable, gpuId, { ...constitution, celsiusPerWatt }, constitution.hotCelsius)
  return (pass, simulatedS) => {
    const hostS = timetable.beginsS + simulatedS
    const number = Math.floor(hostS / timetable.slotS)
    const slot = slots.at(number)
    const s = hostS - number * timetable.slotS
    const passKey = mix(key, pass)
    const waver = between(passKey, purpose.waver, -1, 1)
    const moment = { hostS, slot, s, waver, traffic: between(passKey, purpose.traffic, -1, 1) }
    const { assignment } = slot
    return {
      values: valuesOf(moment, gpuId, constitution, slots.countersIn(slot, s), slots.heatIn(slot, s)),
      job: assignment !== undefined && isHeld(assignment, s) ? assignment.job : undefined
    }
  }
}
