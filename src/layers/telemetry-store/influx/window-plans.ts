/**
 * How windows are asked for, aggregate by aggregate, and what a complete range of answers comes to.
 *
 * What a series has in a window is found by the storage engine, and put together with the other series of its group here, which is
 * faster than Flux does it. A percentile needs the values themselves: that is left to Flux.
 */

import {
  flux,
  fluxDuration,
  fluxFloat,
  fluxInteger,
  type ParameterizedQuery
} from "@influxdata/influxdb-client"
import { Effect } from "effect"
import type { Sample } from "../../../protocol/Sample.ts"
import { type Grouping, groupOf, percentileShares, windowStart } from "../../../protocol/Window.ts"
import type { StoreUnavailable, WindowQuery, WindowValue } from "../../TelemetryStore.ts"
import { compareSamples } from "../../TelemetryStore.ts"
import type { TableReader } from "./Connection.ts"
import type { Range } from "./flux.ts"
import type { SampleQueries } from "./queries.ts"
import { sampleReader, timeOf } from "./series.ts"

/** Samples of a slice: about half a second of InfluxDB's time. */
const pushedSamplesMax = 5_000_000
const percentileSamplesMax = 200_000

/** The tag that tells groups apart, if any. */
const tagOf = { gpu: "uuid", host: "hostname", model: "model", metric: undefined } as const satisfies Record<
  Grouping,
  string | undefined
>

/** Windows of a range, of series or of groups: all of them, or `rowsMax` where there are as many or more. */
type PartsOf<A> = (
  range: Range,
  rowsMax: number | undefined
) => Effect.Effect<ReadonlyArray<A>, StoreUnavailable>

const bounded = (rows: ParameterizedQuery, rowsMax: number | undefined): ParameterizedQuery =>
  rowsMax === undefined ? rows : flux`${rows} |> limit(n: ${fluxInteger(rowsMax)})`

/** Reads windows off rows that have a time in their window, under a name, and the columns of their group. */
const windowReader =
  ({ windowNs, groupBy }: WindowQuery, timeColumn: "_time" | "_start"): TableReader<WindowValue> =>
  (table) => {
    const time = table.column(timeColumn).index
    const metric = table.column("_measurement").index
    const tag = tagOf[groupBy]
    const group = table.columns.findIndex(({ label }) => label === tag)
    const value = table.column("_value").index
    let lastTime: string | undefined
    let startNs = 0n
    return (cells) => {
      if (cells[time] !== lastTime) {
        lastTime = cells[time]!
        startNs = windowStart(timeOf(lastTime), windowNs)
      }
      return {
        startNs,
        metricName: cells[metric]!,
        group: group < 0 ? "" : cells[group]!,
        value: Number(cells[value]) + 0
      }
    }
  }

const columnsOf = (groupBy: Grouping, ...others: ReadonlyArray<string>): ReadonlyArray<string> => {
  const tag = tagOf[groupBy]
  return [...others, "_measurement", ...(tag === undefined ? [] : [tag])]
}

const everyOf = ({ windowNs }: WindowQuery) => fluxDuration(`${windowNs}ns`)

const pushedDown = {
  mean: flux`mean`,
  sum: flux`sum`,
  count: flux`count`,
  min: flux`min`,
  max: flux`max`
} as const

/** What each series comes to in each window, by an aggregate that the storage engine has. */
const partsOf =
  (queries: SampleQueries, query: WindowQuery, aggregate: keyof typeof pushedDown): PartsOf<WindowValue> =>
  (range, rowsMax) =>
    (aggregate === "count" ? queries.askCounts : queries.ask)(
      (select) => {
        const parts = flux`${select(range, query)}
        |> aggregateWindow(every: ${everyOf(query)}, fn: ${pushedDown[aggregate]}, createEmpty: false, timeSrc: "_start") |> group()`
        return flux`${bounded(parts, rowsMax)} |> keep(columns: ${columnsOf(query.groupBy, "_time", "_value")})`
      },
      windowReader(query, "_time")
    )

