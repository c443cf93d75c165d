/**
 * Reads a segment's file from its start and checks every byte: how far it is whole, and what is wrong behind.
 *
 * What is not whole is either the unfinished end of what was being written when the process ended, or damage. The batches tell
 * which: each says how much of the file was on the disk when it was written, and no crash takes away what was.
 */
import { Effect } from "effect"
import type { FileFailed, OpenFile } from "../../Files.ts"
import {
  type BatchHeader,
  batchHeaderBytes,
  batchMagic,
  fileHeaderBytes,
  isBodyIntact,
  readBatchHeader
} from "./format.ts"
import type { Segment } from "./Segment.ts"

const chunkBytes = 4 * 1024 * 1024

/** A file that is read forwards in large chunks. */
class Window {
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  private readonly file: OpenFile
  readonly size: number

  constructor(file: OpenFile, size: number) {
    this.file = file
    this.size = size
  }

  holds(position: number, length: number): boolean {
    return position >= this.start && position + length <= this.start + this.bytes.length
  }

  /** Has the bytes of a position, as many as asked for where the file has them. */
  move(position: number, length: number): Effect.Effect<void, FileFailed> {
    const wanted = Math.min(Math.max(length, chunkBytes), this.size - position)
    return Effect.map(this.file.read(position, wanted), (bytes) => {
      this.start = position
      this.bytes = bytes
    })
  }
}

export interface Damage {
  /** Where in the file, and which offset should be there. */
  readonly position: number
  readonly offset: number
}

/** A batch, and where in the file it is. */
export interface FoundBatch {
  readonly position: number
  readonly header: BatchHeader
}

export interface ScanOptions {
  readonly file: OpenFile
  readonly size: number
  readonly salt: number
  /** Offset from which on the records are in the next segment: what this file has of them was given up. */
  readonly limit: number
}

/** Whether a batch can follow one that ended at `next`: without a gap, but for that which a mark tells of. */
const canFollow = (header: BatchHeader, next: number): boolean =>
  header.records === 0 ? header.firstOffset >= next : header.firstOffset === next

const headerIn = (
  window: Window,
  position: number,
  place: { readonly salt: number; readonly base: number }
) => {
  const header = readBatchHeader(window.bytes, position - window.start, place, position)
  return header !== undefined && header.durableBefore <= position ? header : undefined
}

/** Whether a batch is there whole; reads on where the window ends before it. */
const isWhole = (window: Window, { position, header }: FoundBatch, salt: number) =>
  Effect.gen(function* () {
    const length = batchHeaderBytes + header.bodyBytes
    if (position + length > window.size) return false
    if (!window.holds(position, length)) yield* window.move(position, length)
    if (!window.holds(position, length)) return false
    return isBodyIntact(window.bytes, position - window.start + batchHeaderBytes, header, salt)
  })

/** Adds to a segment every batch up to the first that is not whole, and says where that is. */
export const scanIntact = (
  segment: Segment,
  { file, size, salt, limit }: ScanOptions
): Effect.Effect<Damage | undefined, FileFailed> =>
  Effect.gen(function* () {
    const window = new Window(file, size)
    const place = { salt, base: segment.base }
    for (;;) {
      const { position, next } = segment.end
      if (position >= size || next >= limit) return undefined
      if (!window.holds(position, batchHeaderBytes)) yield* window.move(position, batchHeaderBytes)
      const header = headerIn(window, position, place)
      if (
        header === undefined ||
        !canFollow(header, next) ||
        !(yield* isWhole(window, { position, header }, salt))
      ) {
        return { position, offset: next }
      }
      segment.add(header)
    }
  })

/** Where the next batch header begins, from a position on; the end of the file where there is none. */
const findHeader = (window: Window, from: number, place: { readonly salt: number; readonly base: number }) =>
  Effect.gen(function* () {
    let position = from
    while (position + batchHeaderBytes <= window.size) {
      if (!window.holds(position, batchHeaderBytes)) yield* window.move(position, batchHeaderBytes)
      const found = window.bytes.indexOf(batchMagic, position - window.start)
      if (found === -1) {
        position = window.start + window.bytes.length - batchMagic.length + 1
        if (window.bytes.length < batchHeaderBytes) return undefined
        continue
      }
      position = window.start + found
      if (!window.holds(position, batchHeaderBytes)) {
        if (position + batchHeaderBytes > window.size) return undefined
        yield* window.move(position, batchHeaderBytes)
      }
      const header = headerIn(window, position, place)
      if (header !== undefined) return { position, header }
      position++
    }
    return undefined
  })

/** What is to be found behind damage. */
export interface Behind {
  /** Position up to which the file is known to have been on the disk. */
  readonly durableBefore: number
  /** Batches that are whole, their offsets rising. */
  readonly batches: ReadonlyArray<FoundBatch>
}

/** Looks behind damage for batches, by their magic. */
export const scanBehind = (
  segment: Segment,
  damage: Damage,
  { file, size, salt, limit }: ScanOptions
): Effect.Effect<Behind, FileFailed> =>
  Effect.gen(function* () {
    const window = new Window(file, size)
    const place = { salt, base: segment.base }
    const batches: Array<FoundBatch> = []
    let durableBefore = fileHeaderBytes
    let next = damage.offset
    // The damaged batch itself may have a header that is whole.
    let from = damage.position
    for (;;) {
      const found = yield* findHeader(window, from, place)
      if (found === undefined) return { durableBefore, batches }
      const { header, position } = found
      durableBefore = Math.max(durableBefore, header.durableBefore)
      const follows = header.firstOffset >= next && header.firstOffset + header.records <= limit
      if (follows && (yield* isWhole(window, found, salt))) {
        batches.push(found)
        next = header.firstOffset + header.records
        from = position + batchHeaderBytes + header.bodyBytes
      } else from = position + 1
    }
  })
