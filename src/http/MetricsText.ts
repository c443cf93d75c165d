/**
 * Effect's metrics in Prometheus' text format, version 0.0.4.
 *
 * Names follow Prometheus' conventions, whatever Effect calls a metric: counters end in `_total`, an Effect counter that may
 * also fall is a gauge, what Effect's timers measure in milliseconds is told in seconds, and a character that the format does
 * not know is an underscore. Of two metrics that would then be one, the first is shown; a comment tells which is not.
 */
import { type MetricKey, MetricKeyType, type MetricPair, MetricState, Option } from "effect"

type Labels = ReadonlyArray<readonly [name: string, value: string]>
type FamilyType = "counter" | "gauge" | "histogram" | "summary"

/** A line: what stands behind the family's name, labels of its own, and the value. */
type Point = readonly [suffix: string, own: Labels, value: number | bigint]

/** What a metric is in Prometheus: its family, the names of its lines, and the lines. */
interface Shape {
  readonly name: string
  readonly type: FamilyType
  readonly suffixes: ReadonlyArray<string>
  readonly ownLabel?: string
  readonly points: ReadonlyArray<Point>
}

interface Family {
  readonly type: FamilyType
  help: string
  /** Lines of one metric by its labels. */
  readonly series: Map<string, ReadonlyArray<string>>
}

const legalName = (name: string): string => name.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=\d|$)/, "_")

const legalLabel = (name: string, ownLabel: string | undefined): string => {
  const legal = name.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=\d|$)/, "_")
  return legal === ownLabel || legal.startsWith("__") ? `exported_${legal}` : legal
}

const ending = (name: string, suffix: string): string => (name.endsWith(suffix) ? name : name + suffix)

const escapeHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const escapeValue = (text: string): string => escapeHelp(text).replaceAll('"', '\\"')

const number = (value: number | bigint): string =>
  value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value)

const labelsText = (labels: Labels): string =>
  labels.length === 0 ? "" : `{${labels.map(([name, value]) => `${name}="${escapeValue(value)}"`).join(",")}}`

/** Effect's timers tell their unit by a label. */
const timeUnit = "time_unit"

const isTimer = (key: MetricKey.MetricKey.Untyped): boolean =>
  key.tags.some((tag) => tag.key === timeUnit && tag.value === "milliseconds")

const histogram = (name: string, state: MetricState.MetricState.Histogram, unit: number): Shape => ({
  name,
  type: "histogram",
  suffixes: ["_bucket", "_count", "_sum"],
  ownLabel: "le",
  points: [
    ...state.buckets
      .filter(([bound]) => bound !== Number.POSITIVE_INFINITY)
      .map(([bound, count]): Point => ["_bucket", [["le", number(bound * unit)]], count]),
    ["_bucket", [["le", "+Inf"]], state.count],
    ["_sum", [], state.sum * unit],
    ["_count", [], state.count]
  ]
})

const summary = (name: string, state: MetricState.MetricState.Summary, unit: number): Shape => ({
  name,
  type: "summary",
  suffixes: ["", "_count", "_sum"],
  ownLabel: "quantile",
  points: [
    ...state.quantiles.map(([quantile, value]): Point => {
      const known = Option.getOrElse(value, () => Number.NaN)
      return ["", [["quantile", number(quantile)]], known * unit]
    }),
    ["_sum", [], state.sum * unit],
    ["_count", [], state.count]
  ]
})

const shapeOf = ({ metricKey, metricState }: MetricPair.MetricPair.Untyped): Shape | undefined => {
  const base = legalName(metricKey.name)
  const unit = isTimer(metricKey) ? 0.001 : 1
  const name = unit === 1 ? base : ending(base, "_seconds")
  if (MetricState.isCounterState(metricState)) {
    const { keyType } = metricKey
    const risesOnly = MetricKeyType.isCounterKey(keyType) && keyType.incremental
    const points: ReadonlyArray<Point> = [["", [], metricState.count]]
    return risesOnly
      ? { name: ending(name, "_total"), type: "counter", suffixes: [""], points }
      : { name, type: "gauge", suffixes: [""], points }
  }
  if (MetricState.isGaugeState(metricState)) {
    return { name, type: "gauge", suffixes: [""], points: [["", [], metricState.value]] }
  }
  if (MetricState.isFrequencyState(metricState)) {
    return {
      name: ending(name, "_total"),
      type: "counter",
      suffixes: [""],
      ownLabel: "key",
      points: [...metricState.occurrences].map(([word, count]): Point => ["", [["key", word]], count])
    }
  }
  if (MetricState.isHistogramState(metricState)) return histogram(name, metricState, unit)
  if (MetricState.isSummaryState(metricState)) return summary(name, metricState, unit)
  return undefined
}

/** The labels of a metric, each name once, in ascending order. */
const labelsOf = (key: MetricKey.MetricKey.Untyped, { ownLabel }: Shape): Labels => {
  const values = new Map<string, string>()
  for (const tag of key.tags) {
    if (tag.key === timeUnit && isTimer(key)) continue
    values.set(legalLabel(tag.key, ownLabel), tag.value)
  }
  return [...values].sort(([a], [b]) => (a < b ? -1 : 1))
}

const ascending = <A>(map: ReadonlyMap<string, A>): ReadonlyArray<readonly [string, A]> =>
  [...map].sort(([a], [b]) => (a < b ? -1 : 1))

/** The text: families by name, their metrics by labels, so that two scrapes can be compared line by line. */
export const metricsText = (pairs: Iterable<MetricPair.MetricPair.Untyped>): string => {
  const families = new Map<string, Family>()
  /** Names of lines, and the family that each belongs to. */
  const taken = new Map<string, string>()
  const leftOut = new Set<string>()

  const familyOf = ({ name, type, suffixes }: Shape): Family | undefined => {
    const existing = families.get(name)
    if (existing !== undefined) return existing.type === type ? existing : undefined
    const names = [...suffixes.map((suffix) => name + suffix), name]
    if (names.some((line) => taken.has(line))) return undefined
    for (const line of names) taken.set(line, name)
    const family: Family = { type, help: "", series: new Map() }
    families.set(name, family)
    return family
  }

  for (const pair of pairs) {
    const shape = shapeOf(pair)
    if (shape === undefined) continue
    const family = familyOf(shape)
    const labels = labelsOf(pair.metricKey, shape)
    const identity = labelsText(labels)
    if (family === undefined || family.series.has(identity)) {
      leftOut.add(
        `# left out, as its name and labels are taken: ${escapeHelp(pair.metricKey.name + identity)}`
      )
      continue
    }
    family.help ||= Option.getOrElse(pair.metricKey.description, () => "")
    family.series.set(
      identity,
      shape.points.map(
        ([suffix, own, value]) => `${shape.name}${suffix}${labelsText([...labels, ...own])} ${number(value)}`
      )
    )
  }

  const lines = ascending(families).flatMap(([name, { type, help, series }]) => [
    ...(help === "" ? [] : [`# HELP ${name} ${escapeHelp(help)}`]),
    `# TYPE ${name} ${type}`,
    ...ascending(series).flatMap(([, of]) => of)
  ])
  return [...lines, ...[...leftOut].sort(), ""].join("\n")
}
