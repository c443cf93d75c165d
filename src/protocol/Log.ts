/** The vocabulary of the offset log: offsets, producers, sequences, positions, subscribers, and runs of records. */
import { Schema } from "effect"

/** Position of a message in the log: starts at 0, dense. */
export const Offset = Schema.NonNegativeInt.pipe(Schema.brand("Offset"))
export type Offset = typeof Offset.Type
/** An offset from a number that is known to be one. */
export const offsetOf = (n: number): Offset => n as Offset

/** A streamer as the log knows it. */
export const ProducerId = Schema.String.pipe(
  Schema.minLength(1),
  Schema.maxLength(256),
  Schema.brand("ProducerId")
)
export type ProducerId = typeof ProducerId.Type

/** A producer's number for a message: its next is its last + 1. */
export const Sequence = Schema.NonNegativeInt.pipe(Schema.brand("Sequence"))
export type Sequence = typeof Sequence.Type
/** A sequence from a number that is known to be one. */
export const sequenceOf = (n: number): Sequence => n as Sequence

/** Where a source goes on behind a message. Opaque to the broker; at most 1 KiB of UTF-8. */
export const SourcePosition = Schema.String.pipe(Schema.brand("SourcePosition"))
export type SourcePosition = typeof SourcePosition.Type

/** A named reader with a cursor, and perhaps a checkpoint, of its own. */
export const SubscriberId = Schema.String.pipe(
  Schema.minLength(1),
  Schema.maxLength(256),
  Schema.brand("SubscriberId")
)
export type SubscriberId = typeof SubscriberId.Type

/** Changes when the log is a new one. */
export const LogId = Schema.String.pipe(Schema.minLength(1), Schema.brand("LogId"))
export type LogId = typeof LogId.Type

/**
 * Records that follow each other in the log and, where they name a producer, in its sequences. What a machine sees of a
 * group of any size: one step costs the same for one record and for a thousand.
 */
export const Run = Schema.Struct({
  firstOffset: Offset,
  count: Schema.Int.pipe(Schema.positive()),
  bytes: Schema.NonNegativeInt,
  producer: Schema.NullOr(
    Schema.Struct({
      id: ProducerId,
      firstSequence: Sequence,
      /** The latest position that a record of the run carries; not each of them has to. */
      lastPosition: Schema.NullOr(SourcePosition)
    })
  )
})
export type Run = typeof Run.Type

/** Where records of a publish are that follow each other in it and in the log. */
export const PlacedRun = Schema.Struct({
  count: Schema.Int.pipe(Schema.positive()),
  /** Offset of the first of them; `null` where they are duplicates whose offsets are no longer remembered. */
  firstOffset: Schema.NullOr(Offset),
  /** They were in the log already. */
  isDuplicate: Schema.Boolean
})
export type PlacedRun = typeof PlacedRun.Type

/** Where a subscription starts: a place in the log, or an end of it. */
export type StartFrom = "earliest" | "latest" | Offset

/** What of the log a broker decides by: its ends, its size, and the segments that it can drop. */
export interface LogBounds {
  /** Offset of the oldest record that is retained; `next` where there is none. */
  readonly oldest: Offset
  /** Offset that the next record gets. */
  readonly next: Offset
  /** Size of what is retained, with what a record takes beside its payload. */
  readonly bytes: number
  /** Oldest first. Whole segments are dropped; the last one is the active one. */
  readonly segments: ReadonlyArray<LogSegment>
}

/** Records that are dropped together. */
export interface LogSegment {
  /** Offset behind its last record. */
  readonly next: Offset
  readonly bytes: number
  /** When its newest record was appended, in milliseconds since 1970. */
  readonly newestMs: number
}
