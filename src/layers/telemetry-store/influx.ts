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
import * as Queries from "./influx/queries.ts"
import { makeReading } from "./influx/reading.ts"
import { makeWriting } from "./influx/writing.ts"

export { InfluxConfig }

const make = Effect.gen(function* () {
  const connection = yield* Connection.make
  const buckets = yield* makeBuckets(connection)
  const queries = Queries.make(connection)
  const catalogue = yield* Catalogue.make(connection, queries, buckets.catalogue)
  const reading = makeReading(queries, catalogue)

  /** The same with a bucket to ask, which is made where it is missing, and looked for again where it went away. */
  const withBucket = <A>(asked: Effect.Effect<A, StoreUnavailable>): Effect.Effect<A, StoreUnavailable> =>
    Effect.zipRight(buckets.samples, asked).pipe(Effect.tapError(buckets.noteFailure))

  const streamed = <A>(stream: Stream.Stream<A, StoreUnavailable>): Stream.Stream<A, StoreUnavailable> =>
    Stream.unwrap(Effect.as(withBucket(Effect.void), Stream.tapError(stream, buckets.noteFailure)))

  return TelemetryStore.of({
    description: connection.description,
    write: makeWriting(connection, buckets, catalogue),
    page: (query, page) => withBucket(reading.page(query, page)),
    samples: (query) => streamed(reading.samples(query)),
    windows: (query) => streamed(reading.windows(query)),
    gpus: (filter) => withBucket(catalogue.gpus(filter)),
    gpu: (uuid) => withBucket(catalogue.gpu(uuid)),
    metricNames: (uuid) => withBucket(catalogue.metricNames(uuid)),
    stats: withBucket(catalogue.stats),
    ready: withBucket(catalogue.ready)
  })
})

/** The store in the InfluxDB of the configuration. */
export const layerInflux: Layer.Layer<TelemetryStore, never, InfluxConfig> = Layer.scoped(
  TelemetryStore,
  make
)
