/** What can happen to a streamer that decides where it goes on. Kept in a bounded trace; the log is what it recovers from. */
import { Schema } from "effect"
import { Sequence, SourcePosition } from "./Log.ts"

/** The broker told how far this producer is in its log; both are null where the log does not know it. */
export const ProducerResumed = Schema.Struct({
  type: Schema.Literal("ProducerResumed"),
  lastSequence: Schema.NullOr(Sequence),
  lastPosition: Schema.NullOr(SourcePosition)
})

/** Samples were cut into batches that follow each other; they exist as payloads now and are never cut otherwise. */
export const BatchesSealed = Schema.Struct({
  type: Schema.Literal("BatchesSealed"),
  firstSequence: Sequence,
  count: Schema.Int.pipe(Schema.positive()),
  samples: Schema.Int.pipe(Schema.positive()),
  bytes: Schema.NonNegativeInt
})

/** Every batch below `next` is in the log. */
export const BatchesAcknowledged = Schema.Struct({
  type: Schema.Literal("BatchesAcknowledged"),
  next: Sequence
})

/** Nothing more will be read. */
export const SourceEnded = Schema.Struct({ type: Schema.Literal("SourceEnded") })

export const StreamerFact = Schema.Union(ProducerResumed, BatchesSealed, BatchesAcknowledged, SourceEnded)
export type StreamerFact = typeof StreamerFact.Type
