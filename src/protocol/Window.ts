/** Windows of time that samples are put together in: what their values become, and what is told apart. */

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
