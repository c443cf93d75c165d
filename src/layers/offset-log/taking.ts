/** How records are found and taken where runs of them are at hand, whatever holds them. */
import { type ReadLimits, type RecordRun, recordBytes } from "../OffsetLog.ts"

/** Index of the last of some ascending numbers that is not above `limit`; 0 where all are. */
export const lastAtOrBelow = (ascending: ReadonlyArray<number>, limit: number): number => {
  let low = 0
  let high = ascending.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (ascending[middle]! <= limit) low = middle
    else high = middle - 1
  }
  return low
}

/** How many records of a run, from an index on, fit into the limits; the first one does where nothing was read yet. */
export const fitting = (
  run: RecordRun,
  from: number,
  limits: ReadLimits,
  readBefore: number,
  bytesBefore: number
) => {
  const recordsMax = Math.min(run.payloads.length - from, limits.recordsMax - readBefore)
  let bytes = 0
  let count = 0
  for (; count < recordsMax; count++) {
    const next = recordBytes(run, from + count)
    if (readBefore + count > 0 && bytesBefore + bytes + next > limits.bytesMax) break
    bytes += next
  }
  return { count, bytes }
}
