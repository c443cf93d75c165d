/**
 * One global order out of many series: a k-way merge over ranges of ordinals.
 *
 * Only what is asked for is read. What lies far behind the start is not merged away but sought, by bisecting time.
 */
import type { Sample } from "../../../protocol/Sample.ts"
import type { TimeNs } from "../../../protocol/Time.ts"
import type { SampleOrder } from "../../TelemetryStore.ts"
import type { Block } from "./SampleBlocks.ts"
import type { StoredSeries } from "./StoredSeries.ts"

/** The samples of a series from one ordinal up to another, exclusive. */
export interface SeriesRange {
  readonly stored: StoredSeries
  from: number
  to: number
}

/** Merging a sample away costs about 1/128 of the bisection's share of a series. */
const mergedAwayPerSeriesMax = 128

interface Cursor {
  readonly stored: StoredSeries
  blockIndex: number
  block: Block
  slot: number
  /** Samples from here on, this one included. */
  remaining: number
  timeNs: TimeNs
}

const cursorAt = (range: SeriesRange, order: SampleOrder): Cursor => {
  const { stored, from, to } = range
  const ordinal = order === "asc" ? from : to - 1
  const blockIndex = stored.samples.blockHolding(ordinal)
  const block = stored.samples.blockAt(blockIndex)
  const slot = ordinal - block.base
  return { stored, blockIndex, block, slot, remaining: to - from, timeNs: block.times[slot]! }
}

/** Moves to the next sample in the order; whether there is one. */
const advance = (cursor: Cursor, order: SampleOrder): boolean => {
  if (--cursor.remaining === 0) return false
  if (order === "asc") {
    if (++cursor.slot === cursor.block.end) {
      cursor.block = cursor.stored.samples.blockAt(++cursor.blockIndex)
      cursor.slot = cursor.block.start
    }
  } else if (--cursor.slot < cursor.block.start) {
    cursor.block = cursor.stored.samples.blockAt(--cursor.blockIndex)
    cursor.slot = cursor.block.end - 1
  }
  cursor.timeNs = cursor.block.times[cursor.slot]!
  return true
}

const precedesAsc = (a: Cursor, b: Cursor): boolean =>
  a.timeNs === b.timeNs ? a.stored.rank < b.stored.rank : a.timeNs < b.timeNs

const precedesDesc = (a: Cursor, b: Cursor): boolean =>
  a.timeNs === b.timeNs ? a.stored.rank > b.stored.rank : a.timeNs > b.timeNs

const sink = (heap: Array<Cursor>, from: number, precedes: (a: Cursor, b: Cursor) => boolean): void => {
  const cursor = heap[from]!
  let index = from
  for (;;) {
    let childIndex = 2 * index + 1
    if (childIndex >= heap.length) break
    const right = heap[childIndex + 1]
    if (right !== undefined && precedes(right, heap[childIndex]!)) childIndex++
    const child = heap[childIndex]!
    if (!precedes(child, cursor)) break
    heap[index] = child
    index = childIndex
  }
  heap[index] = cursor
}

/** Samples of the ranges before `time`. */
const countBefore = (ranges: ReadonlyArray<SeriesRange>, time: TimeNs): number => {
  let count = 0
  for (const { stored, from, to } of ranges) {
    count += Math.min(Math.max(stored.samples.lowerBound(time) - from, 0), to - from)
  }
  return count
}

/** The earliest instant before which at least `count` samples lie; there have to be as many. */
const earliestBehind = (ranges: ReadonlyArray<SeriesRange>, count: number): TimeNs => {
  let low = ranges[0]!.stored.samples.firstNs
  let high = low
  for (const { stored } of ranges) {
    if (stored.samples.firstNs < low) low = stored.samples.firstNs
    if (stored.samples.lastNs > high) high = stored.samples.lastNs
  }
  high += 1n
  while (low < high) {
    const middle = (low + high) >> 1n
    if (countBefore(ranges, middle) < count) low = middle + 1n
    else high = middle
  }
  return low
}

/** Cuts from the ranges what surely belongs to the first `skip` samples of the order; how many are left to skip. */
const cutSkipped = (ranges: ReadonlyArray<SeriesRange>, order: SampleOrder, skip: number): number => {
  const total = ranges.reduce((sum, { from, to }) => sum + (to - from), 0)
  if (skip >= total) {
    for (const range of ranges) range.from = range.to
    return 0
  }
  const boundary =
    order === "asc" ? earliestBehind(ranges, skip + 1) - 1n : earliestBehind(ranges, total - skip)
  let cut = 0
  for (const range of ranges) {
    const ordinal = Math.min(Math.max(range.stored.samples.lowerBound(boundary), range.from), range.to)
    cut += order === "asc" ? ordinal - range.from : range.to - ordinal
    if (order === "asc") range.from = ordinal
    else range.to = ordinal
  }
  return skip - cut
}

/** The samples of the ranges in the global order: `limit` of them behind the first `skip`. The ranges are used up. */
export const mergeRanges = (
  ranges: ReadonlyArray<SeriesRange>,
  order: SampleOrder,
  skip: number,
  limit: number
): ReadonlyArray<Sample> => {
  const precedes = order === "asc" ? precedesAsc : precedesDesc
  let left = skip > ranges.length * mergedAwayPerSeriesMax ? cutSkipped(ranges, order, skip) : skip
  const heap: Array<Cursor> = []
  for (const range of ranges) if (range.from < range.to) heap.push(cursorAt(range, order))
  for (let i = (heap.length >>> 1) - 1; i >= 0; i--) sink(heap, i, precedes)
  const samples: Array<Sample> = []
  while (heap.length > 0 && samples.length < limit) {
    const first = heap[0]!
    if (left > 0) left--
    else {
      samples.push({
        series: first.stored.series,
        timeNs: first.timeNs,
        value: first.block.values[first.slot]!
      })
    }
    if (!advance(first, order)) {
      const last = heap.pop()!
      if (heap.length === 0) break
      heap[0] = last
    }
    sink(heap, 0, precedes)
  }
  return samples
}
