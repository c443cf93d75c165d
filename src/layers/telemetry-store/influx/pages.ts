/** Pages: some samples behind a place in a result, without transferring what lies before it. */
import { Effect, Option } from "effect"
import type { Sample } from "../../../protocol/Sample.ts"
import {
  compareSamples,
  type Page,
  type SampleOrder,
  type SampleQuery,
  type StoreUnavailable
} from "../../TelemetryStore.ts"
import type { Catalogue, Extent } from "./Catalogue.ts"
import { intersection, type Range, rangeOf } from "./flux.ts"
import type { SampleQueries } from "./queries.ts"
import { densityOf, type Sliced, SliceWalk, sliceRowsMax, sliceRowsTarget, widthOf } from "./slices.ts"

/** Samples before a page that are read and dropped; more are counted. */
const droppedMax = 4_000
/** What a count aims at leaving to be dropped. */
const droppedTarget = 2_000
/** Guesses at how far to count before everything is looked at anew. */
const guessesMax = 3

/** The samples of a query, sliced. */
export const slicedSamples = (queries: SampleQueries, query: SampleQuery): Sliced<Sample> => ({
  rows: (range, rowsMax) => queries.samples(range, query, rowsMax),
  survey: (range) => queries.survey(range, query),
  unit: (timeNs) => ({ startNs: timeNs, endNs: timeNs }),
  firstWidthNs: 1n,
  samplesMax: sliceRowsMax
})

/** Sorts the samples of a slice in the order of a query. */
export const sorted = (samples: ReadonlyArray<Sample>, order: SampleOrder): Array<Sample> =>
  order === "asc" ? [...samples].sort(compareSamples) : [...samples].sort((a, b) => compareSamples(b, a))

/** The part of a range that a cursor leaves: its instant and all behind it. */
const behind = (range: Range, order: SampleOrder, { start }: Page): Range | undefined =>
  "offset" in start
    ? range
    : intersection(
        range,
        order === "asc"
          ? { startNs: start.after.timeNs, endNs: range.endNs }
          : { startNs: range.startNs, endNs: start.after.timeNs }
      )

interface Place {
  readonly range: Range
  readonly offset: number
  readonly hint: Extent | undefined
}

/** Counts its way towards an offset, until few enough are left to be read. `undefined` where the result ends before it. */
const skip = (
  queries: SampleQueries,
  query: SampleQuery,
  from: Place
): Effect.Effect<Place | undefined, StoreUnavailable> =>
  Effect.gen(function* () {
    const isAscending = query.order === "asc"
    let { range, offset } = from
    let hint = from.hint
    for (let guesses = 0; offset > droppedMax && range.startNs < range.endNs; guesses++) {
      if (hint === undefined || guesses === guessesMax) {
        hint = yield* queries.survey(range, query)
        if (hint === undefined || hint.samples <= offset) return undefined
        guesses = 0
        range = intersection(range, { startNs: hint.firstNs, endNs: hint.lastNs }) ?? range
        if (range.startNs === range.endNs) break
      }
      const widthNs = widthOf(offset - droppedTarget, densityOf(hint))
      const head: Range = isAscending
        ? {
            startNs: range.startNs,
            endNs: (hint.firstNs > range.startNs ? hint.firstNs : range.startNs) + widthNs
          }
        : { startNs: (hint.lastNs < range.endNs ? hint.lastNs : range.endNs) - widthNs, endNs: range.endNs }
      const counted = intersection(range, head) ?? range
      const found = yield* queries.count(counted, query)
      if (found > offset) {
        range = counted
        const [firstNs, lastNs] = [hint.firstNs, hint.lastNs]
        const within = intersection({ startNs: firstNs, endNs: lastNs }, counted) ?? counted
        hint = { firstNs: within.startNs, lastNs: within.endNs, samples: found }
        continue
      }
      offset -= found
      const rest = isAscending
        ? { startNs: counted.endNs + 1n, endNs: range.endNs }
        : { startNs: range.startNs, endNs: counted.startNs - 1n }
      if (rest.startNs > rest.endNs) return undefined
      range = rest
    }
    // What was narrowed down is where the page begins; it may reach beyond.
    const reached: Range = isAscending
      ? { startNs: range.startNs, endNs: from.range.endNs }
      : { startNs: from.range.startNs, endNs: range.endNs }
    return { range: reached, offset, hint }
  })

export const makePage =
  (queries: SampleQueries, catalogue: Pick<Catalogue, "extent">) =>
  (query: SampleQuery, page: Page): Effect.Effect<ReadonlyArray<Sample>, StoreUnavailable> =>
    Effect.gen(function* () {
      const { order } = query
      const whole = rangeOf(query)
      const range = whole === undefined ? undefined : behind(whole, order, page)
      if (range === undefined || page.limit <= 0) return []
      const { start } = page
      const hint = Option.getOrUndefined(yield* catalogue.extent({ ...query, ...range }))
      const place = yield* skip(queries, query, { range, offset: "offset" in start ? start.offset : 0, hint })
      if (place === undefined) return []
      const walk = new SliceWalk(slicedSamples(queries, query), place.range, order, place.hint)
      const isBehind = (sample: Sample) => {
        if ("offset" in start) return true
        const compared = compareSamples(sample, start.after)
        return order === "asc" ? compared > 0 : compared < 0
      }
      let { offset } = place
      const found: Array<Sample> = []
      while (found.length < page.limit && !walk.isDone) {
        const missing = offset + page.limit - found.length
        const rows = yield* walk.next(Math.min(missing + missing / 4 + 20, sliceRowsTarget))
        const wanted = "offset" in start ? rows : rows.filter(isBehind)
        if (wanted.length <= offset) {
          offset -= wanted.length
          continue
        }
        for (const sample of sorted(wanted, order).slice(offset, offset + page.limit - found.length)) {
          found.push(sample)
        }
        offset = 0
      }
      return found
    })
