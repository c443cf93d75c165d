/**
 * Rows as an exporter in trouble writes them. They are made as text, and read by what reads a CSV file, so that whatever is
 * counted was found by the same code.
 */
import { dcgmCatalogue, unitRange } from "../../../protocol/DcgmCatalogue.ts"
import type { Sample } from "../../../protocol/Sample.ts"
import type { Rejects } from "../../Rejects.ts"
import { type ColumnName, type CsvHeader, columnNames, readHeader } from "../csv-header.ts"
import { parseCuts, readCutRow } from "../cut-row.ts"
import { RecordSplitter } from "../record-splitter.ts"
import { makeRowReader, type Row } from "../row.ts"
import { csvCells, csvRow, inOrder } from "./csv-row.ts"
import type { RowFault } from "./faults.ts"

/** Far above the length of a good row, far below what it costs to make one that a file may not have. */
const rowBytesMax = 2 * 1024

type Cells = Readonly<Record<ColumnName, string>>
type Corrupt = (cells: Cells, pick: <A>(choices: readonly [A, ...ReadonlyArray<A>]) => A) => string | Buffer

const withCell =
  (name: ColumnName, ...texts: readonly [string, ...ReadonlyArray<string>]): Corrupt =>
  (cells, pick) =>
    csvRow(inOrder({ ...cells, [name]: pick(texts) }))

/** A byte that occurs nowhere in UTF-8. */
const withBadByte: Corrupt = (cells) => {
  const bytes = Buffer.from(csvRow(inOrder(cells)))
  bytes[bytes.indexOf(cells.Hostname)] = 0xff
  return bytes
}

const outOfRange: Corrupt = (cells, pick) => {
  const metric = dcgmCatalogue.get(cells.metric_name)
  const hasRange = metric !== undefined && unitRange(metric.unit) !== undefined
  // Only a metric with a range has values out of it. 808334905 was seen of GPU_UTIL in the wild.
  const of = hasRange ? cells : { ...cells, metric_name: "DCGM_FI_DEV_GPU_UTIL" }
  return withCell("value", "808334905", "-1", "101")(of, pick)
}

const corruptions: Readonly<Record<RowFault, Corrupt>> = {
  row_too_long: (cells) =>
    csvRow(inOrder({ ...cells, labels_raw: `${cells.labels_raw},comment="${"x".repeat(rowBytesMax)}"` })),
  invalid_utf8: withBadByte,
  unterminated_quote: (cells) => csvRow(inOrder(cells)).slice(0, -1),
  wrong_cell_count: (cells, pick) => csvRow(pick([inOrder(cells).slice(0, -1), [...inOrder(cells), ""]])),
  empty_uuid: withCell("uuid", ""),
  empty_metric_name: withCell("metric_name", "", " "),
  bad_gpu_id: withCell("gpu_id", "-1", "N/A", ""),
  bad_value: withCell("value", "NaN", "", "0x10", "1,5", "12abc"),
  sentinel: withCell(
    "value",
    "2147483632",
    "2147483635",
    "9223372036854775794",
    "140737488355328",
    "<<<NOT_SUPPORTED>>>",
    "<<<NULL>>>"
  ),
  out_of_range: outOfRange,
  bad_timestamp: withCell("timestamp", "yesterday", "18/07/2025 20:42", ""),
  bad_label: (cells) => csvRow(inOrder({ ...cells, labels_raw: `${cells.labels_raw},rack="7` }))
}

export interface MalformedRows {
  /**
   * What a good sample becomes with a fault; `undefined` where it is rejected, and counted. `chance`, an integer, decides
   * which of several ways it takes.
   */
  readonly read: (sample: Sample, fault: RowFault, chance: number, origin: string) => Row | undefined
}

export const makeMalformedRows = (
  rejects: Rejects["Type"],
  timestamps: "now" | "original"
): MalformedRows => {
  const header = readHeader(columnNames) as CsvHeader
  const rowReader = makeRowReader(timestamps)
  return {
    read: (sample, fault, chance, origin) => {
      const splitter = new RecordSplitter(rowBytesMax, { offset: 0, line: 1 })
      splitter.push(Buffer.from(corruptions[fault](csvCells(sample), (of) => of[chance % of.length]!)))
      splitter.finish()
      const [cutRow] = parseCuts([splitter.next(header.cellCount)!], header.cellCount)
      return readCutRow(cutRow!, header, rowReader, rejects, () => origin)
    }
  }
}
