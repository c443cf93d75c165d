/** The streamers of this process: they read a source and publish what it gives. */
import { Context, type Effect, Schema } from "effect"

/** A streamer can't go on: its source failed, its batches are refused for good, or another one took its id. */
export class StreamerFailed extends Schema.TaggedError<StreamerFailed>()("StreamerFailed", {
  streamerId: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.streamerId}: ${this.problem}`
  }
}

/** What a streamer has done since the process started. */
export interface StreamerProgress {
  readonly streamerId: string
  /** Rows that were read, rejected ones included. */
  readonly rowsRead: number
  readonly samplesRead: number
  /** Batches that the broker has acknowledged. */
  readonly batchesPublished: number
  /** Why its batches wait, the broker being there; `null` where they do not. */
  readonly waitsBecause: string | null
}

export class Streamers extends Context.Tag("telemetry/Streamers")<
  Streamers,
  {
    readonly progress: Effect.Effect<ReadonlyArray<StreamerProgress>>
    /** Completes when every source has ended and all that was read is acknowledged. A looping source never ends. */
    readonly done: Effect.Effect<void, StreamerFailed>
    /** Stops reading, publishes what was read, and completes when that is acknowledged. */
    readonly drain: Effect.Effect<void, StreamerFailed>
  }
>() {}
