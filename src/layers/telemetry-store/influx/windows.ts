/** Windows out of InfluxDB, slice by slice of whole windows, as far as they are asked for. */

import { Effect, Option, Stream } from "effect"
import { timeNsMax, timeNsMin } from "../../../protocol/Time.ts"
import { compareWindows, windowStart } from "../../../protocol/Window.ts"
import type { StoreUnavailable, TelemetryStore, WindowQuery, WindowValue } from "../../TelemetryStore.ts"
import { windowsOf } from "../windows.ts"
import type { Catalogue, Extent } from "./Catalogue.ts"
import { intersection, type Range, rangeOf } from "./flux.ts"
import type { SampleQueries } from "./queries.ts"
import { type Sliced, SliceWalk, sliceRowsTarget } from "./slices.ts"
import { type Plan, withPlan } from "./window-plans.ts"

/** Windows of the first slice, and the rows that it aims at: about a page. */
const firstWindows = 16n
const firstRowsTarget = 500

/** Windows of a range that lies within `safe`, in the order of the query. */
const walked = <A>(
  plan: Plan<A>,
  queries: SampleQueries,
  query: WindowQuery,
  range: Range,
  hint: Extent | undefined
): Stream.Stream<ReadonlyArray<WindowValue>, StoreUnavailable> => {
  const { windowNs, order } = query
  const sliced: Sliced<A> = {
    rows: plan.parts,
    survey: (surveyed) => queries.survey(surveyed, query),
    unit: (timeNs) => {
      const startNs = windowStart(timeNs, windowNs)
      return { startNs, endNs: startNs + windowNs - 1n }
    },
    firstWidthNs: firstWindows * windowNs,
    samplesMax: plan.samplesMax
  }
  return Stream.suspend(() => {
    const walk = new SliceWalk(sliced, range, order, hint)
    let rowsTarget = firstRowsTarget
    return Stream.repeatEffectOption(
      Effect.suspend(() => {
        if (walk.isDone) return Effect.fail(Option.none<StoreUnavailable>())
        const next = walk.next(rowsTarget)
        rowsTarget = sliceRowsTarget
        return Effect.mapBoth(next, {
          onFailure: Option.some,
          onSuccess: (parts) => {
            const rows = [...plan.finish(parts)].sort(compareWindows)
            return order === "asc" ? rows : rows.reverse()
          }
        })
      })
    )
  }).pipe(Stream.filter((rows) => rows.length > 0))
}

/**
 * The windows that InfluxDB is asked for: those that lie, with one before and one behind them, within the times it knows. Beyond,
 * its arithmetic overflows, and a query may never end.
 */
const safe = (windowNs: bigint): Range => ({
  startNs: windowStart(timeNsMin + 2n * windowNs, windowNs),
  endNs: windowStart(timeNsMax - windowNs, windowNs) - 1n
})

/** The parts of a range before, in and behind another. */
const split = (range: Range, { startNs, endNs }: Range): ReadonlyArray<Range | undefined> =>
  startNs > endNs
    ? [range, undefined, undefined]
    : [
        intersection(range, { startNs: range.startNs, endNs: startNs - 1n }),
        intersection(range, { startNs, endNs }),
        intersection(range, { startNs: endNs + 1n, endNs: range.endNs })
      ]

export const makeWindows = (
  queries: SampleQueries,
  catalogue: Pick<Catalogue, "extent">,
  samples: TelemetryStore["Type"]["samples"]
): TelemetryStore["Type"]["windows"] => {
  const pushed = (query: WindowQuery, range: Range) =>
    Stream.unwrap(
      Effect.map(catalogue.extent({ ...query, ...range }), (hint) =>
        withPlan(queries, query, (plan) => walked(plan, queries, query, range, Option.getOrUndefined(hint)))
      )
    )

  /** Of times at which hardly anything can be, made here. */
  const edge = (query: WindowQuery, range: Range) =>
    Stream.unwrap(
      Effect.map(queries.samples(range, query, 1), ([any]) =>
        any === undefined ? Stream.empty : windowsOf(query, samples({ ...query, ...range }))
      )
    )

  return (query) => {
    const range = rangeOf(query)
    if (range === undefined) return Stream.empty
    const [before, within, after] = split(range, safe(query.windowNs))
    const parts = [
      before === undefined ? Stream.empty : edge(query, before),
      within === undefined ? Stream.empty : pushed(query, within),
      after === undefined ? Stream.empty : edge(query, after)
    ]
    return Stream.flatten(Stream.fromIterable(query.order === "asc" ? parts : parts.reverse()))
  }
}
