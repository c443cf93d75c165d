/** The reading half of the InfluxDB store alone, over a bucket of its own, and catalogues that know little or lie. */
import { Chunk, Effect, Option, Stream } from "effect"
import type { SampleQuery, WindowQuery } from "../../../src/layers/TelemetryStore.ts"
import { makeBuckets } from "../../../src/layers/telemetry-store/influx/buckets.ts"
import type { Catalogue, Extent } from "../../../src/layers/telemetry-store/influx/Catalogue.ts"
import { make as makeConnection } from "../../../src/layers/telemetry-store/influx/Connection.ts"
import { encodeLine } from "../../../src/layers/telemetry-store/influx/lines.ts"
import { make as makeQueries } from "../../../src/layers/telemetry-store/influx/queries.ts"
import { makeReading } from "../../../src/layers/telemetry-store/influx/reading.ts"
import type { Sample } from "../../../src/protocol/Sample.ts"
import { timeNsMax, timeNsMin } from "../../../src/protocol/Time.ts"

const knows = (extent: Extent | undefined): Pick<Catalogue, "extent"> => ({
  extent: () => Effect.succeed(Option.fromNullable(extent))
})

/** Catalogues by how wrong they are about samples. */
export const cataloguesOf = (
  samples: ReadonlyArray<Sample>
): Readonly<Record<string, Pick<Catalogue, "extent">>> => {
  const times = samples.map(({ timeNs }) => timeNs).sort((a, b) => (a < b ? -1 : 1))
  const firstNs = times[0] ?? 0n
  const lastNs = times.at(-1) ?? 0n
  return {
    "that knows nothing": knows(undefined),
    "that is right": knows(samples.length === 0 ? undefined : { firstNs, lastNs, samples: samples.length }),
    "that has seen one sample": knows({ firstNs, lastNs: firstNs, samples: 1 }),
    "that is late": knows({ firstNs: lastNs, lastNs, samples: 1_000_000 }),
    "that looks elsewhere": knows({ firstNs: 5n, lastNs: 7n, samples: 3 }),
    "that expects everything everywhere": knows({ firstNs: timeNsMin, lastNs: timeNsMax, samples: 1e9 })
  }
}

/** A bucket, what writes to it, and what reads from it by what a catalogue says. */
export const openReading = Effect.gen(function* () {
  const connection = yield* makeConnection()
  const buckets = yield* makeBuckets(connection)
  yield* buckets.samples
  return {
    connection,
    write: (samples: ReadonlyArray<Sample>) =>
      connection.write(
        connection.config.bucket,
        samples.map((sample) => encodeLine(sample)!)
      ),
    readingBy: (catalogue: Pick<Catalogue, "extent">) => makeReading(makeQueries(connection), catalogue)
  }
})

type Reading = ReturnType<typeof makeReading>

/** The whole result of a query. */
export const whole = (reading: Reading, query: SampleQuery) =>
  Effect.map(Stream.runCollect(reading.samples(query)), (chunks) => Chunk.toReadonlyArray(chunks).flat())

/** All windows of a query. */
export const allWindows = (reading: Reading, query: WindowQuery) =>
  Effect.map(Stream.runCollect(reading.windows(query)), (chunks) => Chunk.toReadonlyArray(chunks).flat())