/** The first or last sample of each series in each window. */
const endsOf =
  (queries: SampleQueries, query: WindowQuery, end: "first" | "last"): PartsOf<Sample> =>
  (range, rowsMax) =>
    queries.ask((select) => {
      const windowed = flux`${select(range, query)} |> window(every: ${everyOf(query)}, createEmpty: false)`
      const ends = end === "first" ? flux`${windowed} |> first()` : flux`${windowed} |> last()`
      return flux`${bounded(flux`${ends} |> group()`, rowsMax)} |> drop(columns: ["_start", "_stop", "_field"])`
    }, endReader(queries))

const endReader = (queries: SampleQueries): TableReader<Sample> => {
  const reader = sampleReader(queries.seriesReader)
  return (table) => reader(table) as (cells: ReadonlyArray<string>) => Sample
}

const percentilesOf =
  (queries: SampleQueries, query: WindowQuery, share: number): PartsOf<WindowValue> =>
  (range, rowsMax) =>
    queries.ask(
      (select) => {
        const groups = flux`${select(range, query)} |> group(columns: ${columnsOf(query.groupBy)})`
        // By linear interpolation, as `percentile` does it.
        const rows = flux`${groups} |> window(every: ${everyOf(query)}, createEmpty: false)
        |> quantile(q: ${fluxFloat(share)}, method: "exact_mean") |> group()`
        return bounded(rows, rowsMax)
      },
      windowReader(query, "_start")
    )

type Window = Omit<WindowValue, "value">

/** Puts the parts of each window and group together, in the order they come. */
const folded = <A extends Window, B>(
  parts: ReadonlyArray<A>,
  fold: (result: B | undefined, part: A) => B
): ReadonlyArray<Window & { readonly result: B }> => {
  const windows: Array<Window & { result: B }> = []
  const byStart = new Map<bigint, Map<string, Map<string, Window & { result: B }>>>()
  for (const part of parts) {
    const { startNs, metricName, group } = part
    const byMetric = byStart.get(startNs) ?? new Map<string, Map<string, Window & { result: B }>>()
    if (byMetric.size === 0) byStart.set(startNs, byMetric)
    const byGroup = byMetric.get(metricName) ?? new Map<string, Window & { result: B }>()
    if (byGroup.size === 0) byMetric.set(metricName, byGroup)
    const known = byGroup.get(group)
    if (known !== undefined) known.result = fold(known.result, part)
    else {
      const made = { startNs, metricName, group, result: fold(undefined, part) }
      byGroup.set(group, made)
      windows.push(made)
    }
  }
  return windows
}

const valuesOf = (windows: ReadonlyArray<Window & { readonly result: number }>): ReadonlyArray<WindowValue> =>
  windows.map(({ startNs, metricName, group, result: value }) => ({ startNs, metricName, group, value }))

/** The windows of a query, sliced: what is fetched for a range, and what a complete slice comes to. */
export interface Plan<A> {
  readonly parts: PartsOf<A>
  readonly finish: (parts: ReadonlyArray<A>) => ReadonlyArray<WindowValue>
  readonly samplesMax: number
}

const addition = (total: number | undefined, { value }: WindowValue): number => (total ?? 0) + value

const foldedPlan = (
  queries: SampleQueries,
  query: WindowQuery,
  aggregate: keyof typeof pushedDown,
  fold: (total: number | undefined, part: WindowValue) => number
): Plan<WindowValue> => ({
  parts: partsOf(queries, query, aggregate),
  finish: (parts) => valuesOf(folded(parts, fold)),
  samplesMax: pushedSamplesMax
})

/** Either the mean of a group that is one series, or of groups of several a sum and a count that need not belong together. */
type MeanPart =
  | { readonly mean: WindowValue }
  | { readonly sum: WindowValue | undefined; readonly count: WindowValue | undefined }

/** Whether no two of them are of the same window, metric and group. */
const areDistinct = (parts: ReadonlyArray<WindowValue>): boolean =>
  folded(parts, () => undefined).length === parts.length

