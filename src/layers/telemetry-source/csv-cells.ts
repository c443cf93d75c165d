/**
 * The cells of records that are cut already, many records to a call of csv-parse.
 *
 * csv-parse sees well-formed records with the right number of cells and nothing between them, so nothing it does can
 * cost a record that it was not given. That it agrees is verified, not assumed.
 */
import { type Options, parse } from "csv-parse/sync"

const lineFeed = 0x0a

// The line end is given so that csv-parse does not look for one. Counting cells is not left to it: it would stop there.
const options: Options = { record_delimiter: "\n", relax_column_count: true }

const join = (records: ReadonlyArray<Uint8Array>): Buffer => {
  let size = 0
  for (const record of records) size += record.length + 1
  const joined = Buffer.allocUnsafe(size)
  let end = 0
  for (const record of records) {
    joined.set(record, end)
    end += record.length
    joined[end++] = lineFeed
  }
  return joined
}

const parseJoined = (records: ReadonlyArray<Uint8Array>): ReadonlyArray<ReadonlyArray<string>> => {
  if (records.length === 0) return []
  try {
    return parse(join(records), options)
  } catch {
    return []
  }
}

/**
 * The cells of each record, in order; `undefined` where csv-parse does not see one record of `cellCount` cells. The
 * records are without line ends and not empty; `undefined` for `cellCount` takes any number.
 */
export const parseRecords = (
  records: ReadonlyArray<Uint8Array>,
  cellCount: number | undefined
): ReadonlyArray<ReadonlyArray<string> | undefined> => {
  const isCounted = (cells: ReadonlyArray<string>) => cellCount === undefined || cells.length === cellCount
  const rows = parseJoined(records)
  if (rows.length === records.length && rows.every(isCounted)) return rows
  return records.map((record) => {
    const alone = parseJoined([record])
    return alone.length === 1 && isCounted(alone[0]!) ? alone[0] : undefined
  })
}
