/**
 * The append-only log: records by offset, dropped from the front in whole segments.
 *
 * It only appends, reads, drops and says how large it is. Which offset a record gets, what is a duplicate and what may be
 * dropped is decided by the Broker.
 */
import { Context, type Effect, Schema } from "effect"
import {
  type LogBounds,
  type LogId,
  type Offset,
  type ProducerId,
  type Run,
  type Sequence,
  type SourcePosition,
  sequenceOf
} from "../protocol/Log.ts"

/** The log could not make records durable; none of them is in it. */
export class AppendFailed extends Schema.TaggedError<AppendFailed>()("AppendFailed", {
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `append failed: ${this.problem}`
  }
}

/**
 * Records that follow each other: opaque payloads and, where a producer published them, its sequences and positions. A run
 * of a thousand records is a handful of objects, so that what is kept and collected does not grow with their number.
 */
export interface RecordRun {
  readonly payloads: ReadonlyArray<Uint8Array>
  /** Record `i` has sequence `firstSequence + i` and `positions[i]`. */
  readonly producer: {
    readonly id: ProducerId
    readonly firstSequence: Sequence
    readonly positions: ReadonlyArray<SourcePosition | null>
  } | null
}

/** Records that follow each other, the first of them at `firstOffset`. */
export interface LogSlice {
  readonly firstOffset: Offset
  readonly runs: ReadonlyArray<RecordRun>
}

export interface ReadLimits {
  readonly recordsMax: number
  /** Size up to which records are read; the first is read whatever its size. */
  readonly bytesMax: number
}

export class OffsetLog extends Context.Tag("telemetry/OffsetLog")<
  OffsetLog,
  {
    /** Of this log and no other; kept as long as its records. */
    readonly logId: LogId
    /** Returns when the records are as durable as the log makes them, all or none. They get the next offsets. */
    readonly append: (runs: ReadonlyArray<RecordRun>) => Effect.Effect<void, AppendFailed>
    /**
     * Records from an offset on; none at the end of the log. Where that offset was dropped, from the oldest retained on:
     * the slice says where it starts.
     */
    readonly read: (from: Offset, limits: ReadLimits) => Effect.Effect<LogSlice>
    /** Drops the segments that lie wholly below an offset, the active one too where all of it does. */
    readonly dropBefore: (offset: Offset) => Effect.Effect<LogBounds>
    readonly bounds: Effect.Effect<LogBounds>
  }
>() {}

/** What a record takes beside its payload and its position: header and bookkeeping, generously. */
const recordOverheadBytes = 128

/** The size of record `index` of a run, as every limit counts it. */
export const recordBytes = (run: RecordRun, index: number): number =>
  recordOverheadBytes + run.payloads[index]!.length + (run.producer?.positions[index]?.length ?? 0)

/** The size of all records of a run. */
export const runBytes = (run: RecordRun): number => {
  let bytes = 0
  for (let index = 0; index < run.payloads.length; index++) bytes += recordBytes(run, index)
  return bytes
}

/** The records of a run from one index up to but not with another. */
export const sliceRun = (run: RecordRun, from: number, to: number): RecordRun =>
  from === 0 && to === run.payloads.length
    ? run
    : {
        payloads: run.payloads.slice(from, to),
        producer: run.producer && {
          id: run.producer.id,
          firstSequence: sequenceOf(run.producer.firstSequence + from),
          positions: run.producer.positions.slice(from, to)
        }
      }

/** What a machine sees of a run of records. */
export const describeRun = (firstOffset: Offset, run: RecordRun): Run => ({
  firstOffset,
  count: run.payloads.length,
  bytes: runBytes(run),
  producer: run.producer && {
    id: run.producer.id,
    firstSequence: run.producer.firstSequence,
    lastPosition: run.producer.positions.findLast((position) => position !== null) ?? null
  }
})
