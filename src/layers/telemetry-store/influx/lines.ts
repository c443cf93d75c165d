/**
 * Samples as line protocol (CONTRACTS.md, InfluxDB points), and which of them InfluxDB 2.7 can't carry.
 *
 * Its parser has no escape for some characters and drops others without a word; a point that would come back as another one,
 * or not at all, is never written. What is said here of the parser was found out by asking one.
 */
import type { Sample } from "../../../protocol/Sample.ts"
import { reservedLabelNames, type Series } from "../../../protocol/Series.ts"
import { formatTime, type TimeNs } from "../../../protocol/Time.ts"

/** Bytes of a series in InfluxDB, escapes included; a longer one is refused. */
const seriesBytesMax = 65_526
/** The earliest and latest instants that it stores and finds again. */
const storedTimeNsMin: TimeNs = -(2n ** 63n) + 2n
const storedTimeNsMax: TimeNs = 2n ** 63n - 3n

/** The tags of a series by the names that they have in InfluxDB. */
const columnTags = (series: Series): ReadonlyArray<readonly [name: string, value: string]> => [
  ["uuid", series.uuid],
  ["hostname", series.hostname],
  ["gpu_id", series.gpuId === undefined ? "" : String(series.gpuId)],
  ["device", series.device],
  ["model", series.modelName],
  ["container", series.container],
  ["pod", series.pod],
  ["namespace", series.namespace]
]

/** Names that a label can't have: those of the columns, and those that a query's answer uses itself. */
const takenNames: ReadonlySet<string> = new Set([
  ...reservedLabelNames,
  ...["uuid", "hostname", "gpu_id", "device", "model", "container", "pod", "namespace"],
  ...["_time", "_value", "_start", "_stop", "\0"]
])

const escapeMeasurement = (text: string): string => text.replace(/[, ]/g, "\\$&")
const escapeTag = (text: string): string => text.replace(/[,= ]/g, "\\$&")

/** What is wrong with a text, wherever it stands. */
const textProblem = (text: string): string | undefined => {
  if (text.includes("\n") || text.includes("\r")) return "holds a line break"
  if (text.endsWith("\\")) return "ends with a backslash"
  // In UTF-8 it would become U+FFFD, and one series of two.
  if (/\p{Surrogate}/u.test(text)) return "is not well-formed Unicode"
  return undefined
}

const measurementProblem = (text: string): string | undefined => {
  if (text === "") return "is empty"
  // Such a line is a comment, or loses its first character.
  if (/^[#\t\0]/.test(text)) return "begins with #, a tab or NUL"
  // It is stored, and found by no query.
  if (/\\[,= "]/.test(text)) return "holds a backslash before a comma, a space, an equals sign or a quote"
  return textProblem(text)
}

/** A backslash before a space ends the tags too early for the part of the parser that finds the end of the line. */
const tagProblem = (text: string): string | undefined =>
  text.includes("\\ ") ? "holds a backslash before a space" : textProblem(text)

const seriesProblem = (series: Series): string | undefined => {
  const ofMetric = measurementProblem(series.metricName)
  if (ofMetric !== undefined) return `the metric's name ${ofMetric}`
  if (series.uuid === "") return "the uuid is empty"
  for (const [name, value] of columnTags(series)) {
    const problem = tagProblem(value)
    if (problem !== undefined) return `the ${name} ${problem}`
  }
  for (const [name, value] of series.labels) {
    if (takenNames.has(name))
      return `a label is named ${JSON.stringify(name)}, which has a meaning of its own`
    const problem = name === "" ? "is empty" : tagProblem(name)
    if (problem !== undefined) return `the name of the label ${JSON.stringify(name)} ${problem}`
    const ofValue = tagProblem(value)
    if (ofValue !== undefined) return `the label ${JSON.stringify(name)} ${ofValue}`
  }
  const bytes = Buffer.byteLength(seriesKeyText(series))
  return bytes > seriesBytesMax ? `its series takes ${bytes} bytes, above ${seriesBytesMax}` : undefined
}

const seriesKeyText = (series: Series): string => {
  let text = escapeMeasurement(series.metricName)
  for (const [name, value] of [...columnTags(series), ...series.labels]) {
    if (value !== "") text += `,${escapeTag(name)}=${escapeTag(value)}`
  }
  return text
}

/** What a line of a series begins with; empty where it can't be carried. */
const prefixes = new WeakMap<Series, string>()

const prefixOf = (series: Series): string => {
  const known = prefixes.get(series)
  if (known !== undefined) return known
  const prefix = seriesProblem(series) === undefined ? `${seriesKeyText(series)} value=` : ""
  prefixes.set(series, prefix)
  return prefix
}

/** The line of a sample; `undefined` where InfluxDB can't carry it. What is constant for a series is found once per object. */
export const encodeLine = ({ series, timeNs, value }: Sample): string | undefined => {
  const prefix = prefixOf(series)
  if (prefix === "" || timeNs < storedTimeNsMin || timeNs > storedTimeNsMax) return undefined
  return `${prefix}${value} ${timeNs}`
}

/** Why a sample has no line. */
export const lineProblem = ({ series, timeNs }: Sample): string =>
  `InfluxDB can't carry it: ${seriesProblem(series) ?? `its time ${formatTime(timeNs)} is out of its range`}`
