/** What InfluxDB is asked for samples, page by page, whole or in windows, against the naive model. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import type { SampleFilter, SampleQuery } from "../../../src/layers/TelemetryStore.ts"
import { crowdedSamples, crowdedSeries, crowdedTimeNs } from "../../arbitraries.ts"
import { freshBucket, isInfluxThere } from "../../influx/Buckets.ts"
import { answer, settled } from "../../properties/NaiveSamples.ts"
import { cataloguesOf, openReading, whole } from "./InfluxReading.ts"

/** A filter in which each field is left out more often than not, so that most answers hold something. */
const filter: FastCheck.Arbitrary<SampleFilter> = FastCheck.record(
  {
    uuid: crowdedSeries.map(({ uuid }) => uuid),
    metricName: crowdedSeries.map(({ metricName }) => metricName),
    hostname: crowdedSeries.map(({ hostname }) => hostname),
    gpuId: FastCheck.constantFrom(0, 2, 10),
    startNs: crowdedTimeNs,
    endNs: crowdedTimeNs
  },
  { requiredKeys: [] }
)

const query: FastCheck.Arbitrary<SampleQuery> = FastCheck.tuple(
  FastCheck.oneof(FastCheck.constant({}), filter),
  FastCheck.constantFrom("asc" as const, "desc" as const)
).map(([given, order]) => ({ ...given, order }))

describe.skipIf(!isInfluxThere)("reading from InfluxDB", () => {
  it.effect.prop(
    "pages and whole results are those of the model, whatever the catalogue says",
    [
      crowdedSamples({ maxLength: 40 }),
      FastCheck.array(
        FastCheck.record({ query, limit: FastCheck.integer({ min: 1, max: 20 }), place: FastCheck.nat(45) }),
        { minLength: 1, maxLength: 6 }
      )
    ],
    ([samples, asked]) =>
      Effect.gen(function* () {
        const { write, readingBy } = yield* openReading
        yield* write(samples)
        const stored = settled(samples)
        for (const [name, catalogue] of Object.entries(cataloguesOf(samples))) {
          const reading = readingBy(catalogue)
          for (const { query, limit, place } of asked) {
            const expected = answer(stored, query)
            expect(yield* whole(reading, query), name).toEqual(expected)
            expect(yield* reading.page(query, { limit, start: { offset: place } }), name).toEqual(
              expected.slice(place, place + limit)
            )
            const after = expected[place % (expected.length + 1)]
            if (after === undefined) continue
            expect(yield* reading.page(query, { limit, start: { after } }), name).toEqual(
              expected.slice(expected.indexOf(after) + 1).slice(0, limit)
            )
          }
        }
      }).pipe(Effect.scoped, Effect.provide(freshBucket())),
    { fastCheck: { numRuns: 25 } }
  )
})
