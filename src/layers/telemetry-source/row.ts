/**
 * From the cells of a row to what a sample is made of, or the first reason of the contract why it is none.
 *
 * By hand rather than by a Schema, because it runs once per row. Texts are taken exactly as they are; white space around
 * numbers and instants is ignored.
 */
import { dcgmCatalogue, unitRange } from "../../protocol/DcgmCatalogue.ts"
import { internedSeriesMax } from "../../protocol/Limits.ts"
import type { RowRejectReason } from "../../protocol/Reject.ts"
import type { Series } from "../../protocol/Series.ts"
import { parseTime, type TimeNs } from "../../protocol/Time.ts"
import { BoundedCache } from "./bounded-cache.ts"
import type { CsvHeader } from "./csv-header.ts"
import { readDcgmValue } from "./dcgm-value.ts"
import { parseLabels } from "./labels.ts"

/** Characters of the texts by which series are interned: 200,000 ordinary ones, whatever a file holds. */
const internedCharsMax = 128 * 1024 * 1024

/** A series as rows spell it, and the labels that are dropped from each of those rows. */
interface InternedSeries {
  readonly series: Series
  readonly malformedLabels: ReadonlyArray<string>
}

/** What a good row says. */
export interface Row {
  /** The same object for every row of the series, for as long as it is interned. */
  readonly series: Series
  readonly value: number
  /** The row's own time; `undefined` where it is not asked for. */
  readonly timeNs: TimeNs | undefined
  /** Labels that were dropped and are to be counted. */
  readonly malformedLabels: ReadonlyArray<string>
}

/** Reads the rows of one file after another; what it interns outlives a header. */
export interface RowReader {
  /** `cells` has as many cells as the header. */
  readonly read: (header: CsvHeader, cells: ReadonlyArray<string>) => Row | RowRejectReason
}

const integer = /^\d+$/

const readGpuId = (text: string): number | undefined => {
  const trimmed = text.trim()
  if (!integer.test(trimmed)) return undefined
  const gpuId = Number(trimmed)
  return Number.isSafeInteger(gpuId) ? gpuId : undefined
}

/** A column that the file does not have is empty. */
const cellAt = (cells: ReadonlyArray<string>, index: number): string => (index < 0 ? "" : cells[index]!)

const isOutOfRange = (metricName: string, value: number): boolean => {
  const known = dcgmCatalogue.get(metricName)
  const range = known === undefined ? undefined : unitRange(known.unit)
  return range !== undefined && (value < range[0] || value > range[1])
}

/** Makes a reader. With `timestamps: "now"` a row's own time is not looked at. */
export const makeRowReader = (timestamps: "now" | "original"): RowReader => {
  const interned = new BoundedCache<InternedSeries>(internedSeriesMax, internedCharsMax)

  const intern = (header: CsvHeader, cells: ReadonlyArray<string>, gpuId: number): InternedSeries => {
    const { indexOf } = header
    const metricName = cellAt(cells, indexOf.metric_name)
    const uuid = cellAt(cells, indexOf.uuid)
    const hostname = cellAt(cells, indexOf.Hostname)
    const device = cellAt(cells, indexOf.device)
    const modelName = cellAt(cells, indexOf.modelName)
    const container = cellAt(cells, indexOf.container)
    const pod = cellAt(cells, indexOf.pod)
    const namespace = cellAt(cells, indexOf.namespace)
    const rawLabels = cellAt(cells, indexOf.labels_raw)
    // With the lengths in front no two rows share a key, whatever characters their texts hold.
    const key =
      `${metricName.length},${uuid.length},${hostname.length},${device.length},${modelName.length},` +
      `${container.length},${pod.length},${namespace.length},${gpuId},` +
      `${metricName}${uuid}${hostname}${device}${modelName}${container}${pod}${namespace}${rawLabels}`
    const known = interned.get(key)
    if (known !== undefined) return known
    const { labels, malformed } = parseLabels(rawLabels)
    const series = { metricName, uuid, hostname, gpuId, device, modelName, container, pod, namespace, labels }
    const made = { series, malformedLabels: malformed }
    interned.add(key, made)
    return made
  }

  return {
    read: (header, cells) => {
      const { indexOf } = header
      const metricName = cells[indexOf.metric_name]!
      // A name of nothing but white space names nothing, and can't be told apart by people.
      if (cells[indexOf.uuid]!.trim() === "") return "empty_uuid"
      if (metricName.trim() === "") return "empty_metric_name"
      const gpuId = indexOf.gpu_id < 0 ? 0 : readGpuId(cells[indexOf.gpu_id]!)
      if (gpuId === undefined) return "bad_gpu_id"
      const value = readDcgmValue(cells[indexOf.value]!)
      if (typeof value === "string") return value
      if (isOutOfRange(metricName, value)) return "out_of_range"
      let timeNs: TimeNs | undefined
      if (timestamps === "original") {
        timeNs = indexOf.timestamp < 0 ? undefined : parseTime(cells[indexOf.timestamp]!.trim())
        if (timeNs === undefined) return "bad_timestamp"
      }
      const { series, malformedLabels } = intern(header, cells, gpuId)
      return { series, value, timeNs, malformedLabels }
    }
  }
}
