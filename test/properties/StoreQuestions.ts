/**
 * Everything that a telemetry store can be asked, and samples to ask about: such as every store can hold, so that what one
 * answers can be held against what another does.
 */
import { expect } from "@effect/vitest"
import { Chunk, Effect, FastCheck, Option, Stream } from "effect"
import type {
  SampleQuery,
  StoreUnavailable,
  TelemetryStore,
  WindowQuery,
  WindowValue
} from "../../src/layers/TelemetryStore.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import type { Series } from "../../src/protocol/Series.ts"
import { aggregates, groupings } from "../../src/protocol/Window.ts"
import { crowdedQuery, crowdedSamples, crowdedSeries, crowdedTimeNs, oddText } from "../arbitraries.ts"

/** What InfluxDB carries of odd texts; it has no escape for a line's end, nor for every backslash. */
const carriedText = oddText.filter((text) => !/[\r\n]|\\ |\\$/.test(text))

/** And as a name of a metric, where lines begin. */
const carriedName = carriedText.filter((text) => text !== "" && !/^[#\t\0]|\\/.test(text))

/** A name that none of the tags that a series has anyway, or that InfluxDB has, are called by. */
const carriedLabelName = carriedText.filter((text) => text !== "").map((text) => `l${text}`)

const oddSeries: FastCheck.Arbitrary<Partial<Series>> = FastCheck.record(
  {
    metricName: carriedName,
    uuid: carriedText.filter((text) => text !== ""),
    hostname: carriedText,
    device: carriedText,
    modelName: carriedText,
    container: carriedText,
    pod: carriedText,
    namespace: carriedText,
    labels: FastCheck.tuple(
      carriedLabelName,
      carriedText.filter((text) => text !== "")
    ).map((label) => [label])
  },
  { requiredKeys: [] }
)

/** Values whose sums neither overflow nor cancel out to nothing but rounding. */
const moderateValue = FastCheck.oneof(
  FastCheck.integer({ min: -100, max: 100 }),
  FastCheck.double({ min: -1e6, max: 1e6, noNaN: true })
).map((value) => value + 0)

/** Samples of a few series at a dozen instants, of which one series may have the oddest texts that are carried. */
export const carriedSamples = (maxLength: number): FastCheck.Arbitrary<ReadonlyArray<Sample>> =>
  FastCheck.tuple(
    crowdedSamples({ maxLength }),
    FastCheck.array(moderateValue, { minLength: maxLength, maxLength }),
    oddSeries
  ).map(([samples, values, odd]) =>
    samples.map((sample, i) => ({
      ...sample,
      value: values[i]!,
      series: sample.series.gpuId === 2 ? { ...sample.series, ...odd } : sample.series
    }))
  )

const secondNs = 1_000_000_000n

/** Windows of a query, of any length that tells the samples apart in another way. */
export const windowQuery: FastCheck.Arbitrary<WindowQuery> = FastCheck.record({
  query: crowdedQuery,
  windowNs: FastCheck.constantFrom(1n, 2n, 3n, 7_000_003n, secondNs, 3n * secondNs, 60n * secondNs),
  aggregate: FastCheck.constantFrom(...aggregates),
  groupBy: FastCheck.constantFrom(...groupings)
}).map(({ query, ...window }) => ({ ...query, ...window }))

/** Something to ask a store. */
export interface Question {
  readonly about: string
  readonly of: unknown
  readonly ask: (store: TelemetryStore["Type"]) => Effect.Effect<unknown, StoreUnavailable>
  /** What another store may answer, where this is the answer of one: the same, but for how sums are rounded. */
  readonly alike: (answer: unknown) => unknown
}

const questions = <A>(
  about: string,
  of: FastCheck.Arbitrary<A>,
  ask: (store: TelemetryStore["Type"], of: A) => Effect.Effect<unknown, StoreUnavailable>
): FastCheck.Arbitrary<Question> =>
  of.map((of) => ({ about, of, ask: (store) => ask(store, of), alike: (answer) => answer }))

/** All pages of a result, one behind the other: by offset, or behind the last sample of the page before. */
const pagesOf = (store: TelemetryStore["Type"], query: SampleQuery, limit: number, by: "offset" | "cursor") =>
  Effect.gen(function* () {
    const pages: Array<ReadonlyArray<Sample>> = []
    for (let read = 0, full = true; full; read += limit) {
      const last = pages.at(-1)?.at(-1)
      const start = by === "cursor" && last !== undefined ? { after: last } : { offset: read }
      const page = yield* store.page(query, { limit, start })
      pages.push(page)
      full = page.length === limit
    }
    return pages
  })

const collected = <A>(stream: Stream.Stream<ReadonlyArray<A>, StoreUnavailable>) =>
  Effect.map(Stream.runCollect(stream), (chunks) => Chunk.toReadonlyArray(chunks).flat())

/** Aggregates that are one of the values, or count them. */
const exact: ReadonlySet<string> = new Set(["min", "max", "count", "first", "last"])

/** These windows, of which the values are as near to the given ones as rounding of any kind leaves them. */
export const windowsAlike = (
  { aggregate }: WindowQuery,
  windows: ReadonlyArray<WindowValue>
): ReadonlyArray<unknown> =>
  exact.has(aggregate)
    ? windows
    : windows.map((window) => ({ ...window, value: expect.closeTo(window.value, 5) }))

const windowQuestions: FastCheck.Arbitrary<Question> = windowQuery.map((of) => ({
  about: "windows",
  of,
  ask: (store) => collected(store.windows(of)),
  alike: (answer) => windowsAlike(of, answer as ReadonlyArray<WindowValue>)
}))

const uuid = crowdedSeries.map((series) => series.uuid)

/** Any question, those with the larger answers more often. */
export const question: FastCheck.Arbitrary<Question> = FastCheck.oneof(
  { weight: 6, arbitrary: windowQuestions },
  {
    weight: 4,
    arbitrary: questions(
      "pages",
      FastCheck.record({
        query: crowdedQuery,
        limit: FastCheck.integer({ min: 7, max: 40 }),
        by: FastCheck.constantFrom("offset" as const, "cursor" as const)
      }),
      (store, { query, limit, by }) => pagesOf(store, query, limit, by)
    )
  },
  {
    weight: 2,
    arbitrary: questions(
      "what is behind an identity, stored or not",
      FastCheck.record({ query: crowdedQuery, series: crowdedSeries, timeNs: crowdedTimeNs }),
      (store, { query, series, timeNs }) =>
        store.page(query, { limit: 50, start: { after: { series, timeNs } } })
    )
  },
  {
    weight: 2,
    arbitrary: questions("samples", crowdedQuery, (store, query) => collected(store.samples(query)))
  },
  {
    weight: 1,
    arbitrary: questions(
      "GPUs",
      FastCheck.record(
        {
          hostname: crowdedSeries.map(({ hostname }) => hostname),
          modelName: crowdedSeries.map(({ modelName }) => modelName)
        },
        { requiredKeys: [] }
      ),
      (store, filter) => store.gpus(filter)
    )
  },
  { weight: 1, arbitrary: questions("a GPU", uuid, (store, of) => store.gpu(of)) },
  {
    weight: 1,
    arbitrary: questions("metric names", FastCheck.option(uuid), (store, of) =>
      store.metricNames(Option.fromNullable(of))
    )
  },
  { weight: 1, arbitrary: questions("figures", FastCheck.constant({}), (store) => store.stats) }
)
