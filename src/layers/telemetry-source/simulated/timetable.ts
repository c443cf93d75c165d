/**
 * What the GPUs of a host work on, and when.
 *
 * A host's day is divided into slots. Each slot takes one of the day's plans, and a plan says which GPUs are given to
 * which job, from when to when. A host works off the same plans every day, those of a quarter of the day in an order that
 * differs from day to day: so every day takes the same energy, and a counter is known at any time without going through
 * the days before. Serving hosts keep their order, because their load follows the time of the day.
 *
 * Slots are short beside a day, so that something starts or ends somewhere every few seconds: at 1,000 rows a second a
 * pass over 32x8 GPUs, which is ten simulated seconds, takes about seven.
 */
import type { FaultName } from "./faults.ts"
import { below, between, keyOf, mix, share } from "./random.ts"
import { dayS, dayWave } from "./waves.ts"
import { inference, simulation, training, type Workload } from "./workloads.ts"

/** A job on some GPUs of a host; times are seconds within the slot. */
export interface Job {
  readonly workload: Workload
  readonly firstGpu: number
  readonly startS: number
  /** When its data are loaded and it begins to work. */
  readonly loadedS: number
  readonly endS: number
  /** The error with which it ends, and the GPU that reports it. */
  readonly xid: { readonly gpu: number; readonly code: number } | undefined
  /** The GPU whose cooling fails until the job ends, and when that begins. */
  readonly hot: { readonly gpu: number; readonly failsS: number } | undefined
}

export interface Timetable {
  readonly slotsPerDay: number
  readonly slotS: number
  /** Seconds between the midnight from which slots are counted and the beginning of the simulation. */
  readonly beginsS: number
  /** The plan of a slot, a number below `slotsPerDay`. */
  readonly planOf: (slot: number) => number
  /** What a GPU works on in a plan, if on anything. */
  readonly jobOf: (plan: number, gpu: number) => Job | undefined
}

type HostKind = "training" | "research" | "serving"

/** Powers of two, so that a quarter of them has an order for every odd number. */
const slotsPerDayOf: Readonly<Record<HostKind, number>> = { training: 32, research: 128, serving: 32 }
/** How likely a group of GPUs is given to one job rather than divided. */
const undividedShareOf: Readonly<Record<HostKind, number>> = { training: 0.8, research: 0.3, serving: 0.2 }
const trainingShareOf = { training: 0.85, research: 0.4 } as const
/** How likely a group of GPUs has nothing to do, by quarter of the day from midnight on. */
const idleShareOf: Readonly<Record<"training" | "research", ReadonlyArray<number>>> = {
  training: [0.12, 0.12, 0.12, 0.12],
  research: [0.75, 0.4, 0.25, 0.5]
}

/**
 * Errors that end a job (NVIDIA, "XID Errors"): graphics engine exception, MMU fault, stopped processing, preemptive
 * cleanup, double-bit ECC error, NVLink error, contained ECC error.
 */
const xidCodes = [13, 31, 43, 45, 48, 74, 94] as const
const xidShare = 0.08
const hotShare = 0.12

/** How long a service loads its model that did not run in the slot before. */
const serviceLoadingS = 40

/** Midnight in UTC, at which the simulation begins, is 16:00 for a fleet in California: its busiest time. */
const beginsAtTimeOfDayS = 16 * 3_600
/** For how many days a host was up before. */
const upDaysMin = 5
const upDaysMax = 60

const purpose = {
  hostKind: 1,
  phase: 2,
  upDays: 3,
  order: 4,
  rotation: 5,
  isUndivided: 6,
  isIdle: 7,
  isTraining: 8,
  delay: 9,
  loading: 10,
  length: 11,
  threshold: 12,
  hasXid: 13,
  xidCode: 14,
  xidGpu: 15,
  xidAt: 16,
  isHot: 17,
  hotGpu: 18
} as const
/** What tells the keys of timetables from other keys of the same seed. */
const timetables = 0x71

const hostKindOf = (hostKey: number): HostKind => {
  const drawn = share(hostKey, purpose.hostKind)
  return drawn < 0.45 ? "training" : drawn < 0.75 ? "research" : "serving"
}

/** The GPUs that work together with one: halves of halves, as long as they are divided. */
const groupOf = (key: number, undividedShare: number, gpusPerHost: number, gpu: number) => {
  let firstGpu = 0
  let gpus = gpusPerHost
  while (gpus > 1 && share(mix(mix(key, firstGpu), gpus), purpose.isUndivided) >= undividedShare) {
    const half = Math.ceil(gpus / 2)
    if (gpu < firstGpu + half) gpus = half
    else [firstGpu, gpus] = [firstGpu + half, gpus - half]
  }
  return { firstGpu, gpus, key: mix(mix(key, firstGpu), gpus) }
}

type Group = ReturnType<typeof groupOf>

/** The error that a job has, if it has one; `key` is the job's in its slot. */
const xidOf = (key: number, { firstGpu, gpus }: Group): Job["xid"] =>
  share(key, purpose.hasXid) < xidShare
    ? {
        gpu: firstGpu + below(key, purpose.xidGpu, gpus),
        code: xidCodes[below(key, purpose.xidCode, xidCodes.length)]!
      }
    : undefined

