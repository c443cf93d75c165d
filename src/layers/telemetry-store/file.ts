/**
 * The telemetry store in a file of this machine: what was stored is there after a restart, and after a crash.
 *
 * SQLite, in threads of its own: one writes, and others read beside it. A write that was reported is on the disk. Bounded by
 * age where wanted: what is too old is in no answer, and is deleted bit by bit. One process has the folder at a time.
 *
 * The newest writes are in a file beside it (`-wal`) for a while, so that a copy of the one file alone may lack them. While the
 * store is in use, any SQLite copies it whole: `sqlite3 telemetry.sqlite "VACUUM INTO 'copy.sqlite'"`.
 */
import { join } from "node:path"
import {
  Array as Arrays,
  Chunk,
  Clock,
  Context,
  Effect,
  identity,
  Layer,
  Option,
  Schedule,
  Schema,
  Stream
} from "effect"
import type { Sample } from "../../protocol/Sample.ts"
import { seriesKey } from "../../protocol/Series.ts"
import { type TimeNs, timeNsMin } from "../../protocol/Time.ts"
import type {
  GpuFilter,
  Page,
  SampleFilter,
  SampleQuery,
  StoreStats,
  StoreUnavailable,
  WindowQuery,
  WindowValue
} from "../TelemetryStore.ts"
import { TelemetryStore } from "../TelemetryStore.ts"
import { type DatabaseThread, start } from "./file/DatabaseThread.ts"
import type { WindowSlice } from "./file/messages.ts"
import { NumberedSeriesTable, SeriesNumbering } from "./file/SeriesNumbers.ts"

/** Where the store is and what bounds it. */
export class FileStoreConfig extends Context.Tag("telemetry/FileStoreConfig")<
  FileStoreConfig,
  {
    /** The folder, made where it is missing, that this process alone uses. */
    readonly directory: string
    /** Age above which a sample is neither taken nor kept; `undefined` where age does not matter. */
    readonly retentionMs: number | undefined
  }
>() {
  static readonly layer = (config: {
    readonly directory: string
    readonly retentionMs?: number | undefined
  }): Layer.Layer<FileStoreConfig> => Layer.succeed(FileStoreConfig, { retentionMs: undefined, ...config })
}

/** The folder can't be used as a store, as it is now; it stays as it was. */
export class FileStoreUnusable extends Schema.TaggedError<FileStoreUnusable>()("FileStoreUnusable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.file}: ${this.problem}`
  }
}

/** Samples in one chunk of a stream, and those that are read at a time: what is sorted of one instant is sorted anew each time. */
const chunkSamplesMax = 1_000
const readSamplesMax = 4_000
/** Samples that one answer with windows is made of, if its first window has no more: few at first, for who wants few windows. */
const sliceSamplesMin = 4_000
const sliceSamplesMax = 16_000
/** Between two looks for what has become too old. */
const expiryInterval = "30 seconds"

const windowValues = ({ names, windows, named, values }: Omit<WindowSlice, "rest">) => {
  const rows: Array<WindowValue> = []
  for (const [startNs, valueCount] of windows) {
    for (let left = valueCount; left > 0; left--) {
      const [metricName, group] = names[named[rows.length]!]!
      rows.push({ startNs, metricName, group, value: values[rows.length]! })
    }
  }
  return rows
}

/** What a thread that reads answers with series. */
const makeReading = (thread: DatabaseThread, oldest: Effect.Effect<TimeNs>) => {
  const table = new NumberedSeriesTable()

  const page = ({ order, ...filter }: SampleQuery, { limit, start }: Page) =>
    Effect.flatMap(oldest, (oldestNs) => {
      const place =
        "offset" in start
          ? start
          : { after: { series: seriesKey(start.after.series), timeNs: start.after.timeNs } }
      return thread.ask(
        "page",
        () => ({ oldestNs, filter, order, limit, start: place }),
        (columns) => table.samples(columns)
      )
    })

  const gpus = (filter: GpuFilter & { readonly uuid?: string }) =>
    Effect.flatMap(oldest, (oldestNs) =>
      thread.ask(
        "gpus",
        () => ({ oldestNs, filter }),
        (columns) => table.gpus(columns)
      )
    )

  /** The results of a query about what is there now: with what arrives meanwhile, a slow reader of a busy GPU would never end. */
  const upToNow = <Query extends SampleFilter, A>(
    query: Query,
    results: (query: Query) => Stream.Stream<A, StoreUnavailable>
  ): Stream.Stream<A, StoreUnavailable> => {
    const newest = Effect.flatMap(oldest, (oldestNs) =>
      thread.ask("newest", () => ({ oldestNs, filter: query }), identity)
    )
    return Stream.unwrap(
      Effect.map(newest, (endNs) => (endNs === undefined ? Stream.empty : results({ ...query, endNs })))
    )
  }

  /** Goes on behind the last sample it gave, by identity: writes in between neither repeat nor skip any. */
  const chunks = (query: SampleQuery): Stream.Stream<ReadonlyArray<Sample>, StoreUnavailable> =>
    Stream.paginateChunkEffect(Option.none<Sample>(), (last) => {
      const start = Option.match(last, { onNone: () => ({ offset: 0 }), onSome: (after) => ({ after }) })
      return Effect.map(page(query, { limit: readSamplesMax, start }), (samples) => [
        Chunk.unsafeFromArray(Arrays.chunksOf(samples, chunkSamplesMax)),
        samples.length < readSamplesMax ? Option.none() : Option.some(Option.some(samples.at(-1)!))
      ])
    })

  const windowsFrom = (query: WindowQuery): Stream.Stream<ReadonlyArray<WindowValue>, StoreUnavailable> =>
    Stream.paginateChunkEffect({ query, samplesMax: sliceSamplesMin }, ({ query, samplesMax }) =>
      Effect.map(
        Effect.flatMap(oldest, (oldestNs) =>
          thread.ask("windows", () => ({ oldestNs, query, samplesMax }), identity)
        ),
        ({ rest, ...slice }) => [
          slice.values.length === 0 ? Chunk.empty() : Chunk.of(windowValues(slice)),
          rest === undefined
            ? Option.none()
            : Option.some({
                query: { ...query, ...rest },
                samplesMax: Math.min(samplesMax * 2, sliceSamplesMax)
              })
        ]
      )
    )

  return {
    page,
    gpus,
    samples: (query: SampleQuery) => upToNow(query, chunks),
    windows: (query: WindowQuery) => upToNow(query, windowsFrom)
  }
}

