/**
 * Reads records from the files of a log, by chunks, and checks each.
 *
 * Payloads are views on the chunk that they were read in. Where a read has ended is remembered, so that who reads on starts there
 * and not at the last place that the sparse index knows.
 */
import { Effect } from "effect"
import { offsetOf } from "../../../protocol/Log.ts"
import { FileFailed, Files, type OpenFile } from "../../Files.ts"
import { type LogSlice, ReadFailed, type ReadLimits } from "../../OffsetLog.ts"
import { batchHeaderBytes, isRecordIntact, readBatchHeader, readRecord, recordLength } from "./format.ts"
import { RunBuilder } from "./RunBuilder.ts"
import type { Extent, Segment } from "./Segment.ts"

const chunkBytesMin = 64 * 1024
const chunkBytesMax = 4 * 1024 * 1024
/** Places where reads ended that are remembered: more than subscribers that read old records at a time. */
const placesMax = 1_024

/** A place in a segment: before a record, or before a batch where none is left of the one before. */
interface Place {
  segment: Segment
  position: number
  /** Of the next record; at the start of a batch, of the record that follows without a gap. */
  offset: number
  /** Records that are left of a batch. */
  recordsLeft: number
}

/** Why reading a chunk came to an end. `short`: so many bytes are needed of the place where it stands. */
type Outcome =
  | { readonly type: "full" | "end" | "damaged" }
  | { readonly type: "short"; readonly bytes: number }

const full = { type: "full" } as const
const end = { type: "end" } as const
const damaged = { type: "damaged" } as const

interface Reading {
  readonly salt: number
  /** Offset of the first record that is wanted. */
  readonly from: number
  readonly place: Place
  /** How far the segment may be read. */
  readonly extent: Extent
  readonly builder: RunBuilder
}

/** Steps over a batch header; `undefined` where the chunk is to be read on. */
const enterBatch = (chunk: Buffer, start: number, { place, from, salt, extent, builder }: Reading) => {
  const { position, segment } = place
  if (position >= extent.position) return end
  const at = position - start
  if (at + batchHeaderBytes > chunk.length) return { type: "short", bytes: batchHeaderBytes } as const
  const header = readBatchHeader(chunk, at, { salt, base: segment.base }, position)
  if (header === undefined) return damaged
  const { firstOffset, records, bodyBytes } = header
  if (records > 0 && builder.records > 0 && firstOffset !== place.offset) return full
  place.position += batchHeaderBytes
  if (records === 0) return undefined
  place.offset = firstOffset
  place.recordsLeft = records
  if (firstOffset + records <= from) {
    place.position += bodyBytes
    place.offset += records
    place.recordsLeft = 0
  }
  return undefined
}

/** Takes the next record of a batch; `undefined` where the chunk is to be read on. */
const enterRecord = (chunk: Buffer, start: number, { place, from, salt, extent, builder }: Reading) => {
  const at = place.position - start
  const length = recordLength(chunk, at)
  if (place.position + length > extent.position) return damaged
  if (at + length > chunk.length) return { type: "short", bytes: length } as const
  if (!isRecordIntact(chunk, at, length, { salt, offset: place.offset })) return damaged
  if (place.offset >= from && !builder.take(place.offset, readRecord(chunk, at))) return full
  place.position += length
  place.offset++
  place.recordsLeft--
  return undefined
}

const readChunk = (chunk: Buffer, start: number, reading: Reading): Outcome => {
  for (;;) {
    if (reading.builder.isFull) return full
    const outcome =
      reading.place.recordsLeft > 0 ? enterRecord(chunk, start, reading) : enterBatch(chunk, start, reading)
    if (outcome !== undefined) return outcome
  }
}

/** Bytes that the rest of a read will take of a file, so that little is read that nobody holds. */
const estimate = ({ extent, builder }: Reading, limits: ReadLimits): number => {
  const perRecord = extent.records === 0 ? 0 : extent.position / extent.records
  const records = limits.recordsMax - builder.records
  const wanted = Math.min(limits.bytesMax, Math.ceil(records * perRecord * 1.125))
  return Math.min(Math.max(wanted, chunkBytesMin), chunkBytesMax)
}

