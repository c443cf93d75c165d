/**
 * A telemetry store made of the two things that only it can know: how samples are written, and how all of them are read.
 *
 * Every answer reads everything and holds what matches, so it is for stores that are small: one of your own to begin with, an
 * experiment, a test. Nothing is evicted. A store that grows answers `TelemetryStore` itself.
 */
import { Array, Effect, Option, Stream } from "effect"
import type { Sample } from "../../protocol/Sample.ts"
import { compareUtf8, seriesKey } from "../../protocol/Series.ts"
import {
  compareSamples,
  type Gpu,
  type GpuFilter,
  type SampleFilter,
  type SampleQuery,
  type StoreUnavailable,
  type TelemetryStore,
  type WriteRefused
} from "../TelemetryStore.ts"
import { windowsOf } from "./windows.ts"

/** What a scanning store is made of. */
export interface Scanned {
  /** What it stands on, for people. */
  readonly description: string
  /** Returns once every sample is stored. One that is there already may be stored beside the earlier one. */
  readonly write: (samples: ReadonlyArray<Sample>) => Effect.Effect<void, StoreUnavailable | WriteRefused>
  /** Every sample, as it was written: of one identity the last counts. */
  readonly scan: Effect.Effect<Iterable<Sample>, StoreUnavailable>
}

/** Samples in one chunk of a stream. */
const chunkSamples = 1_000

const matches = ({ series, timeNs }: Sample, filter: SampleFilter): boolean =>
  (filter.uuid === undefined || filter.uuid === series.uuid) &&
  (filter.metricName === undefined || filter.metricName === series.metricName) &&
  (filter.hostname === undefined || filter.hostname === series.hostname) &&
  (filter.gpuId === undefined || filter.gpuId === series.gpuId) &&
  (filter.startNs === undefined || filter.startNs <= timeNs) &&
  (filter.endNs === undefined || timeNs <= filter.endNs)

const isListed = (gpu: Gpu, filter: GpuFilter): boolean =>
  (filter.hostname === undefined || filter.hostname === gpu.hostname) &&
  (filter.modelName === undefined || filter.modelName === gpu.modelName)

/** The GPUs that samples in ascending order tell of. */
const gpusOf = (samples: ReadonlyArray<Sample>): ReadonlyArray<Gpu> => {
  const gpus = new Map<string, Gpu>()
  for (const { series, timeNs } of samples) {
    const { uuid, gpuId, device, modelName, hostname } = series
    const firstSeenNs = gpus.get(uuid)?.firstSeenNs ?? timeNs
    gpus.set(uuid, { uuid, gpuId, device, modelName, hostname, firstSeenNs, lastSeenNs: timeNs })
  }
  return [...gpus.values()].sort((a, b) => compareUtf8(a.uuid, b.uuid))
}

/** The service, out of how samples are written and read. */
export const make = ({ description, write, scan }: Scanned): TelemetryStore["Type"] => {
  /** What matches, ascending. */
  const matching = (filter: SampleFilter) =>
    Effect.map(scan, (samples) => {
      const byIdentity = new Map<string, Sample>()
      for (const sample of samples) {
        if (matches(sample, filter)) byIdentity.set(`${sample.timeNs} ${seriesKey(sample.series)}`, sample)
      }
      return [...byIdentity.values()].sort(compareSamples)
    })

  const result = (query: SampleQuery) =>
    Effect.map(matching(query), (samples) => (query.order === "asc" ? samples : samples.reverse()))

  const samples = (query: SampleQuery) =>
    Stream.unwrap(
      Effect.map(result(query), (found) => Stream.fromIterable(Array.chunksOf(found, chunkSamples)))
    )

  return {
    description,
    write: (samples) => Effect.as(write(samples), { stored: samples.length, olderThanRetention: [] }),
    page: (query, { limit, start }) =>
      Effect.map(result(query), (samples) => {
        if ("offset" in start) return samples.slice(start.offset, start.offset + limit)
        const direction = query.order === "asc" ? 1 : -1
        return samples.filter((sample) => direction * compareSamples(sample, start.after) > 0).slice(0, limit)
      }),
    samples,
    windows: (query) => windowsOf(query, samples(query)),
    gpus: (filter) =>
      Effect.map(matching({}), (samples) => gpusOf(samples).filter((gpu) => isListed(gpu, filter))),
    gpu: (uuid) => Effect.map(matching({ uuid }), (samples) => Option.fromNullable(gpusOf(samples)[0])),
    metricNames: (uuid) =>
      Effect.map(matching(Option.isSome(uuid) ? { uuid: uuid.value } : {}), (samples) =>
        [...new Set(samples.map(({ series }) => series.metricName))].sort(compareUtf8)
      ),
    stats: Effect.map(matching({}), (samples) => ({
      gpus: gpusOf(samples).length,
      samples: samples.length,
      evicted: 0,
      ...(samples.length === 0 ? {} : { oldestNs: samples[0]!.timeNs, newestNs: samples.at(-1)!.timeNs })
    })),
    ready: Effect.asVoid(scan)
  }
}
