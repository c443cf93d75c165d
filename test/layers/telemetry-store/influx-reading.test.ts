/** What InfluxDB is asked for samples, page by page, whole or in windows, against the naive model. */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, FastCheck, Stream } from "effect"
import type { SampleQuery, WindowQuery } from "../../../src/layers/TelemetryStore.ts"
import { windowsOf } from "../../../src/layers/telemetry-store/windows.ts"
import type { Sample } from "../../../src/protocol/Sample.ts"
import { aggregates, groupings } from "../../../src/protocol/Window.ts"
import { crowdedQuery, crowdedSamples } from "../../arbitraries.ts"
import { freshBucket, isInfluxThere } from "../../influx/Buckets.ts"
import { answer, settled } from "../../properties/NaiveSamples.ts"
import { epochNs, sampleAt, secondNs } from "../../Samples.ts"
import { allWindows, cataloguesOf, openReading, whole } from "./InfluxReading.ts"

/** Samples of crowded instants, and of some that are far from them, up to the ends of what is stored. */
const wideSamples = FastCheck.array(
  FastCheck.tuple(
    crowdedSamples({ minLength: 1, maxLength: 8 }),
    FastCheck.constantFrom(
      0n,
      0n,
      0n,
      3_600n,
      90_000n,
      -1_752_871_354n,
      -1_752_871_356n,
      -10_976_243_387n,
      7_470_500_000n
    ),
    FastCheck.integer({ min: -1_000, max: 1_000 })
  ),
  { maxLength: 6 }
).map((parts) =>
  parts.flatMap(([samples, seconds, value]) =>
    samples.map(
      (sample, i): Sample => ({
        ...sample,
        timeNs: sample.timeNs + seconds * 1_000_000_000n,
        value: value + i / 4
      })
    )
  )
)

const windowQuery: FastCheck.Arbitrary<WindowQuery> = FastCheck.record({
  query: crowdedQuery,
  windowNs: FastCheck.constantFrom(
    1n,
    2n,
    7n,
    1_000_000_000n,
    60_000_000_000n,
    86_400_000_000_000n,
    31_536_000_000_000_000n,
    2n ** 62n
  ),
  aggregate: FastCheck.constantFrom(...aggregates),
  groupBy: FastCheck.constantFrom(...groupings)
}).map(({ query, ...window }) => ({ ...query, ...window }))

describe.skipIf(!isInfluxThere)("reading from InfluxDB", () => {
  it.effect.prop(
    "pages and whole results are those of the model, whatever the catalogue says",
    [
      crowdedSamples({ maxLength: 40 }),
      FastCheck.array(
        FastCheck.record({
          query: crowdedQuery,
          limit: FastCheck.integer({ min: 1, max: 20 }),
          place: FastCheck.nat(45)
        }),
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

  it.effect.prop(
    "windows are those of the samples, whatever the catalogue says",
    [wideSamples, FastCheck.array(windowQuery, { minLength: 1, maxLength: 8 })],
    ([samples, asked]) =>
      Effect.gen(function* () {
        const { write, readingBy } = yield* openReading
        yield* write(samples)
        const stored = settled(samples)
        for (const [name, catalogue] of Object.entries(cataloguesOf(samples))) {
          for (const query of asked) {
            const chunks = yield* Stream.runCollect(windowsOf(query, Stream.make(answer(stored, query))))
            const expected = Chunk.toReadonlyArray(chunks).flat()
            expect(yield* allWindows(readingBy(catalogue), query), name).toEqual(
              expected.map((row) => ({ ...row, value: expect.closeTo(row.value, 6) }))
            )
          }
        }
      }).pipe(Effect.scoped, Effect.provide(freshBucket())),
    { fastCheck: { numRuns: 20 } }
  )

  it.effect("many pages at once are what each would be alone", () =>
    Effect.gen(function* () {
      const { write, readingBy } = yield* openReading
      const stored = Array.from({ length: 600 }, (_, i) => sampleAt(i >> 4, { uuid: `GPU-${i % 16}` }, i))
      yield* write(stored)
      const reading = readingBy(
        cataloguesOf(stored.filter(({ series }) => series.uuid === "GPU-0"))["that is right"]!
      )
      const pages = Array.from({ length: 100 }, (_, i) => {
        const query: SampleQuery = {
          order: i % 3 === 0 ? "asc" : "desc",
          uuid: `GPU-${i % 17}`,
          ...(i % 5 === 0 ? { startNs: epochNs + BigInt(i % 7) * secondNs } : {})
        }
        const offset = i % 4
        const expected = answer(settled(stored), query).slice(offset, offset + 10)
        return Effect.map(reading.page(query, { limit: 10, start: { offset } }), (page) =>
          expect(page).toEqual(expected)
        )
      })
      // Who goes away is missed by nobody.
      const impatient = Effect.timeout(
        reading.page({ order: "asc", uuid: "GPU-1" }, { limit: 1, start: { offset: 0 } }),
        0
      )
      yield* Effect.all([...pages, Effect.ignore(impatient), ...pages], { concurrency: "unbounded" })
    }).pipe(Effect.scoped, Effect.provide(freshBucket()))
  )
})
