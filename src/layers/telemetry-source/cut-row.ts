/** From a row as it was cut out of a file to what it says, or to the reject that it is counted as. */
import { rejectBytesMax } from "../../protocol/Limits.ts"
import type { RowRejectReason } from "../../protocol/Reject.ts"
import type { Rejects } from "../Rejects.ts"
import { parseRecords } from "./csv-cells.ts"
import type { CsvHeader } from "./csv-header.ts"
import type { Cut } from "./record-splitter.ts"
import type { Row, RowReader } from "./row.ts"

/** A row as it was cut, with its cells or with why it has none. */
export interface CutRow {
  readonly cut: Cut
  readonly cells: ReadonlyArray<string> | RowRejectReason
}

/** The cells of rows that were cut, parsed together. */
export const parseCuts = (cuts: ReadonlyArray<Cut>, cellCount: number): ReadonlyArray<CutRow> => {
  const records = cuts.filter((cut) => cut.reject === undefined).map((cut) => cut.bytes)
  const parsed = parseRecords(records, cellCount)
  let index = 0
  return cuts.map((cut) => ({ cut, cells: cut.reject ?? parsed[index++] ?? "wrong_cell_count" }))
}

/**
 * Reads a row, and counts what is wrong with it, where it is from: the row, of which nothing is left then, or labels that it
 * goes on without.
 */
export const readCutRow = (
  { cut, cells }: CutRow,
  header: CsvHeader,
  rowReader: RowReader,
  rejects: Rejects["Type"],
  originOf: (cut: Cut) => string
): Row | undefined => {
  const row = typeof cells === "string" ? cells : rowReader.read(header, cells)
  if (typeof row === "string") {
    // Some bytes more than are kept, so that they end in a character.
    rejects.add(row, () => ({
      origin: originOf(cut),
      input: cut.bytes.toString("utf8", 0, rejectBytesMax + 4)
    }))
    return undefined
  }
  for (const label of row.malformedLabels) {
    rejects.add("bad_label", () => ({ origin: originOf(cut), input: label }))
  }
  return row
}
