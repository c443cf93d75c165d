/**
 * One object per series, so that what is known of a series is found by its object.
 *
 * Bounded: beyond `internedSeriesMax` series it forgets all of them and starts again. That costs time, never correctness:
 * identity is `seriesKey`.
 */
import { internedSeriesMax } from "../../protocol/Limits.ts"
import { compareSeries, type Series } from "../../protocol/Series.ts"

/** Answers an equal series that it was given before, or keeps and answers this one. */
export const makeSeriesInterner = (): ((series: Series) => Series) => {
  let byGpu = new Map<string, Map<string, Array<Series>>>()
  let size = 0
  return (series) => {
    let byMetric = byGpu.get(series.uuid)
    if (byMetric === undefined) {
      byMetric = new Map()
      byGpu.set(series.uuid, byMetric)
    }
    let candidates = byMetric.get(series.metricName)
    if (candidates === undefined) {
      candidates = []
      byMetric.set(series.metricName, candidates)
    }
    const known = candidates.find((candidate) => compareSeries(candidate, series) === 0)
    if (known !== undefined) return known
    if (size >= internedSeriesMax) {
      byGpu = new Map()
      size = 0
      return series
    }
    candidates.push(series)
    size++
    return series
  }
}
