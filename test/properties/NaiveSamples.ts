/**
 * The model of a telemetry store: an array, sorted anew each time, by a comparator that shares nothing with the product's.
 *
 * Texts are compared as the UTF-8 buffers they are in the contract's words; a tag that is missing is an empty buffer.
 */
import type { Gpu, SampleQuery } from "../../src/layers/TelemetryStore.ts"
import type { Sample } from "../../src/protocol/Sample.ts"

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