/** When a job ends that would run until `endS`. */
const endOf = (key: number, xid: Job["xid"], loadedS: number, endS: number): number =>
  xid === undefined ? endS : loadedS + between(key, purpose.xidAt, 0.3, 0.9) * (endS - loadedS)

type JobOf = Timetable["jobOf"]

interface Host {
  readonly key: number
  readonly gpus: number
  readonly slotS: number
  readonly hasXids: boolean
  readonly hasHot: boolean
}

/** Jobs that are queued, run for a while and end. */
const batchJobs =
  ({ key: hostKey, gpus: gpusPerHost, slotS, hasXids, hasHot }: Host, kind: "training" | "research"): JobOf =>
  (plan, gpu) => {
    const group = groupOf(mix(hostKey, plan), undividedShareOf[kind], gpusPerHost, gpu)
    const { key, firstGpu, gpus } = group
    const quarter = Math.floor((4 * plan) / slotsPerDayOf[kind])
    if (share(key, purpose.isIdle) < idleShareOf[kind][quarter]!) return undefined
    const startS = between(key, purpose.delay, 0, 0.2) * slotS
    const loadedS = startS + between(key, purpose.loading, 15, 60)
    const xid = hasXids ? xidOf(key, group) : undefined
    const wouldEndS = startS + between(key, purpose.length, 0.7, 1) * (slotS - startS)
    const endS = endOf(key, xid, loadedS, wouldEndS)
    const isHot = hasHot && share(key, purpose.isHot) < hotShare
    const make = share(key, purpose.isTraining) < trainingShareOf[kind] ? training : simulation
    return {
      workload: make(key, gpus, plan * slotS + loadedS),
      firstGpu,
      startS,
      loadedS,
      endS,
      xid,
      hot: isHot
        ? { gpu: firstGpu + below(key, purpose.hotGpu, gpus), failsS: loadedS + 0.15 * (endS - loadedS) }
        : undefined
    }
  }

/** Services that run on while there is traffic for them. */
const services = ({ key: hostKey, gpus: gpusPerHost, slotS, hasXids }: Host): JobOf => {
  const slots = slotsPerDayOf.serving
  const isWanted = ({ key, firstGpu }: Group, plan: number): boolean =>
    firstGpu === 0 || (1 + dayWave((plan + 0.5) * slotS)) / 2 >= 0.8 * share(key, purpose.threshold)
  const xidIn = (group: Group, plan: number) => (hasXids ? xidOf(mix(group.key, plan), group) : undefined)

  return (plan, gpu) => {
    const group = groupOf(hostKey, undividedShareOf.serving, gpusPerHost, gpu)
    if (!isWanted(group, plan)) return undefined
    const before = (plan + slots - 1) % slots
    const goesOn = isWanted(group, before) && xidIn(group, before) === undefined
    const loadedS = goesOn ? 0 : serviceLoadingS
    const xid = xidIn(group, plan)
    return {
      workload: inference(group.key, plan * slotS + loadedS),
      firstGpu: group.firstGpu,
      startS: 0,
      loadedS,
      endS: endOf(mix(group.key, plan), xid, loadedS, slotS),
      xid,
      hot: undefined
    }
  }
}

/** The order in which a host works off the plans of each quarter of a day. */
const makePlanOf =
  (hostKey: number, slotsPerDay: number): Timetable["planOf"] =>
  (slot) => {
    const day = Math.floor(slot / slotsPerDay)
    const inDay = slot - day * slotsPerDay
    const inQuarter = slotsPerDay / 4
    const dayKey = mix(hostKey, day)
    const step = mix(dayKey, purpose.order) | 1
    const turned = Math.imul(step, inDay % inQuarter) + mix(dayKey, purpose.rotation)
    // Multiplied by an odd number, the numbers below a power of two change places among themselves.
    return inDay - (inDay % inQuarter) + (turned & (inQuarter - 1))
  }

/** The timetable of a host. It keeps nothing: what it answers depends on its arguments alone. */
export const makeTimetable = (
  { seed, gpusPerHost }: { readonly seed: number; readonly gpusPerHost: number },
  host: number,
  faults: ReadonlyArray<FaultName>
): Timetable => {
  const key = keyOf(seed, timetables, host)
  const kind = hostKindOf(key)
  const slotsPerDay = slotsPerDayOf[kind]
  const slotS = dayS / slotsPerDay
  const upDays = upDaysMin + below(key, purpose.upDays, upDaysMax - upDaysMin)
  // Hosts begin their slots at different times. Whole seconds, so that times stay exact.
  const phaseS = below(key, purpose.phase, slotS)
  const hasXids = faults.includes("xid")
  const of = { key, gpus: gpusPerHost, slotS, hasXids, hasHot: faults.includes("hot") }
  return {
    slotsPerDay,
    slotS,
    beginsS: upDays * dayS + beginsAtTimeOfDayS + phaseS,
    planOf: kind === "serving" ? (slot) => slot % slotsPerDay : makePlanOf(key, slotsPerDay),
    jobOf: kind === "serving" ? services(of) : batchJobs(of, kind)
  }
}
