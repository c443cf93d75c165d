/**
 * A job on one GPU: what it draws, how the GPU heats up, and what it adds to counters, at any time of its slot.
 *
 * Power steps and ramps; heat follows it with a lag. Everything is a closed form of the time within the slot.
 */
import type { Job } from "./timetable.ts"
import { loadAt, loadFollowed, loadSum } from "./waves.ts"

/** What the power limit of an H100 SXM5, 700 W, leaves for what is drawn on average. */
export const cappedWatts = 690
/** Drawn above idling while a job holds the GPU at full clocks and does nothing. */
const heldWatts = 45
/** How long heat sink and memory take to follow power. */
const heatLagS = 45
/** How long the air around a GPU takes to warm up when its cooling fails. */
const coolingLagS = 60
/** Of what a job draws above `heldWatts`, and gets done, where clocks are lowered because of heat. */
export const throttledShare = 0.55
/** Where that begins (an H100 slows down before 90 °C). */
const slowdownCelsius = 87

/** What of a GPU matters to how hot it gets. */
export interface Chassis {
  readonly idleWatts: number
  /** The air that reaches it. */
  readonly airCelsius: number
  readonly celsiusPerWatt: number
}

export interface Assignment {
  readonly job: Job
  /** Drawn at full load above `heldWatts`. */
  readonly spanWatts: number
  /** Seconds of the slot from which on cooling fails, and from which on clocks are lowered for it; infinite if never. */
  readonly failsS: number
  readonly throttledS: number
  /** How much hotter it gets then. */
  readonly riseCelsius: number
}

/** What comes of a job for one of its GPUs. `targetCelsius` is what it settles at if its cooling fails. */
export const assign = (job: Job, gpu: number, chassis: Chassis, targetCelsius: number): Assignment => {
  const { idleWatts, airCelsius, celsiusPerWatt } = chassis
  const spanWatts = Math.min(job.workload.demandWatts, cappedWatts) - idleWatts - heldWatts
  if (job.hot?.gpu !== gpu) {
    const never = Number.POSITIVE_INFINITY
    return { job, spanWatts, failsS: never, throttledS: never, riseCelsius: 0 }
  }
  const { failsS } = job.hot
  const celsiusAt = (share: number) =>
    airCelsius + celsiusPerWatt * (idleWatts + heldWatts + share * job.workload.load.mean * spanWatts)
  const riseCelsius = targetCelsius - celsiusAt(throttledShare)
  const missing = Math.max(0, slowdownCelsius - celsiusAt(1)) / riseCelsius
  const throttledS = failsS - coolingLagS * Math.log(1 - Math.min(missing, 0.95))
  return { job, spanWatts, failsS, throttledS, riseCelsius }
}

/** The load at `s`, as if nothing throttled it; 0 where the job does not work then. */
export const loadOf = ({ job }: Assignment, s: number): number =>
  s < job.loadedS || s >= job.endS ? 0 : loadAt(job.workload.load, s - job.loadedS)

export const isHeld = ({ job }: Assignment, s: number): boolean => s >= job.startS && s < job.endS

export const isThrottled = ({ job, throttledS }: Assignment, s: number): boolean =>
  s >= throttledS && s < job.endS

/** What is drawn at `s` above idling. */
export const wattsOf = (assignment: Assignment, s: number): number =>
  isHeld(assignment, s)
    ? heldWatts +
      assignment.spanWatts * loadOf(assignment, s) * (isThrottled(assignment, s) ? throttledShare : 1)
    : 0

/** Work that is done until `s`, in seconds of full load. */
export const workOf = ({ job, throttledS }: Assignment, s: number): number => {
  const { load } = job.workload
  const workedS = Math.min(s, job.endS) - job.loadedS
  if (workedS <= 0) return 0
  const freeS = throttledS - job.loadedS
  if (workedS <= freeS) return loadSum(load, workedS)
  return throttledShare * loadSum(load, workedS) + (1 - throttledShare) * loadSum(load, freeS)
}

/** Energy used until `s` above idling, in joules. */
export const joulesOf = (assignment: Assignment, s: number): number => {
  const { job, spanWatts } = assignment
  return heldWatts * Math.max(0, Math.min(s, job.endS) - job.startS) + spanWatts * workOf(assignment, s)
}

/** The watts above idling that heat has followed to by `s`. */
export const heatOf = ({ job, spanWatts, throttledS }: Assignment, s: number): number => {
  const untilS = Math.min(s, job.endS)
  if (untilS <= job.startS) return 0
  let heat = heldWatts * (1 - Math.exp(-(untilS - job.startS) / heatLagS))
  const workedS = untilS - job.loadedS
  if (workedS > 0) {
    const { load } = job.workload
    const freeS = throttledS - job.loadedS
    const unthrottled = loadFollowed(load, workedS, heatLagS)
    heat +=
      spanWatts *
      (workedS <= freeS
        ? unthrottled
        : throttledShare * unthrottled +
          (1 - throttledShare) *
            loadFollowed(load, freeS, heatLagS) *
            Math.exp(-(workedS - freeS) / heatLagS))
  }
  return heat * heatLeft(s - untilS)
}

/** What is left of heat after so many seconds without a job. */
export const heatLeft = (seconds: number): number => Math.exp(-seconds / heatLagS)

/** By how much failed cooling makes it hotter at `s`. */
export const riseOf = ({ job, failsS, riseCelsius }: Assignment, s: number): number => {
  if (s <= failsS) return 0
  const failedForS = Math.min(s, job.endS) - failsS
  return riseCelsius * (1 - Math.exp(-failedForS / coolingLagS)) * riseLeft(Math.max(0, s - job.endS))
}

/** What is left of that so many seconds after it was mended. */
export const riseLeft = (seconds: number): number => Math.exp(-seconds / coolingLagS)
