/**
 * Whose row a row is, told from its bytes before anything parses them: rows of other streamers cost no parsing.
 *
 * A record belongs to its host, whatever else is wrong with it, and where it names none to its GPU; a line that is no
 * record names nothing, and belongs to its number in the file. So every row has one owner, who counts it.
 */
import { fnv1a32, ownsEverything, ownsHost, ownsRow, type Shard } from "../../protocol/Shard.ts"
import { BoundedCache } from "./bounded-cache.ts"
import type { CsvHeader } from "./csv-header.ts"
import type { Cut } from "./record-splitter.ts"

const quote = 0x22
const comma = 0x2c

/** Names whose hash is remembered, and their characters. */
const namesMax = 10_000
const nameCharsMax = 1024 * 1024

/** Index behind the cell that begins at `from`: of its comma, or the record's length. */
const cellEnd = (record: Buffer, from: number): number => {
  if (record[from] !== quote) {
    const end = record.indexOf(comma, from)
    return end < 0 ? record.length : end
  }
  let i = from + 1
  while (i < record.length && (record[i] !== quote || record[i + 1] === quote))
    i += record[i] === quote ? 2 : 1
  return i + 1
}

/** The text of a cell of a well-formed record; a column that the file does not have is empty. */
export const cellText = (record: Buffer, index: number): string => {
  if (index < 0) return ""
  let from = 0
  for (let i = 0; i < index; i++) from = cellEnd(record, from) + 1
  const end = cellEnd(record, from)
  if (record[from] !== quote) return record.toString("utf8", from, end)
  return record.toString("utf8", from + 1, end - 1).replaceAll('""', '"')
}

/** `fnv1a32`, which a fleet asks for the same few names again and again. */
export const makeNameHash = (): ((name: string) => number) => {
  const known = new BoundedCache<number>(namesMax, nameCharsMax)
  return (name) => {
    const remembered = known.get(name)
    if (remembered !== undefined) return remembered
    const hash = fnv1a32(name)
    known.add(name, hash)
    return hash
  }
}

/** Tells of the rows of one file after another whether they are the shard's. */
export type RowOwner = (header: CsvHeader, cut: Cut) => boolean

export const makeRowOwner = (shard: Shard, hash: (name: string) => number): RowOwner => {
  if (ownsEverything(shard)) return () => true
  return ({ indexOf }, { bytes, line, reject }) => {
    if (reject !== undefined) return ownsRow(shard, line)
    const hostname = cellText(bytes, indexOf.Hostname)
    return ownsHost(shard, hostname, hostname === "" ? cellText(bytes, indexOf.uuid) : "", hash)
  }
}
