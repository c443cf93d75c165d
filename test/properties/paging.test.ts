/** Pages, cursors and streams over any samples, against the naive model. */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, FastCheck, Layer, Stream } from "effect"
import { type Page, type SampleQuery, TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import { layerMemory, MemoryStoreConfig } from "../../src/layers/telemetry-store/memory.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import type { Series } from "../../src/protocol/Series.ts"
import {
  crowdedEpochNs,
  crowdedFilter,
  crowdedQuery,
  crowdedSamples,
  crowdedSeries,
  crowdedTimeNs,
  sampleOrder
} from "../arbitraries.ts"
import { answer, compareNaively, settled } from "./NaiveSamples.ts"

const freshStore = Layer.provide(layerMemory, MemoryStoreConfig.layer())

const samples = crowdedSamples({ maxLength: 60 })
const pageSize = FastCheck.integer({ min: 1, max: 25 })

type Start = Page["start"]

/** Reads page after page until one is not full; `next` says where the next begins, from all that was read. */
const readPages = (of: SampleQuery, limit: number, next: (read: ReadonlyArray<Sample>) => Start) =>
  Effect.gen(function* () {
    const store = yield* TelemetryStore
    const read: Array<Sample> = []
    for (;;) {
      const start = read.length === 0 ? { offset: 0 } : next(read)
      const page = yield* store.page(of, { limit, start })
      expect(page.length).toBeLessThanOrEqual(limit)
      read.push(...page)
      if (page.length < limit) return read
    }
  })

const byOffset = (read: ReadonlyArray<Sample>): Start => ({ offset: read.length })
const byCursor = (read: ReadonlyArray<Sample>): Start => ({ after: read.at(-1)! })

const writeAll = (written: ReadonlyArray<Sample>) =>
  Effect.flatMap(TelemetryStore, (store) => store.write(written))

describe("for any samples, any query and any page size", () => {
  const arbitraries = { written: samples, asked: crowdedQuery, limit: pageSize }

  it.effect.prop("the pages by offset concatenate to the whole result", arbitraries, (given) =>
    Effect.gen(function* () {
      yield* writeAll(given.written)
      expect(yield* readPages(given.asked, given.limit, byOffset)).toEqual(
        answer(settled(given.written), given.asked)
      )
    }).pipe(Effect.provide(freshStore))
  )

  it.effect.prop("the pages by cursor concatenate to the whole result", arbitraries, (given) =>
    Effect.gen(function* () {
      yield* writeAll(given.written)
      expect(yield* readPages(given.asked, given.limit, byCursor)).toEqual(
        answer(settled(given.written), given.asked)
      )
    }).pipe(Effect.provide(freshStore))
  )

  it.effect.prop("the stream is the whole result", { written: samples, asked: crowdedQuery }, (given) =>
    Effect.gen(function* () {
      yield* writeAll(given.written)
      const store = yield* TelemetryStore
      const chunks = yield* Stream.runCollect(store.samples(given.asked))
      expect(Chunk.toReadonlyArray(chunks).flat()).toEqual(answer(settled(given.written), given.asked))
    }).pipe(Effect.provide(freshStore))
  )

  it.effect.prop(
    "descending is the exact reverse of ascending",
    { written: samples, asked: crowdedFilter },
    (given) =>
      Effect.gen(function* () {
        yield* writeAll(given.written)
        const store = yield* TelemetryStore
        const whole = { limit: 100, start: { offset: 0 } }
        const ascending = yield* store.page({ ...given.asked, order: "asc" }, whole)
        const descending = yield* store.page({ ...given.asked, order: "desc" }, whole)
        expect([...descending].reverse()).toEqual(ascending)
      }).pipe(Effect.provide(freshStore))
  )

  it.effect.prop(
    "a page behind any identity, stored or not, is what the order has behind it",
    { written: samples, asked: crowdedQuery, series: crowdedSeries, timeNs: crowdedTimeNs },
    ({ written, asked, series, timeNs }) =>
      Effect.gen(function* () {
        yield* writeAll(written)
        const store = yield* TelemetryStore
        const after = { series, timeNs, value: 0 }
        const sign = asked.order === "asc" ? 1 : -1
        expect(yield* store.page(asked, { limit: 100, start: { after } })).toEqual(
          answer(settled(written), asked).filter((sample) => compareNaively(sample, after) * sign > 0)
        )
      }).pipe(Effect.provide(freshStore))
  )
})

const memberOf = (member: number): Series => ({
  metricName: `M${member % 2}`,
  uuid: `GPU-${member}`,
  hostname: "",
  gpuId: member,
  device: "",
  modelName: "",
  container: "",
  pod: "",
  namespace: "",
  labels: []
})

it.effect.prop(
  "a page far behind the start is found as exactly as the first, whatever the samples' spacing",
  {
    members: FastCheck.integer({ min: 1, max: 4 }),
    gapsNs: FastCheck.array(FastCheck.constantFrom(0n, 0n, 1n, 7n, 1_000_000_000n), {
      minLength: 700,
      maxLength: 2_000
    }),
    offset: FastCheck.nat(2_100),
    direction: sampleOrder
  },
  ({ members, gapsNs, offset, direction }) =>
    Effect.gen(function* () {
      let timeNs = crowdedEpochNs
      const written = gapsNs.map((gapNs, i): Sample => {
        timeNs += gapNs
        return { series: memberOf((i * 7) % members), timeNs, value: i }
      })
      yield* writeAll(written)
      const store = yield* TelemetryStore
      const last = new Map(written.map((sample) => [`${sample.timeNs} ${sample.series.uuid}`, sample]))
      const whole = [...last.values()].sort(compareNaively)
      if (direction === "desc") whole.reverse()
      expect(yield* store.page({ order: direction }, { limit: 10, start: { offset } })).toEqual(
        whole.slice(offset, offset + 10)
      )
    }).pipe(Effect.provide(freshStore)),
  { fastCheck: { numRuns: 60 } }
)
