/** What a window is, for whatever fills one: where it starts, what its samples are told apart by, how windows are ordered. */
import { compareUtf8, type Series } from "../../protocol/Series.ts"
import type { TimeNs } from "../../protocol/Time.ts"
import type { Grouping } from "../../protocol/Window.ts"
import type { WindowValue } from "../TelemetryStore.ts"

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
export const compareWindows = (a: Omit<WindowValue, "value">, b: Omit<WindowValue, "value">): number =>
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
