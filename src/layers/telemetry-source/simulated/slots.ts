/**
 * What a GPU brings into a slot of its host's timetable: its job, the heat of the job before, and its counters.
 *
 * Since every day takes the same plans, a counter is that of whole days and of the plans of this day so far: some dozens
 * of additions for any slot, whatever came before. They are whole numbers and stay exact, so that counters never fall.
 */
import {
  type Assignment,
  assign,
  type Chassis,
  heatLeft,
  heatOf,
  joulesOf,
  riseLeft,
  riseOf,
  workOf
} from "./assignment.ts"
import type { Timetable } from "./timetable.ts"

/** Counters that only rise, in whole numbers. */
export interface Counters {
  readonly millijoules: number
  readonly nvlinkMegabytes: number
  /** Uncorrectable ones. */
  readonly memoryErrors: number
}

/** What is known of a slot as soon as it begins. */
export interface Slot {
  readonly number: number
  readonly assignment: Assignment | undefined
  /** What is left of the job before: watts that heat still follows, and how much hotter failed cooling has made it. */
  readonly heatWatts: number
  readonly riseCelsius: number
  /** When it begins. */
  readonly counters: Counters
  /** What the slot adds to them. */
  readonly adds: Counters
}

/** Errors that are uncorrectable ones of memory (NVIDIA, "XID Errors"). */
const memoryXids: ReadonlySet<number> = new Set([48, 94])

const none: Counters = { millijoules: 0, nvlinkMegabytes: 0, memoryErrors: 0 }

const plus = (a: Counters, b: Counters, times = 1): Counters => ({
  millijoules: a.millijoules + times * b.millijoules,
  nvlinkMegabytes: a.nvlinkMegabytes + times * b.nvlinkMegabytes,
  memoryErrors: a.memoryErrors + times * b.memoryErrors
})

/** What a GPU adds to its counters in the first `s` seconds of a slot. */
const added = (assignment: Assignment | undefined, gpu: number, idleWatts: number, s: number): Counters => {
  const joules = idleWatts * s + (assignment === undefined ? 0 : joulesOf(assignment, s))
  if (assignment === undefined) return { ...none, millijoules: Math.floor(1_000 * joules) }
  const { workload, xid, endS } = assignment.job
  const hasMemoryError = xid?.gpu === gpu && memoryXids.has(xid.code) && s >= endS
  return {
    millijoules: Math.floor(1_000 * joules),
    nvlinkMegabytes: Math.floor(workload.nvlinkMegabytesPerS * workOf(assignment, s)),
    memoryErrors: hasMemoryError ? 1 : 0
  }
}

/** The slots of one GPU; the last one that was asked for is kept. */
export const makeSlots = (timetable: Timetable, gpu: number, chassis: Chassis, hotCelsius: number) => {
  const { slotsPerDay, slotS, planOf, jobOf } = timetable
  const firstDay = Math.floor(timetable.beginsS / slotS / slotsPerDay)
  const assignmentIn = (plan: number): Assignment | undefined => {
    const job = jobOf(plan, gpu)
    return job === undefined ? undefined : assign(job, gpu, chassis, hotCelsius)
  }
  let ofPlans: ReadonlyArray<Counters> | undefined
  let current: Slot | undefined

  const countersAt = (slot: number, perPlan: ReadonlyArray<Counters>): Counters => {
    const day = Math.floor(slot / slotsPerDay)
    const perDay = perPlan.reduce((a, b) => plus(a, b))
    // Energy is counted since the host is up; errors of memory only since the simulation began, when it was new.
    let counters = { ...plus(none, perDay, day), memoryErrors: (day - firstDay) * perDay.memoryErrors }
    for (let before = day * slotsPerDay; before < slot; before++) {
      counters = plus(counters, perPlan[planOf(before)]!)
    }
    return counters
  }

  const open = (number: number): Slot => {
    ofPlans ??= Array.from({ length: slotsPerDay }, (_, plan) =>
      added(assignmentIn(plan), gpu, chassis.idleWatts, slotS)
    )
    const before = assignmentIn(planOf(number - 1))
    const plan = planOf(number)
    return {
      number,
      assignment: assignmentIn(plan),
      heatWatts: before === undefined ? 0 : heatOf(before, slotS),
      riseCelsius: before === undefined ? 0 : riseOf(before, slotS),
      counters: countersAt(number, ofPlans),
      adds: ofPlans[plan]!
    }
  }

  return {
    /** The slot of that number, the first of which begins at midnight before the host was up. */
    at: (number: number): Slot => {
      if (current?.number !== number) current = open(number)
      return current
    },
    /** Counters `s` seconds into a slot, never beyond those of its end. */
    countersIn: ({ assignment, counters, adds }: Slot, s: number): Counters => {
      const so = added(assignment, gpu, chassis.idleWatts, s)
      return plus(counters, {
        millijoules: Math.min(so.millijoules, adds.millijoules),
        nvlinkMegabytes: Math.min(so.nvlinkMegabytes, adds.nvlinkMegabytes),
        memoryErrors: so.memoryErrors
      })
    },
    /** The watts above idling that heat has followed to, and how much hotter failed cooling makes it. */
    heatIn: ({ assignment, heatWatts, riseCelsius }: Slot, s: number) => ({
      heatWatts: heatWatts * heatLeft(s) + (assignment === undefined ? 0 : heatOf(assignment, s)),
      riseCelsius: riseCelsius * riseLeft(s) + (assignment === undefined ? 0 : riseOf(assignment, s))
    })
  }
}
