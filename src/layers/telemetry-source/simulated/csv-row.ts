/** A sample as a row of a CSV file, in the format of dcgm-exporter's scrapes: every cell quoted, labels as Prometheus'. */
import type { Sample } from "../../../protocol/Sample.ts"
import { formatTime } from "../../../protocol/Time.ts"
import { type ColumnName, columnNames } from "../csv-header.ts"

/** Prometheus labels, those that repeat a column included, by name. */
const labelsRaw = ({ series }: Sample): string =>
  [
    ...series.labels,
    ["Hostname", series.hostname],
    ["UUID", series.uuid],
    ["__name__", series.metricName],
    ["device", series.device],
    ["gpu", String(series.gpuId)],
    ["modelName", series.modelName]
  ]
    .sort(([a], [b]) => (a! < b! ? -1 : 1))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(",")

/** What stands in which column. */
export const csvCells = (sample: Sample): Record<ColumnName, string> => {
  const { series } = sample
  return {
    timestamp: formatTime(sample.timeNs),
    metric_name: series.metricName,
    gpu_id: String(series.gpuId),
    device: series.device,
    uuid: series.uuid,
    modelName: series.modelName,
    Hostname: series.hostname,
    container: series.container,
    pod: series.pod,
    namespace: series.namespace,
    value: String(sample.value),
    labels_raw: labelsRaw(sample)
  }
}

/** The row of some cells, without a line end. */
export const csvRow = (cells: ReadonlyArray<string>): string =>
  cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(",")

/** The cells in the order of the columns. */
export const inOrder = (cells: Readonly<Record<ColumnName, string>>): ReadonlyArray<string> =>
  columnNames.map((name) => cells[name])
