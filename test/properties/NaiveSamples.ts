/**
 * The model of a telemetry store: an array, sorted anew each time, by a comparator that shares nothing with the product's.
 *
 * Texts are compared as the UTF-8 buffers they are in the contract's words; a tag that is missing is an empty buffer.
 */
import type { Gpu, SampleQuery, WindowQuery, WindowValue } from "../../src/layers/TelemetryStore.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import type { Aggregate } from "../../src/protocol/Window.ts"

const labelNames = (sample: Sample): ReadonlyArray<string> => sample.series.labels.map(([name]) => name)

const labelOf = (sample: Sample, wanted: string): Buffer =>
  Buffer.from(sample.series.labels.find(([name]) => name === wanted)?.[1] ?? "")

/** Ascending global order by CONTRACTS.md, REST. */
export const compareNaively = (a: Sample, b: Sample): number => {
  if (a.timeNs !== b.timeNs) return a.timeNs < b.timeNs ? -1 : 1
  const tags = ["metricName", "uuid", "hostname", "gpuId", "device", "modelName", "container", "pod"] as const
  for (const tag of [...tags, "namespace" as const]) {
    const byTag =
      tag === "gpuId"
        ? (a.series.gpuId ?? -1) - (b.series.gpuId ?? -1)
        : Buffer.compare(Buffer.from(a.series[tag]), Buffer.from(b.series[tag]))
    if (byTag !== 0) return byTag
  }
  const names = [...new Set([...labelNames(a), ...labelNames(b)])].map((name) => Buffer.from(name))
  for (const name of names.sort(Buffer.compare)) {
    const byLabel = Buffer.compare(labelOf(a, name.toString()), labelOf(b, name.toString()))
    if (byLabel !== 0) return byLabel
  }
  return 0
}

/** Without repeated identities, the last value of each, ascending. */
export const settled = (samples: ReadonlyArray<Sample>): ReadonlyArray<Sample> => {
  const kept: Array<Sample> = []
  for (const sample of samples) {
    const index = kept.findIndex((other) => compareNaively(other, sample) === 0)
    if (index === -1) kept.push(sample)
    else kept[index] = sample
  }
  return kept.sort(compareNaively)
}

/** The whole result of a query over settled samples. */
export const answer = (samples: ReadonlyArray<Sample>, query: SampleQuery): ReadonlyArray<Sample> => {
  const wanted = samples.filter(
    ({ series, timeNs }) =>
      [undefined, series.uuid].includes(query.uuid) &&
      [undefined, series.metricName].includes(query.metricName) &&
      [undefined, series.hostname].includes(query.hostname) &&
      (query.gpuId === undefined || query.gpuId === series.gpuId) &&
      (query.startNs === undefined || query.startNs <= timeNs) &&
      (query.endNs === undefined || timeNs <= query.endNs)
  )
  return query.order === "asc" ? wanted : wanted.reverse()
}

/** The distinct texts, ascending as UTF-8. */
export const distinct = (texts: ReadonlyArray<string>): ReadonlyArray<string> =>
  [...new Set(texts)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

/** The GPUs that settled samples tell of. */
export const gpusOf = (samples: ReadonlyArray<Sample>): ReadonlyArray<Gpu> =>
  distinct(samples.map(({ series }) => series.uuid)).map((uuid) => {
    const own = samples.filter(({ series }) => series.uuid === uuid)
    const newest = own.at(-1)!
    const { gpuId, device, modelName, hostname } = newest.series
    return {
      uuid,
      gpuId,
      device,
      modelName,
      hostname,
      firstSeenNs: own[0]!.timeNs,
      lastSeenNs: newest.timeNs
    }
  })

/** Between the two nearest of sorted values, as the textbook has it: at (n - 1)p, counted from 0. */
const percentileOf = (sorted: ReadonlyArray<number>, percent: number): number => {
  const place = ((sorted.length - 1) * percent) / 100
  const below = sorted[Math.floor(place)]!
  const above = sorted[Math.ceil(place)]!
  const share = place - Math.floor(place)
  return below * (1 - share) + above * share
}

const aggregateOf = (aggregate: Aggregate, values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  let sum = 0
  for (const value of sorted) sum += value
  const results: Record<Aggregate, number> = {
    ...{ mean: sum / values.length, min: sorted[0]!, max: sorted.at(-1)!, sum, count: values.length },
    ...{ first: values[0]!, last: values.at(-1)! },
    ...{ p50: percentileOf(sorted, 50), p95: percentileOf(sorted, 95), p99: percentileOf(sorted, 99) }
  }
  return results[aggregate]
}

/** The windows of a query over settled samples. */
export const windowsOf = (samples: ReadonlyArray<Sample>, query: WindowQuery): ReadonlyArray<WindowValue> => {
  const { windowNs, aggregate, groupBy } = query
  const tag = ({ gpu: "uuid", host: "hostname", model: "modelName", metric: undefined } as const)[groupBy]
  const windows = new Map<string, { window: Omit<WindowValue, "value">; values: Array<number> }>()
  for (const { series, timeNs, value } of answer(samples, { ...query, order: "asc" })) {
    let startNs = (timeNs / windowNs) * windowNs
    if (startNs > timeNs) startNs -= windowNs
    const window = { startNs, metricName: series.metricName, group: tag === undefined ? "" : series[tag] }
    const key = JSON.stringify([String(startNs), window.metricName, window.group])
    const known = windows.get(key)
    if (known === undefined) windows.set(key, { window, values: [value] })
    else known.values.push(value)
  }
  const rows = [...windows.values()].map(({ window, values }) => ({
    ...window,
    value: aggregateOf(aggregate, values)
  }))
  const bytes = Buffer.from
  rows.sort((a, b) =>
    a.startNs === b.startNs
      ? Buffer.compare(bytes(a.metricName), bytes(b.metricName)) ||
        Buffer.compare(bytes(a.group), bytes(b.group))
      : a.startNs < b.startNs
        ? -1
        : 1
  )
  return query.order === "asc" ? rows : rows.reverse()
}
