/** One reading of an open file, from a record to the file's end: bytes in by the chunk, rows out by the call. */
import { Effect } from "effect"
import { SourceError } from "../TelemetrySource.ts"
import { type CsvFile, readBytes } from "./csv-file.ts"
import { type CutRow, parseCuts } from "./cut-row.ts"
import { type Cut, RecordSplitter, type SplitStart } from "./record-splitter.ts"

/** Rows that were gone through: the own ones, and how many were passed over. */
export interface TakenRows {
  readonly rows: ReadonlyArray<CutRow>
  readonly rowsPassed: number
}

export interface CsvPass {
  /** Goes through up to `rowsMax` rows whose bytes are there; what it gives refers to is valid until the next `fill`. */
  readonly take: (rowsMax: number) => TakenRows
  /** Reads the next bytes. Where the file has become shorter than what was read of it, it fails. */
  readonly fill: Effect.Effect<void, SourceError>
  /** Whether the end of the file was reached: what `take` does not have then will not come. */
  readonly isOver: () => boolean
  /** Where the first row starts that `take` has not gone through. */
  readonly next: () => SplitStart
}

/** Starts a reading at a record's first byte. Rows that are not `isOwn` are passed over. */
export const makeCsvPass = (
  file: CsvFile,
  start: SplitStart,
  maxRowBytes: number,
  isOwn: (cut: Cut) => boolean
): CsvPass => {
  const { cellCount } = file.header
  const splitter = new RecordSplitter(maxRowBytes, start)
  const buffer = Buffer.allocUnsafe(readBytes)
  let offset = start.offset
  let next = start
  let isOver = false

  const take = (rowsMax: number): TakenRows => {
    const cuts: Array<Cut> = []
    let rowsPassed = 0
    while (cuts.length + rowsPassed < rowsMax) {
      const cut = splitter.next(cellCount)
      if (cut === undefined) break
      next = { offset: cut.endOffset, line: cut.endLine }
      if (isOwn(cut)) cuts.push(cut)
      else rowsPassed++
    }
    return { rows: parseCuts(cuts, cellCount), rowsPassed }
  }

  const fill = Effect.gen(function* () {
    const count = yield* file.read(buffer, offset)
    if (count > 0) {
      splitter.push(buffer.subarray(0, count))
      offset += count
      return
    }
    // The bytes held back may be the beginning of a row whose rest is gone: they are not taken for one.
    if ((yield* file.size) < offset) {
      return yield* Effect.fail(
        new SourceError({ source: file.path, problem: "has become shorter while it was read" })
      )
    }
    splitter.finish()
    isOver = true
  })

  return { take, fill, isOver: () => isOver, next: () => next }
}