const readFile = (file: OpenFile, reading: Reading, limits: ReadLimits): Effect.Effect<Outcome, FileFailed> =>
  Effect.gen(function* () {
    const { place, extent } = reading
    let outcome: Outcome = { type: "short", bytes: 0 }
    while (outcome.type === "short") {
      const start = place.position
      const wanted = Math.max(outcome.bytes, estimate(reading, limits))
      const length = Math.min(wanted, extent.position - start)
      const chunk: Buffer = yield* file.read(start, length)
      // The file ends, or is to end, where a record should go on.
      if (chunk.length < outcome.bytes) return damaged
      outcome = readChunk(chunk, start, reading)
    }
    return outcome
  })

/** The segments of a log as they are now, in order. */
export type Segments = () => ReadonlyArray<Segment>

/** The segment that an offset is in, or the one behind the gap that it is in. */
const segmentOf = (segments: ReadonlyArray<Segment>, offset: number): Segment | undefined => {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (segments[middle]!.committed.next <= offset) low = middle + 1
    else high = middle
  }
  return segments[low]
}

const startOf = (segment: Segment, offset: number): Place => ({
  segment,
  position: segment.positionBefore(offset),
  offset,
  recordsLeft: 0
})

export const makeReading = (segments: Segments, salt: number) =>
  Effect.gen(function* () {
    const files = yield* Files
    /** Where reads ended, by the next offset. */
    const places = new Map<number, Place>()

    const remember = (place: Place): void => {
      places.delete(place.offset)
      places.set(place.offset, place)
      if (places.size > placesMax) places.delete(places.keys().next().value!)
    }

    const remembered = (offset: number): Place | undefined => {
      const place = places.get(offset)
      if (place === undefined) return undefined
      places.delete(offset)
      return segments().includes(place.segment) ? { ...place } : undefined
    }

    /** What can't be read of a closed segment is found out when the log is opened, once its index is gone. */
    const tellDamage = ({ segment, position, offset }: Place) =>
      Effect.zipRight(
        Effect.ignore(files.remove(segment.indexPath)),
        Effect.fail(
          new ReadFailed({
            problem:
              `${segment.path} is damaged at byte ${position}, where record ${offset} should be; ` +
              "when the log is opened again, that is looked into"
          })
        )
      )

    const readSegment = (reading: Reading, limits: ReadLimits) =>
      Effect.flatMap(
        Effect.acquireUseRelease(
          files.open(reading.place.segment.path, "read"),
          (file) => readFile(file, reading, limits),
          (file) => file.close
        ),
        (outcome) => (outcome.type === "damaged" ? tellDamage(reading.place) : Effect.succeed(outcome))
      )

    const readFrom = (from: number, limits: ReadLimits) =>
      Effect.gen(function* () {
        const builder = new RunBuilder(limits)
        let place = remembered(from)
        for (;;) {
          const next = place?.offset ?? from
          const segment: Segment | undefined = place?.segment ?? segmentOf(segments(), next)
          if (segment === undefined) break
          place ??= startOf(segment, next)
          const reading: Reading = { salt, from, place, extent: segment.committed, builder }
          const outcome = yield* readSegment(reading, limits)
          if (outcome.type === "full") break
          const following: Segment | undefined = segments().find(({ base }) => base > segment.base)
          if (following === undefined) break
          place = { ...startOf(following, following.base), offset: place.offset }
        }
        if (place !== undefined) remember(place)
        return { firstOffset: offsetOf(builder.firstOffset ?? from), runs: builder.runs }
      })

    /**
     * Records from an offset on that is retained or in a gap. Where segments are replaced or dropped meanwhile, it begins
     * again.
     */
    const read = (from: number, limits: ReadLimits): Effect.Effect<LogSlice, ReadFailed> =>
      Effect.suspend(() => {
        const before = segments()
        return Effect.catchAll(readFrom(from, limits), (failed) => {
          const now = segments()
          const isSame = before.length > 0 && before.every((segment) => now.includes(segment))
          if (!isSame) return read(Math.max(from, now[0]!.firstOffset), limits)
          return Effect.fail(
            failed instanceof FileFailed ? new ReadFailed({ problem: failed.message, cause: failed }) : failed
          )
        })
      })

    return { read }
  })
