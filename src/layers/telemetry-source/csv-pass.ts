/** One reading of an open file, from a record to the file's end: bytes in by the chunk, rows out by the call. */
import { Effect } from "effect"
import type { RowRejectReason } from "../../protocol/Reject.ts"
import { SourceError } from "../TelemetrySource.ts"
import { parseRecords } from "./csv-cells.ts"
import { type CsvFile, readBytes } from "./csv-file.ts"
import { type Cut, RecordSplitter, type SplitStart } from "./record-splitter.ts"

/** A row as it was cut, with its cells or with why it has none. */
export interface CutRow {
  readonly cut: Cut
  readonly cells: ReadonlyArray<string> | RowRejectReason
}

export interface CsvPass {
  /** Up to `rowsMax` of the own rows whose bytes are there; what they refer to is valid until the next `fill`. */
  readonly take: (rowsMax: number) => ReadonlyArray<CutRow>
  /** Reads the next bytes. Where the file has become shorter than what was read of it, it fails. */
  readonly fill: Effect.Effect<void, SourceError>
  /** Whether the end of the file was reached: what `take` does not have then will not come. */
  readonly isOver: () => boolean
  /** Where the first row starts that `take` has neither given nor passed over. */
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

  const take = (rowsMax: number): ReadonlyArray<CutRow> => {
    const cuts: Array<Cut> = []
    while (cuts.length < rowsMax) {
      const cut = splitter.next(cellCount)
      if (cut === undefined) break
      next = { offset: cut.endOffset, line: cut.endLine }
      if (isOwn(cut)) cuts.push(cut)
    }
    const records = cuts.filter((cut) => cut.reject === undefined).map((cut) => cut.bytes)
    const parsed = parseRecords(records, cellCount)
    let index = 0
    return cuts.map((cut) => ({ cut, cells: cut.reject ?? parsed[index++] ?? "wrong_cell_count" }))
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
