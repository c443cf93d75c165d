/**
 * The times that `--timestamps now` gives: when a sample was read, and never the same instant twice.
 *
 * A sample's identity is its series and its time. Two samples of a series that are read within one tick of the clock, or
 * after the clock was set back, or on either side of a restart, or by two streamers, would replace each other if they
 * shared an instant. So time is divided into lanes, one per streamer of a source: the last digits of the nanoseconds are
 * the streamer's index.
 */
import type { Shard } from "../../protocol/Shard.ts"
import type { TimeNs } from "../../protocol/Time.ts"

/** Gives strictly rising times. It has no clock of its own, so that what it gives depends on its arguments alone. */
export interface Timestamper {
  /** The time for a sample read at `nowNs`: the instant of its lane next to that, or the next free one behind `last`. */
  readonly next: (nowNs: TimeNs) => TimeNs
  /** The last time given, before a restart included; `undefined` while there is none. */
  readonly last: TimeNs | undefined
}

/** The power of ten that holds `count` lanes: 1 for one, 10 for up to ten, 100 for up to a hundred. */
export const laneWidth = (count: number): bigint => {
  let width = 1n
  while (width < count) width *= 10n
  return width
}

const floorDivide = (a: bigint, b: bigint): bigint => a / b - (a % b < 0n ? 1n : 0n)

/**
 * Goes on behind `lastGivenNs`, which a source keeps in its position; `undefined` where nothing was given yet. Every time
 * is `k * width + index`, less than a width from the one it is given for, unless that is not behind the last.
 */
export const makeTimestamper = (
  lastGivenNs: TimeNs | undefined,
  { index, count }: Pick<Shard, "index" | "count">
): Timestamper => {
  const width = laneWidth(count)
  const lane = BigInt(index)
  const inLane = (timeNs: TimeNs): TimeNs =>
    width === 1n ? timeNs : floorDivide(timeNs, width) * width + lane
  /** Of the lane, and not before anything that was given. */
  const firstBehind = (timeNs: TimeNs): TimeNs => {
    const time = inLane(timeNs)
    return time > timeNs ? time : time + width
  }
  let last = lastGivenNs
  let free = last === undefined ? undefined : firstBehind(last)
  return {
    next: (nowNs) => {
      // Most rows are read in the same instant as the one before them: those take the next place without a division.
      last = free !== undefined && free > nowNs ? free : inLane(nowNs)
      free = last + width
      return last
    },
    get last() {
      return last
    }
  }
}
