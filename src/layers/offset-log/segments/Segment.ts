/**
 * A segment in memory: where its file is, how far it goes, and where in it an offset or a time is to be looked for.
 *
 * Its sparse index has a place every `indexStrideBytes` or so, so that what is kept of a log does not grow with its records.
 */
import { join } from "node:path"
import { lastAtOrBelow } from "../taking.ts"
import { type BatchHeader, batchHeaderBytes, fileHeaderBytes } from "./format.ts"

const indexStrideBytes = 64 * 1024

/** How far a segment goes, and what it holds up to there. */
export interface Extent {
  /** In the file, behind the last batch. */
  readonly position: number
  /** Offset behind the last record. */
  readonly next: number
  readonly records: number
  /** Bytes as every limit counts them. */
  readonly bytes: number
  /** When its first and its latest records were appended; the greatest of all where the clock was set back. */
  readonly oldestMs: number
  readonly newestMs: number
}

/** Some batches, by offset, position, and the greatest time of all batches before. */
export interface SparseIndex {
  readonly offsets: Array<number>
  readonly positions: Array<number>
  readonly timesMs: Array<number>
}

const nameDigits = 20
const extension = ".log"

/** The file of the segment that begins at an offset. */
export const segmentPath = (directory: string, base: number): string =>
  join(directory, `${String(base).padStart(nameDigits, "0")}${extension}`)

/** The base offset in the name of a segment's file; `undefined` where the name is no such. */
export const baseOfName = (name: string): number | undefined => {
  const digits = /^(\d{20})\.log$/.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

export class Segment {
  readonly base: number
  readonly path: string
  readonly index: SparseIndex
  /** Where its last batch ends. */
  end: Extent
  /** Up to where it may be read: what will be there after a crash, as far as the log promises it. */
  committed: Extent
  /** Whether nothing was written behind a mark that everything is on the disk. */
  endsWithMark = false

  constructor(directory: string, base: number, end?: Extent, index?: SparseIndex) {
    this.base = base
    this.path = segmentPath(directory, base)
    this.index = index ?? { offsets: [], positions: [], timesMs: [] }
    this.end = end ?? {
      ...{ position: fileHeaderBytes, next: base, records: 0, bytes: 0 },
      ...{ oldestMs: 0, newestMs: 0 }
    }
    this.committed = this.end
  }

  get indexPath(): string {
    return this.path.replace(/\.log$/, ".index")
  }

  /** Of its first record; that of the next one where it has none. */
  get firstOffset(): number {
    return this.index.offsets[0] ?? this.end.next
  }

  /** Takes in a batch at the end. */
  add({ bodyBytes, firstOffset, records, countedBytes, appendedMs }: BatchHeader): void {
    const { end, index } = this
    if (
      end.position - (index.positions.at(-1) ?? Number.NEGATIVE_INFINITY) >= indexStrideBytes &&
      records > 0
    ) {
      index.offsets.push(firstOffset)
      index.positions.push(end.position)
      index.timesMs.push(end.newestMs)
    }
    this.endsWithMark = records === 0
    const isFirst = end.records === 0
    this.end = {
      position: end.position + batchHeaderBytes + bodyBytes,
      next: firstOffset + records,
      records: end.records + records,
      bytes: end.bytes + countedBytes,
      oldestMs: isFirst && records > 0 ? appendedMs : end.oldestMs,
      newestMs: records === 0 ? end.newestMs : isFirst ? appendedMs : Math.max(end.newestMs, appendedMs)
    }
  }

  /** Forgets what lies behind an extent that it had. */
  cutTo(extent: Extent): void {
    const { offsets, positions, timesMs } = this.index
    while (positions.length > 0 && positions.at(-1)! >= extent.position) {
      offsets.pop()
      positions.pop()
      timesMs.pop()
    }
    this.end = extent
    this.committed = extent
  }

  /** A position at or before the batch that has an offset, and not far before it. */
  positionBefore(offset: number): number {
    const { offsets, positions } = this.index
    const place = lastAtOrBelow(offsets, offset)
    return place < offsets.length && offsets[place]! <= offset ? positions[place]! : fileHeaderBytes
  }

  /** A position before which every batch was appended before a time. */
  positionBeforeTime(atMs: number): number {
    const { timesMs, positions } = this.index
    const place = lastAtOrBelow(timesMs, atMs - 1)
    return place < timesMs.length && timesMs[place]! < atMs ? positions[place]! : fileHeaderBytes
  }
}
