/**
 * The append-only log: records by offset, dropped from the front in whole segments.
 *
 * It only appends, reads, drops and says how large it is. Which offset a record gets, what is a duplicate and what may be
 * dropped is decided by the Broker.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
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

/** Records can't be read where they should be: the medium fails, or what it gives is not what was written. */
export class ReadFailed extends Schema.TaggedError<ReadFailed>()("ReadFailed", {
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `read failed: ${this.problem}`
  }
}

/** How a log came back when it was opened. */
export interface LogRecovery {
  /** Records found, and their size as every limit counts it. */
  readonly records: number
  readonly bytes: number
  /** Bytes of an append that was never finished, and that were cut off. */
  readonly tornBytes: number
  readonly durationMs: number
}

/** What a log tells of its work since it was opened. */
export interface LogStats {
  /** Why it can't append now, in words; `null` while it can. */
  readonly problem: string | null
  /** Appends, each of any number of records; their bytes, as every limit counts them; and how often they were synced. */
  readonly appends: number
  readonly appendedBytes: number
  readonly syncs: number
  /** `null` where it began empty. */
  readonly recovery: LogRecovery | null
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
    /**
     * Returns when the records are as durable as the log makes them, all or none. They get the next offsets. One call at a
     * time; reads and drops may go on meanwhile. A call that is interrupted goes on, or was never made: no record is half there.
     */
    readonly append: (runs: ReadonlyArray<RecordRun>) => Effect.Effect<void, AppendFailed>
    /**
     * Records from an offset on, up to `readableEnd`; none there. Where that offset was dropped, from the oldest retained on:
     * the slice says where it starts.
     */
    readonly read: (from: Offset, limits: ReadLimits) => Effect.Effect<LogSlice, ReadFailed>
    /**
     * The offset behind the last record that may be read: below the end of the log where that is not durable yet and is going
     * to be, so that an offset which was read is never given to other content.
     */
    readonly readableEnd: () => Offset
    /** Calls whenever more may be read although no append has just returned, until the scope closes. */
    readonly onReadable: (listener: (end: Offset) => void) => Effect.Effect<void, never, Scope.Scope>
    /** The first retained offset that was appended at a time, in ms since 1970, or after it; the end where none was. */
    readonly offsetAt: (atMs: number) => Effect.Effect<Offset, ReadFailed>
    /** Drops the segments that lie wholly below an offset, the active one too where all of it does. */
    readonly dropBefore: (offset: Offset) => Effect.Effect<LogBounds>
    /** Returns when all that was appended outlives a loss of power, also where an append returns before that. */
    readonly sync: Effect.Effect<void, AppendFailed>
    readonly bounds: Effect.Effect<LogBounds>
    readonly stats: Effect.Effect<LogStats>
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
