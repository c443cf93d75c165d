/**
 * Reads a CSV file, once or pass after pass, from any position that it gave.
 *
 * The file may grow, move, shrink or be replaced meanwhile. Each pass opens it anew and reads its header again. In a loop
 * a file that can't be read is waited for, with a warning; otherwise it is an error of `read`.
 */
import { Clock, Effect, Exit, Option, Schedule, Scope } from "effect"
import type { Sample } from "../../protocol/Sample.ts"
import { formatShard, type Shard } from "../../protocol/Shard.ts"
import type { TimeNs } from "../../protocol/Time.ts"
import type { Rejects } from "../Rejects.ts"
import {
  refuseOtherShard,
  type SourceChunk,
  type SourceError,
  type SourceOpening,
  type SourceReader
} from "../TelemetrySource.ts"
import { type CsvFile, openCsvFile } from "./csv-file.ts"
import { type CsvPass, makeCsvPass, type TakenRows } from "./csv-pass.ts"
import {
  type CsvPosition,
  decodePosition,
  encodePosition,
  type FileIdentity,
  identityOf,
  isSameFile
} from "./csv-position.ts"
import { readCutRow } from "./cut-row.ts"
import type { Cut } from "./record-splitter.ts"
import type { RowReader } from "./row.ts"
import { makeRowOwner, type RowOwner } from "./row-owner.ts"
import { makeTimestamper } from "./timestamper.ts"

/** How long a loop waits before it goes again through a file that had no rows for it. */
const emptyPassPauseMs = 1_000
/** How long a loop waits for a file that can't be read: doubled each time, up to the longest. */
const retryPauseMs = 500
const retryPauseMaxMs = 15_000

const retries = Schedule.exponential(retryPauseMs).pipe(Schedule.union(Schedule.spaced(retryPauseMaxMs)))

/** What an operator may set about the CSV source. */
export interface CsvSourceSettings {
  /** The file, as the user named it. */
  readonly path: string
  /** Whether reading starts again at the beginning when the file is over. */
  readonly loop: boolean
  /** Which time a sample gets: when it was read, or its row's own. */
  readonly timestamps: "now" | "original"
  /** Longest row in bytes, its line end not counted. */
  readonly maxRowBytes: number
}

/** What the readers of a source share: several cost no more memory than one, but for what they hold to be read. */
export interface CsvReaderResources {
  readonly rejects: Rejects["Type"]
  readonly rowReader: RowReader
  readonly nameHash: (name: string) => number
}

/** What is being read: a pass over an open file, and the rows that it went through. */
interface Reading {
  readonly file: CsvFile
  readonly identity: FileIdentity
  readonly pass: CsvPass
  readonly passNumber: number
  readonly isFromBeginning: boolean
  readonly scope: Scope.CloseableScope
  rowsRead: number
  rowsPassed: number
}

type ResumeAt = Pick<CsvPosition, "file" | "pass" | "row" | "offset">

/** Makes samples of rows and counts the others; nothing here waits. */
const makeChunks = (
  settings: CsvSourceSettings,
  { rejects, rowReader }: CsvReaderResources,
  shard: Shard,
  lastGivenNs: TimeNs | undefined
) => {
  const timestamper = makeTimestamper(lastGivenNs, shard)
  const shardText = formatShard(shard)
  const isNow = settings.timestamps === "now"
  const originOf = ({ line }: Cut) => `${settings.path}:${line}`

  return (reading: Reading, { rows, rowsPassed }: TakenRows, nowNs: TimeNs): SourceChunk => {
    const { file, identity, passNumber } = reading
    const samples: Array<Sample> = []
    const endOffsets: Array<number> = []
    const endLines: Array<number> = []
    for (const cutRow of rows) {
      const row = readCutRow(cutRow, file.header, rowReader, rejects, originOf)
      if (row === undefined) continue
      samples.push({ series: row.series, timeNs: row.timeNs ?? timestamper.next(nowNs), value: row.value })
      endOffsets.push(cutRow.cut.endOffset)
      endLines.push(cutRow.cut.endLine)
    }
    return {
      rowsRead: rows.length,
      rowsPassed,
      samples,
      positionAfter: (index) => {
        const given = isNow ? samples[index]!.timeNs : timestamper.last
        return encodePosition({
          file: identity,
          shard: shardText,
          pass: passNumber,
          row: endLines[index]!,
          offset: endOffsets[index]!,
          ...(given === undefined ? {} : { lastGivenNs: given })
        })
      }
    }
  }
}

