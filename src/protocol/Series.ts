/**
 * A series: one metric with all its tags. A sample is a series, an instant and a value; its identity is the first two.
 *
 * Samples of one series share one `Series` object wherever that is cheap, but nothing relies on it: identity is
 * `seriesKey`, order is `compareSeries`.
 */

/** One metric of one GPU with every tag that tells it from another. Absent texts are `""`, as an InfluxDB tag left out is. */
export interface Series {
  readonly metricName: string
  readonly uuid: string
  readonly hostname: string
  /** The GPU's index on its host, 0 or more; `undefined` only for points that someone else wrote without it. */
  readonly gpuId: number | undefined
  readonly device: string
  readonly modelName: string
  readonly container: string
  readonly pod: string
  readonly namespace: string
  /** Further labels, ascending by name (UTF-8), none with an empty value. */
  readonly labels: ReadonlyArray<readonly [name: string, value: string]>
}

/** Names a label may not have: InfluxDB gives them a meaning of its own. */
export const reservedLabelNames: ReadonlySet<string> = new Set(["_measurement", "_field", "time"])

const keys = new WeakMap<Series, string>()

/** A text that two series share exactly when they are the same series. Cached per object. */
export const seriesKey = (series: Series): string => {
  const known = keys.get(series)
  if (known !== undefined) return known
  const key = JSON.stringify([
    series.metricName,
    series.uuid,
    series.hostname,
    series.gpuId ?? null,
    series.device,
    series.modelName,
    series.container,
    series.pod,
    series.namespace,
    series.labels
  ])
  keys.set(series, key)
  return key
}

/** The order of labels within a series, and what makes two spellings of one set of labels the same. */
export const sortLabels = (
  labels: Iterable<readonly [string, string]>
): ReadonlyArray<readonly [string, string]> =>
  [...labels].filter(([, value]) => value !== "").sort(([a], [b]) => compareUtf8(a, b))

/**
 * Compares as UTF-8 bytes do. JavaScript compares UTF-16 units, which differs where a surrogate (U+10000 and above)
 * meets a unit from U+E000 on.
 */
export const compareUtf8 = (a: string, b: string): number => {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) {
      const xSurrogate = x >= 0xd800 && x <= 0xdfff
      const ySurrogate = y >= 0xd800 && y <= 0xdfff
      if (xSurrogate === ySurrogate) return x - y
      return xSurrogate ? (y >= 0xe000 ? 1 : x - y) : x >= 0xe000 ? -1 : x - y
    }
  }
  return a.length - b.length
}

const compareGpuId = (a: number | undefined, b: number | undefined): number =>
  a === b ? 0 : a === undefined ? -1 : b === undefined ? 1 : a - b

const compareLabels = (a: Series["labels"], b: Series["labels"]): number => {
  // Label by label in the order of their names; a series that lacks one comes first, as with every other tag.
  for (let i = 0; i < a.length || i < b.length; i++) {
    const x = a[i]
    const y = b[i]
    if (x === undefined) return -1
    if (y === undefined) return 1
    const byName = compareUtf8(x[0], y[0])
    if (byName !== 0) return byName < 0 ? 1 : -1
    const byValue = compareUtf8(x[1], y[1])
    if (byValue !== 0) return byValue
  }
  return 0
}

/**
 * The global order of series at one instant: metric_name, uuid, then hostname, gpu_id (a number), device, model,
 * container, pod, namespace, then labels by name; a missing tag first.
 */
export const compareSeries = (a: Series, b: Series): number =>
  a === b
    ? 0
    : compareUtf8(a.metricName, b.metricName) ||
      compareUtf8(a.uuid, b.uuid) ||
      compareUtf8(a.hostname, b.hostname) ||
      compareGpuId(a.gpuId, b.gpuId) ||
      compareUtf8(a.device, b.device) ||
      compareUtf8(a.modelName, b.modelName) ||
      compareUtf8(a.container, b.container) ||
      compareUtf8(a.pod, b.pod) ||
      compareUtf8(a.namespace, b.namespace) ||
      compareLabels(a.labels, b.labels)
