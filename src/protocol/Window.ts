/** Windows of time that samples are put together in: where one starts, what is told apart in it, what its values become. */
import { compareUtf8, type Series } from "./Series.ts"
import type { TimeNs } from "./Time.ts"

/**
 * What the values of a window become. `first` and `last` are those of its first and last sample in the global order;
 * a percentile lies between the two values nearest to it, by linear interpolation (method 7 of Hyndman and Fan, 1996).
 */
export const aggregates = [
  "mean",
  "min",
  "max",
  "sum",
  "count",
  "first",
  "last",
  "p50",
  "p95",
  "p99"
] as const
export type Aggregate = (typeof aggregates)[number]

/** What the samples of one metric are told apart by; `metric` is not at all. */
export const groupings = ["gpu", "host", "model", "metric"] as const
export type Grouping = (typeof groupings)[number]

/** Which of the values of a result one is: its window's start, its metric, and its group, empty where that has no name. */
export interface WindowPlace {
  readonly startNs: TimeNs
  readonly metricName: string
  readonly group: string
}

/** The start of the window that holds an instant: the multiple of `windowNs` at or below it. */
export const windowStart = (timeNs: TimeNs, windowNs: TimeNs): TimeNs => {
  const rest = timeNs % windowNs
  return timeNs - (rest < 0n ? rest + windowNs : rest)
}

/** What a series is told apart by. */
export const groupOf = (series: Series, groupBy: Grouping): string => {
  switch (groupBy) {
    case "gpu":
      return series.uuid
    case "host":
      return series.hostname
    case "model":
      return series.modelName
    case "metric":
      return ""
  }
}

/** The ascending order of windows: start, metric, group. */
export const compareWindows = (a: WindowPlace, b: WindowPlace): number =>
  a.startNs < b.startNs
    ? -1
    : a.startNs > b.startNs
      ? 1
      : compareUtf8(a.metricName, b.metricName) || compareUtf8(a.group, b.group)

/** Shares of the percentiles. */
export const percentileShares = { p50: 0.5, p95: 0.95, p99: 0.99 } as const

/** The value at a share of the way through ascending values, between two of them by linear interpolation. */
export const percentile = (ascending: ArrayLike<number>, share: number): number => {
  const place = share * (ascending.length - 1)
  const below = Math.floor(place)
  const above = Math.ceil(place)
  return below === above
    ? ascending[below]!
    : ascending[below]! * (above - place) + ascending[above]! * (place - below)
}