/** Opens the file, in a scope of its own below `parent`: at a position where that is the file's, else at its beginning. */
const openReading = (
  settings: CsvSourceSettings,
  parent: Scope.Scope,
  isOwn: RowOwner,
  passNumber: number,
  resumeAt: ResumeAt | undefined
): Effect.Effect<Reading, SourceError> =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(parent, parent.strategy)
    const open = Effect.gen(function* () {
      const file = yield* openCsvFile(settings.path, settings.maxRowBytes)
      return { file, size: yield* file.size }
    })
    const { file, size } = yield* open.pipe(
      Scope.extend(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
    const isSame = resumeAt !== undefined && isSameFile(resumeAt.file, file.beginning)
    const isResumed = isSame && resumeAt.offset >= file.dataStart.offset && resumeAt.offset <= size
    if (resumeAt !== undefined && !isResumed) {
      const change = isSame ? "is shorter than what was read of it" : "has other content than before"
      yield* Effect.logWarning(`${settings.path}: ${change}; reading it from the beginning`)
    }
    const start = isResumed ? { offset: resumeAt.offset, line: resumeAt.row } : file.dataStart
    return {
      file,
      identity: identityOf(file.beginning),
      pass: makeCsvPass(file, start, settings.maxRowBytes, (cut) => isOwn(file.header, cut)),
      passNumber: isResumed ? resumeAt.pass : passNumber,
      isFromBeginning: !isResumed,
      scope,
      rowsRead: 0,
      rowsPassed: 0
    }
  }).pipe(Effect.uninterruptible)

/** Opens the file until that works, with one warning for each way in which it does not. */
const openReadingAtLast = (...args: Parameters<typeof openReading>): Effect.Effect<Reading> => {
  let warnedOf = ""
  return openReading(...args).pipe(
    Effect.tapError((error) => {
      if (error.message === warnedOf) return Effect.void
      warnedOf = error.message
      return Effect.logWarning(`${error.message}; trying again until it can be read`)
    }),
    Effect.retry(retries),
    // The retries never end, which their type does not say.
    Effect.orDie
  )
}

/** Opens a reader; see `TelemetrySource.open`. */
export const openCsvReader = (
  settings: CsvSourceSettings,
  resources: CsvReaderResources,
  { resumeAt, shard }: SourceOpening
): Effect.Effect<SourceReader, SourceError, Scope.Scope> =>
  Effect.gen(function* () {
    const parent = yield* Effect.scope
    const position = Option.getOrUndefined(Option.flatMap(resumeAt, decodePosition))
    if (Option.isSome(resumeAt) && position === undefined) {
      yield* Effect.logWarning(`${settings.path}: the last position is of another source; starting afresh`)
    }
    if (position !== undefined) yield* refuseOtherShard(settings.path, position.shard, shard)
    const isOwn = makeRowOwner(shard, resources.nameHash)
    let reading = yield* openReading(settings, parent, isOwn, 0, position)
    const toChunk = makeChunks(settings, resources, shard, position?.lastGivenNs)
    let hasWarned = false

    const goOnWith = (passNumber: number, at: ResumeAt | undefined) =>
      Effect.gen(function* () {
        yield* Scope.close(reading.scope, Exit.void)
        reading = yield* openReadingAtLast(settings, parent, isOwn, passNumber, at)
      })

    const nextPass = Effect.gen(function* () {
      const { isFromBeginning, rowsRead, rowsPassed } = reading
      const isEmpty = isFromBeginning && rowsRead === 0
      if (isEmpty && !hasWarned) {
        const rows = rowsPassed === 0 ? "rows" : `rows of shard ${formatShard(shard)}`
        yield* Effect.logWarning(`${settings.path}: has no ${rows}; waiting for some`)
      }
      hasWarned = isEmpty
      if (isEmpty) yield* Effect.sleep(emptyPassPauseMs)
      yield* goOnWith(reading.passNumber + 1, undefined)
    })

    const recover = (error: SourceError) =>
      Effect.gen(function* () {
        yield* Effect.logWarning(`${error.message}; opening it again`)
        const { identity, passNumber, pass } = reading
        const { line, offset } = pass.next()
        yield* Effect.sleep(retryPauseMs)
        yield* goOnWith(passNumber, { file: identity, pass: passNumber, row: line, offset })
      })

    const read = (rowsMax: number) =>
      Effect.gen(function* () {
        for (;;) {
          // Before the rows are taken: between taking and returning them nothing may be interrupted.
          const nowNs = yield* Clock.currentTimeNanos
          // At least one, or the file would be read and nothing ever taken of it.
          const taken = reading.pass.take(Math.max(1, rowsMax))
          if (taken.rows.length + taken.rowsPassed > 0) {
            reading.rowsRead += taken.rows.length
            reading.rowsPassed += taken.rowsPassed
            return Option.some(toChunk(reading, taken, nowNs))
          }
          if (!reading.pass.isOver()) {
            yield* settings.loop ? Effect.catchAll(reading.pass.fill, recover) : reading.pass.fill
          } else if (settings.loop) {
            yield* nextPass
          } else {
            return Option.none<SourceChunk>()
          }
        }
      })

    return { read }
  })
