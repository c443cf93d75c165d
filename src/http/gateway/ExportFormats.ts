/** How an export is written: each format a head, rows, and a foot, so that any size streams in constant memory. */
import { Stream } from "effect"
import { encodeSample, type Sample } from "../../protocol/Sample.ts"
import { formatTime } from "../../protocol/Time.ts"

export interface ExportFormat {
  readonly contentType: string
  readonly head: string
  readonly row: (sample: Sample) => string
  /** Between two rows. */
  readonly separator: string
  readonly foot: (count: number) => string
}

export const csvHeader =
  "Timestamp,MetricName,GPUID,Device,UUID,ModelName,Hostname,Container,Pod,Namespace,Value"

/** What makes a spreadsheet run a cell instead of showing it. */
const formulaStart = /^[=+\-@\t\r]/

/** A text cell of CSV: defused where it would be run as a formula, quoted where it holds a delimiter. */
export const csvText = (text: string): string => {
  const defused = formulaStart.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(defused) ? `"${defused.replaceAll('"', '""')}"` : defused
}

/** The line of a sample. Numbers are written in full, and never as text. */
const csvLine = ({ series, timeNs, value }: Sample): string =>
  [
    formatTime(timeNs),
    csvText(series.metricName),
    series.gpuId ?? "",
    csvText(series.device),
    csvText(series.uuid),
    csvText(series.modelName),
    csvText(series.hostname),
    csvText(series.container),
    csvText(series.pod),
    csvText(series.namespace),
    value
  ].join(",")

export const exportFormats: Record<"json" | "csv" | "ndjson", ExportFormat> = {
  json: {
    contentType: "application/json",
    head: '{"data":[',
    row: encodeSample,
    separator: ",",
    foot: (count) => `],"count":${count}}`
  },
  csv: {
    contentType: "text/csv",
    head: `${csvHeader}\n`,
    row: (sample) => `${csvLine(sample)}\n`,
    separator: "",
    foot: () => ""
  },
  ndjson: {
    contentType: "application/x-ndjson",
    head: "",
    row: (sample) => `${encodeSample(sample)}\n`,
    separator: "",
    foot: () => ""
  }
}

/** The bytes of an export, one piece per chunk of samples. */
export const encodeExport = <E>(
  format: ExportFormat,
  chunks: Stream.Stream<ReadonlyArray<Sample>, E>
): Stream.Stream<Uint8Array, E> =>
  Stream.suspend(() => {
    let count = 0
    const rows = Stream.map(chunks, (samples) => {
      const lead = count > 0 && samples.length > 0 ? format.separator : ""
      count += samples.length
      return lead + samples.map(format.row).join(format.separator)
    })
    return Stream.make(format.head).pipe(
      Stream.concat(rows),
      Stream.concat(Stream.suspend(() => Stream.make(format.foot(count)))),
      Stream.filter((text) => text !== ""),
      Stream.map((text) => Buffer.from(text))
    )
  })
