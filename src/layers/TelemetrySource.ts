/**
 * Where samples come from: a CSV file, a simulated fleet.
 *
 * A source is pulled, never pushed: what a streamer does not ask for is not read, and that is all of its backpressure.
 * It knows nothing of batches, sequences or pace. What it rejects it counts in `Rejects` itself.
 */
import { Context, Effect, type Option, Schema, type Scope } from "effect"
import type { SourcePosition } from "../protocol/Log.ts"
import type { Sample } from "../protocol/Sample.ts"
import { formatShard, type Shard } from "../protocol/Shard.ts"

/** The source can't be opened or read, or its input can't be understood as a whole (a header without `uuid`, say). */
export class SourceError extends Schema.TaggedError<SourceError>()("SourceError", {
  /** What it is, as the user named it: a path. */
  source: Schema.String,
  /** What is wrong with it, as a clause: `no such file`. */
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `${this.source}: ${this.problem}`
  }
}

/** Fails where a position is of another shard than the one that is to be read: `positionShard`, by `formatShard`. */
export const refuseOtherShard = (
  source: string,
  positionShard: string,
  shard: Shard
): Effect.Effect<void, SourceError> => {
  const wanted = formatShard(shard)
  if (positionShard === wanted) return Effect.void
  return new SourceError({
    source,
    problem:
      `was read as shard ${positionShard} under this id and can't go on as ${wanted}: rows would be lost or read twice; ` +
      "keep the number of streamers and how they share, or give them a new id"
  })
}

/** Some rows that follow each other in the source. */
export interface SourceChunk {
  /** Rows of the reader's shard, rejected ones included. */
  readonly rowsRead: number
  /** Rows between them that are not: those of other shards, and those that a simulated GPU leaves out. */
  readonly rowsPassed: number
  readonly samples: ReadonlyArray<Sample>
  /** The position from which reading goes on behind `samples[index]`: that sample is not read again, the next one is. */
  readonly positionAfter: (index: number) => SourcePosition
}

/** An open source. One reader has one caller at a time. */
export interface SourceReader {
  /**
   * Goes through up to `rowsMax` rows, whosever they are, as soon as there are any; `None` where the source has ended. A
   * chunk may hold no sample, and no row of the shard: readers that go through as many rows stay side by side.
   */
  readonly read: (rowsMax: number) => Effect.Effect<Option.Option<SourceChunk>, SourceError>
}

export interface SourceOpening {
  readonly resumeAt: Option.Option<SourcePosition>
  /** Which rows are read; the others are passed over, and cost no more than that. */
  readonly shard: Shard
}

export class TelemetrySource extends Context.Tag("telemetry/TelemetrySource")<
  TelemetrySource,
  {
    /** What it reads, for people: a path, `simulated fleet 32x8`. */
    readonly description: string
    /**
     * Opens a reader at a position that a reader of this source gave earlier, or at the beginning. A position that belongs
     * to other content (a replaced file) starts at the beginning; it is never guessed where it would be. One of another
     * shard is refused: rows would be read twice, or by nobody.
     */
    readonly open: (opening: SourceOpening) => Effect.Effect<SourceReader, SourceError, Scope.Scope>
  }
>() {}
