/**
 * The times that `--timestamps now` gives: when a sample was read, and never the same instant twice.
 *
 * A sample's identity is its series and its time. Two samples of a series that are read within one tick of the clock, or
 * after the clock was set back, or on either side of a restart, would replace each other if they shared an instant.
 */
import type { TimeNs } from "../../protocol/Time.ts"

/** Gives strictly rising times. It has no clock of its own, so that what it gives depends on its arguments alone. */
export interface Timestamper {
  /** The time for a sample read at `nowNs`: that instant, or the next free nanosecond behind the last time given. */
  readonly next: (nowNs: TimeNs) => TimeNs
  /** The last time given, before a restart included; `undefined` while there is none. */
  readonly last: TimeNs | undefined
}

/** Goes on behind `lastGivenNs`, which a source keeps in its position; `undefined` where nothing was given yet. */
export const makeTimestamper = (lastGivenNs: TimeNs | undefined): Timestamper => {
  let last = lastGivenNs
  return {
    next: (nowNs) => {
      last = last === undefined || nowNs > last ? nowNs : last + 1n
      return last
    },
    get last() {
      return last
    }
  }
}
