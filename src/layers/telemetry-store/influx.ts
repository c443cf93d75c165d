/**
 * The telemetry store in InfluxDB 2: points as CONTRACTS.md lays them out, so that others may read what is written here, and
 * what others wrote is answered.
 *
 * Processes that write and processes that read share nothing but InfluxDB. Nothing is buffered: a write has succeeded when
 * InfluxDB said so. Building the layer asks nobody: a server that is away fails what is asked, until it is back.
 */
import { Effect, Layer, Stream } from "effect"
import type { StoreUnavailable } from "../TelemetryStore.ts"
import { TelemetryStore } from "../TelemetryStore.ts"
import { makeBuckets } from "./influx/buckets.ts"
import * as Catalogue from "./influx/Catalogue.ts"
import { InfluxConfig } from "./influx/Config.ts"
import * as Connection from "./influx/Connection.ts"
import { allTime } from "./influx/flux.ts"
import * as Queries from "./influx/queries.ts"
import { makeReading } from "./influx/reading.ts"
import { makeWriting } from "./influx/writing.ts"

export { type Administrator, SetupRefused, setUp } from "./influx/setup.ts"
export { InfluxConfig }

/** Queries that hold others up have sockets of their own: windows and exports, and the counts of everything. */
const streamsMax = 4
const countsMax = 2
/** A page that takes longer is none; a server gives up on its client later, and could not say why. */
const answerMsMax = 8_000
/** A count of everything, which nobody waits for; that of a billion samples takes most of it. */
const countMsMax = 60_000

const make = Effect.gen(function* () {
  const { timeoutMs } = yield* InfluxConfig
  const connection = yield* Connection.make()
  const asking = yield* Connection.make({ timeoutMs: Math.min(timeoutMs, answerMsMax) })
  const streaming = yield* Connection.make({ socketsMax: streamsMax })
  const counting = yield* Connection.make({ socketsMax: countsMax, timeoutMs: countMsMax })
  const buckets = yield* makeBuckets(connection)
  const catalogue = yield* Catalogue.make(connection, Queries.make(counting), buckets)
  const queries = Queries.make(asking)
  const { page } = makeReading(queries, catalogue)
  const { samples, windows } = makeReading(Queries.make(streaming), catalogue)

  /** Asks for what no sample is in: that costs a few milliseconds, and needs all that any answer needs. */
  const ping = queries.count({ startNs: allTime.endNs, endNs: allTime.endNs }, {})

  /** The same with a bucket to ask, which is made where it is missing, and looked for again where it went away. */
  const withBucket = <A>(asked: Effect.Effect<A, StoreUnavailable>): Effect.Effect<A, StoreUnavailable> =>
    Effect.zipRight(buckets.samples, asked).pipe(Effect.tapError(buckets.noteFailure))

  const streamed = <A>(stream: Stream.Stream<A, StoreUnavailable>): Stream.Stream<A, StoreUnavailable> =>
    Stream.unwrap(Effect.as(withBucket(Effect.void), Stream.tapError(stream, buckets.noteFailure)))

  return TelemetryStore.of({
    description: connection.description,
    write: makeWriting(connection, buckets, catalogue),
    page: (query, place) => withBucket(page(query, place)),
    samples: (query) => streamed(samples(query)),
    windows: (query) => streamed(windows(query)),
    gpus: (filter) => withBucket(catalogue.gpus(filter)),
    gpu: (uuid) => withBucket(catalogue.gpu(uuid)),
    metricNames: (uuid) => withBucket(catalogue.metricNames(uuid)),
    stats: withBucket(catalogue.stats),
    ready: withBucket(Effect.zipRight(ping, catalogue.ready))
  })
})

/** The store in the InfluxDB of the configuration. */
export const layerInflux: Layer.Layer<TelemetryStore, never, InfluxConfig> = Layer.scoped(
  TelemetryStore,
  make
)
