/**
 * The telemetry store in memory: nothing outlives the process.
 *
 * Bounded by a number of samples (of 16 bytes, and what their series take) and, where wanted, by age: the globally
 * oldest go first, and every one that goes is counted. Age is looked at on writes and reads alike, so that no answer
 * holds a sample that is too old; no timer runs. A GPU is known while a sample of it is retained, however long it is silent.
 */
import { Chunk, Clock, Context, Effect, Layer, Option, Stream } from "effect"
import type { Sample } from "../../protocol/Sample.ts"
import type { Gpu, GpuFilter, SampleQuery, WriteReport } from "../TelemetryStore.ts"
import { TelemetryStore } from "../TelemetryStore.ts"
import { IndexedSamples } from "./memory/IndexedSamples.ts"
import { windowsOf } from "./windows.ts"

/** What bounds the store. */
export class MemoryStoreConfig extends Context.Tag("telemetry/MemoryStoreConfig")<
  MemoryStoreConfig,
  {
    /** Samples kept; above it the oldest are evicted. */
    readonly samplesMax: number
    /** Age above which a sample is neither taken nor kept; `undefined` where age does not matter. */
    readonly retentionMs: number | undefined
  }
>() {
  static readonly defaults: MemoryStoreConfig["Type"] = { samplesMax: 1_000_000, retentionMs: undefined }

  /** The defaults but for what is given. */
  static readonly layer = (
    partial: Partial<MemoryStoreConfig["Type"]> = {}
  ): Layer.Layer<MemoryStoreConfig> =>
    Layer.succeed(MemoryStoreConfig, { ...MemoryStoreConfig.defaults, ...partial })
}

/** Samples in one chunk of a stream: a chunk is found in about a millisecond, so that others get their turn. */
const chunkSamplesMax = 1_000

const isListed = (gpu: Gpu, filter: GpuFilter): boolean =>
  (filter.hostname === undefined || gpu.hostname === filter.hostname) &&
  (filter.modelName === undefined || gpu.modelName === filter.modelName)

const make = Effect.gen(function* () {
  const { samplesMax, retentionMs } = yield* MemoryStoreConfig
  const held = new IndexedSamples()

  /** Runs `use` on what is retained at this moment. It is told the time before which nothing is. */
  const withRetained = <A>(use: (oldestNs: bigint | undefined) => A): Effect.Effect<A> =>
    retentionMs === undefined
      ? Effect.sync(() => use(undefined))
      : Effect.map(Clock.currentTimeMillis, (nowMs) => {
          const oldestNs = BigInt(Math.round((nowMs - retentionMs) * 1e6))
          held.evictBefore(oldestNs)
          return use(oldestNs)
        })

  const write = (samples: ReadonlyArray<Sample>): Effect.Effect<WriteReport> =>
    withRetained((oldestNs) => {
      const olderThanRetention: Array<number> = []
      for (let index = 0; index < samples.length; index++) {
        const sample = samples[index]!
        if (oldestNs !== undefined && sample.timeNs < oldestNs) olderThanRetention.push(index)
        else held.put(sample)
      }
      held.evictDownTo(samplesMax)
      return { stored: samples.length - olderThanRetention.length, olderThanRetention }
    })

  /** Goes on behind the last sample it gave, by identity: writes and evictions in between neither repeat nor skip any. */
  const chunks = (query: SampleQuery): Stream.Stream<ReadonlyArray<Sample>> =>
    Stream.paginateChunkEffect(Option.none<Sample>(), (last) =>
      withRetained(() => {
        const start = Option.match(last, { onNone: () => ({ offset: 0 }), onSome: (after) => ({ after }) })
        const samples = held.page(query, { limit: chunkSamplesMax, start })
        const next =
          samples.length < chunkSamplesMax ? Option.none() : Option.some(Option.some(samples.at(-1)!))
        return [samples.length === 0 ? Chunk.empty() : Chunk.of(samples), next]
      })
    )

  const samples = (query: SampleQuery) =>
    Stream.unwrap(
      withRetained(() => {
        // What arrives meanwhile is left out, or a slow reader of a busy GPU would never reach the end.
        const endNs = held.newestOf(query)
        return endNs === undefined ? Stream.empty : chunks({ ...query, endNs })
      })
    )

  return TelemetryStore.of({
    description: "memory",
    write,
    page: (query, page) => withRetained(() => held.page(query, page)),
    samples,
    windows: (query) => windowsOf(query, samples(query)),
    gpus: (filter) =>
      withRetained(() => held.uuids.map((uuid) => held.gpu(uuid)!).filter((gpu) => isListed(gpu, filter))),
    gpu: (uuid) => withRetained(() => Option.fromNullable(held.gpu(uuid))),
    metricNames: (uuid) => withRetained(() => held.metricNames(Option.getOrUndefined(uuid))),
    stats: withRetained(() => held.stats),
    ready: Effect.void
  })
})

/** A store in memory, empty at first. */
export const layerMemory: Layer.Layer<TelemetryStore, never, MemoryStoreConfig> = Layer.effect(
  TelemetryStore,
  make
)