const make = Effect.gen(function* () {
  const { directory, retentionMs } = yield* FileStoreConfig
  const file = join(directory, "telemetry.sqlite")
  const description = `file ${file}`
  const startAs = (role: "writer" | "reader") =>
    Effect.mapError(
      start({ role, directory }, description),
      ({ problem }) => new FileStoreUnusable({ file, problem })
    )
  const writer = yield* startAs("writer")
  // Streams have a thread of their own: a page does not wait for the windows of a year.
  const [reader, streamer] = yield* Effect.all([startAs("reader"), startAs("reader")], { concurrency: 2 })

  /** The time before which nothing is retained. */
  const oldest = Effect.map(Clock.currentTimeMillis, (nowMs) =>
    retentionMs === undefined ? timeNsMin : BigInt(Math.round((nowMs - retentionMs) * 1e6))
  )
  const numbering = new SeriesNumbering()

  const expire = Effect.flatMap(oldest, (oldestNs) => writer.ask("expire", () => ({ oldestNs }), identity))
  const { evicted: evictedBefore } = yield* reader.ask("stats", () => ({ oldestNs: timeNsMin }), identity)
  if (retentionMs !== undefined) {
    yield* Effect.repeat(expire, { while: (isMoreLeft) => isMoreLeft }).pipe(
      Effect.catchAll(({ message }) => Effect.logWarning(`what is too old is not deleted: ${message}`)),
      Effect.repeat(Schedule.spaced(expiryInterval)),
      Effect.forkScoped
    )
  }

  const write = (samples: ReadonlyArray<Sample>) =>
    Effect.flatMap(oldest, (oldestNs) => {
      const olderThanRetention: Array<number> = []
      const taken = samples.filter(({ timeNs }, index) => {
        if (timeNs < oldestNs) olderThanRetention.push(index)
        return timeNs >= oldestNs
      })
      const report = { stored: taken.length, olderThanRetention }
      if (taken.length === 0) return Effect.succeed(report)
      return writer.ask(
        "write",
        () => ({ columns: numbering.columns(taken) }),
        () => report
      )
    })

  const stats = Effect.flatMap(oldest, (oldestNs) =>
    reader.ask(
      "stats",
      () => ({ oldestNs }),
      ({ gpus, samples, evicted, oldestNs, newestNs }): StoreStats => ({
        gpus,
        samples,
        evicted: evicted - evictedBefore,
        ...(oldestNs === undefined ? {} : { oldestNs }),
        ...(newestNs === undefined ? {} : { newestNs })
      })
    )
  )

  const { page, gpus } = makeReading(reader, oldest)
  const { samples, windows } = makeReading(streamer, oldest)

  return TelemetryStore.of({
    description,
    write,
    page,
    samples,
    windows,
    gpus,
    gpu: (uuid) => Effect.map(gpus({ uuid }), (found) => Option.fromNullable(found[0])),
    metricNames: (uuid) =>
      Effect.flatMap(oldest, (oldestNs) =>
        reader.ask("metricNames", () => ({ oldestNs, uuid: Option.getOrUndefined(uuid) }), identity)
      ),
    stats,
    ready: Effect.zipRight(
      writer.ask("ping", () => undefined, identity),
      Effect.asVoid(stats)
    )
  })
})

/** A store in a folder, with what is there already. Fails where the folder can't be used. */
export const layerFile: Layer.Layer<TelemetryStore, FileStoreUnusable | StoreUnavailable, FileStoreConfig> =
  Layer.scoped(TelemetryStore, make)
