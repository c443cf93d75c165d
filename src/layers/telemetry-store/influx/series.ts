/**
 * Samples out of the rows of a Flux answer.
 *
 * Every column that is not InfluxDB's own is a tag, and an empty cell a tag that the series lacks. Rows of one series share a
 * `Series` object, within an answer and across answers, so that what is cached by that object is found again.
 */
import type { FluxTableMetaData } from "@influxdata/influxdb-client"
import { internedSeriesMax } from "../../../protocol/Limits.ts"
import type { Sample } from "../../../protocol/Sample.ts"
import { type Series, sortLabels } from "../../../protocol/Series.ts"
import { parseTime, type TimeNs } from "../../../protocol/Time.ts"
import type { TableReader } from "./Connection.ts"

/** Columns that Flux adds to the tags. Every answer begins with `result` and `table`, so those two names may be tags too. */
const fluxColumns: ReadonlySet<string> = new Set(["_start", "_stop", "_time", "_value", "_field"])
const columnsBeforeTags = 2

/** Types of columns whose cells are numbers. */
const numericTypes: ReadonlySet<string> = new Set(["double", "long", "unsignedLong"])

const canonicalIndex = /^(?:0|[1-9]\d{0,15})$/

/** The index that a `gpu_id` tag tells, where it is one as our collector writes it. */
const parseGpuId = (text: string): number | undefined => {
  if (!canonicalIndex.test(text)) return undefined
  const index = Number(text)
  return Number.isSafeInteger(index) ? index : undefined
}

const textTags = {
  _measurement: "metricName",
  uuid: "uuid",
  hostname: "hostname",
  device: "device",
  model: "modelName",
  container: "container",
  pod: "pod",
  namespace: "namespace"
} as const satisfies Record<string, keyof Series>

const isTextTag = (name: string): name is keyof typeof textTags => Object.hasOwn(textTags, name)

/** The series that tags tell of. A `gpu_id` that is no index stays a label, so that it still tells series apart. */
const seriesOf = (tags: ReadonlyArray<readonly [name: string, value: string]>): Series => {
  const texts: Record<(typeof textTags)[keyof typeof textTags], string> = {
    metricName: "",
    uuid: "",
    hostname: "",
    device: "",
    modelName: "",
    container: "",
    pod: "",
    namespace: ""
  }
  let gpuId: number | undefined
  const labels: Array<readonly [string, string]> = []
  for (const tag of tags) {
    const [name, value] = tag
    if (isTextTag(name)) texts[textTags[name]] = value
    else if (name === "gpu_id" && parseGpuId(value) !== undefined) gpuId = parseGpuId(value)
    else labels.push(tag)
  }
  return { ...texts, gpuId, labels: sortLabels(labels) }
}

/** The instant of a `_time` cell. */
export const timeOf = (cell: string): TimeNs => {
  const timeNs = parseTime(cell)
  if (timeNs === undefined) throw new Error(`InfluxDB answered an instant that can't be read: ${cell}`)
  return timeNs
}

/** Whether the cells of the column `_value` are numbers; text and truth values are what someone else wrote. */
export const isNumeric = (table: FluxTableMetaData): boolean =>
  numericTypes.has(table.column("_value").dataType)

/** The series of a row, by the cells of its tags. */
export type SeriesReader = (cells: ReadonlyArray<string>) => Series

/** Answers, for the tables of any answer, how the series of a row is found. Forgets all it knows when that gets too much. */
export const makeSeriesReader = (): TableReader<Series> => {
  const known = new Map<string, Series>()
  const intern = (key: string, tags: () => Series): Series => {
    const found = known.get(key)
    if (found !== undefined) return found
    if (known.size >= internedSeriesMax) known.clear()
    const made = tags()
    known.set(key, made)
    return made
  }
  return (table) => {
    const columns = table.columns
      .map(({ label }, index) => ({ label, index }))
      .filter(({ label, index }) => index >= columnsBeforeTags && !fluxColumns.has(label))
    // A text that two sets of tags share only if they are equal, whatever the tags hold.
    const prefixes = columns.map(({ label }) => `${label.length}:${label}`)
    const tagsOf = (cells: ReadonlyArray<string>) =>
      columns.map(({ label, index }) => [label, cells[index]!] as const).filter(([, value]) => value !== "")
    let last: ReadonlyArray<string> | undefined
    let series: Series
    const isAsLast = (cells: ReadonlyArray<string>) => {
      if (last === undefined) return false
      for (const { index } of columns) if (cells[index] !== last[index]) return false
      return true
    }
    return (cells) => {
      if (isAsLast(cells)) return series
      let key = ""
      for (let i = 0; i < columns.length; i++) {
        const value = cells[columns[i]!.index]!
        if (value !== "") key += `${prefixes[i]}${value.length}:${value}`
      }
      series = intern(key, () => seriesOf(tagsOf(cells)))
      last = cells
      return series
    }
  }
}

/** Reads samples; `undefined` for a row whose value is no number. */
export const sampleReader =
  (readSeries: TableReader<Series>): TableReader<Sample | undefined> =>
  (table) => {
    if (!isNumeric(table)) return () => undefined
    const time = table.column("_time").index
    const value = table.column("_value").index
    const seriesOfRow = readSeries(table)
    return (cells) => ({
      series: seriesOfRow(cells),
      timeNs: timeOf(cells[time]!),
      // `+ 0` makes -0 the number 0.
      value: Number(cells[value]) + 0
    })
  }
