/** The first record of a CSV file: which column each cell belongs to (CONTRACTS.md, CSV input). */

/** The columns that are read, as their names are written in files. */
export const columnNames = [
  "timestamp",
  "metric_name",
  "gpu_id",
  "device",
  "uuid",
  "modelName",
  "Hostname",
  "container",
  "pod",
  "namespace",
  "value",
  "labels_raw"
] as const
export type ColumnName = (typeof columnNames)[number]

const requiredColumns: ReadonlyArray<ColumnName> = ["uuid", "metric_name", "value"]

/** Where each column stands. Columns of other names are allowed and not read. */
export interface CsvHeader {
  /** Cells of every record, columns that are not read included. */
  readonly cellCount: number
  /** Index of each column's cell, -1 where the file has no such column. */
  readonly indexOf: Readonly<Record<ColumnName, number>>
}

/**
 * Reads a header; answers what is wrong with it, as a clause, where rows can't be read by it. Names are compared
 * trimmed and without case.
 */
export const readHeader = (cells: ReadonlyArray<string>): CsvHeader | string => {
  const names = cells.map((cell) => cell.trim().toLowerCase())
  const repeated = names.find((name, index) => name !== "" && names.indexOf(name) !== index)
  if (repeated !== undefined) return `has two columns named ${repeated} in its header`
  const indexOf = Object.fromEntries(
    columnNames.map((name) => [name, names.indexOf(name.toLowerCase())])
  ) as Record<ColumnName, number>
  const missing = requiredColumns.filter((name) => indexOf[name] < 0)
  if (missing.length > 0) {
    return `has no column ${missing.join(", ")} in its header (required: ${requiredColumns.join(", ")})`
  }
  return { cellCount: cells.length, indexOf }
}