/**
 * Where every group is one series, which is the rule, its mean is what the storage engine finds. Of several series the mean is
 * the sum of all by the count of all: the mean of their means would be another. What is written between those two queries
 * may be in one of them alone.
 */
const meanPlan = (queries: SampleQueries, query: WindowQuery): Plan<MeanPart> => ({
  parts: (range, rowsMax) =>
    Effect.gen(function* () {
      const means = yield* partsOf(queries, query, "mean")(range, rowsMax)
      if (means.length === rowsMax || areDistinct(means)) return means.map((mean) => ({ mean }))
      const sums = partsOf(queries, query, "sum")(range, rowsMax)
      const counts = partsOf(queries, query, "count")(range, rowsMax)
      const [sum, count] = yield* Effect.all([sums, counts], { concurrency: 2 })
      return Array.from({ length: Math.max(sum.length, count.length) }, (_, i) => ({
        sum: sum[i],
        count: count[i]
      }))
    }),
  finish: (parts) => {
    const means = parts.flatMap((part) => ("mean" in part ? part.mean : []))
    const both = parts.flatMap((part) => ("mean" in part ? [] : part))
    const sums = both.flatMap(({ sum }) => (sum === undefined ? [] : { ...sum, of: "sum" as const }))
    const counts = both.flatMap(({ count }) =>
      count === undefined ? [] : { ...count, of: "count" as const }
    )
    const totals = folded(
      [...sums, ...counts],
      (total: { sum: number; count: number } | undefined, { of, value }) => {
        const { sum, count } = total ?? { sum: 0, count: 0 }
        return of === "sum" ? { sum: sum + value, count } : { sum, count: count + value }
      }
    )
    const ofSeveral = totals
      .filter(({ result }) => result.count > 0)
      .map(({ startNs, metricName, group, result }) => ({
        ...{ startNs, metricName, group },
        value: result.sum / result.count
      }))
    return [...means, ...ofSeveral]
  },
  samplesMax: pushedSamplesMax
})

const endPlan = (queries: SampleQueries, query: WindowQuery, end: "first" | "last"): Plan<Sample> => {
  const isFurther = (a: Sample, b: Sample) =>
    end === "first" ? compareSamples(a, b) < 0 : compareSamples(a, b) > 0
  const finish = (samples: ReadonlyArray<Sample>) => {
    const parts = samples.map((sample) => ({
      startNs: windowStart(sample.timeNs, query.windowNs),
      metricName: sample.series.metricName,
      group: groupOf(sample.series, query.groupBy),
      sample
    }))
    const furthest = folded(parts, (found: Sample | undefined, { sample }) =>
      found === undefined || isFurther(sample, found) ? sample : found
    )
    return furthest.map(({ result, ...window }) => ({ ...window, value: result.value }))
  }
  return { parts: endsOf(queries, query, end), finish, samplesMax: pushedSamplesMax }
}

const percentilePlan = (queries: SampleQueries, query: WindowQuery, share: number): Plan<WindowValue> => ({
  parts: percentilesOf(queries, query, share),
  finish: (rows) => rows,
  samplesMax: percentileSamplesMax
})

/** Gives `use` the plan of a query, whatever its answers are made of. */
export const withPlan = <B>(queries: SampleQueries, query: WindowQuery, use: <A>(plan: Plan<A>) => B): B => {
  const { aggregate } = query
  switch (aggregate) {
    case "sum":
    case "count":
      return use(foldedPlan(queries, query, aggregate, addition))
    case "min":
      return use(foldedPlan(queries, query, aggregate, (least, { value }) => Math.min(least ?? value, value)))
    case "max":
      return use(
        foldedPlan(queries, query, aggregate, (greatest, { value }) => Math.max(greatest ?? value, value))
      )
    case "mean":
      return use(meanPlan(queries, query))
    case "first":
    case "last":
      return use(endPlan(queries, query, aggregate))
    default:
      return use(percentilePlan(queries, query, percentileShares[aggregate]))
  }
}
