/** The reading half of the store: pages, whole results and windows, over Flux. */
import { Chunk, Effect, Option, Stream } from "effect"
import type { Sample } from "../../../protocol/Sample.ts"
import type { SampleQuery, StoreUnavailable, TelemetryStore } from "../../TelemetryStore.ts"
import type { Catalogue } from "./Catalogue.ts"
import { intersection, type Range, rangeOf } from "./flux.ts"
import { makePage, slicedSamples, sorted } from "./pages.ts"
import type { SampleQueries } from "./queries.ts"
import { SliceWalk, sliceRowsTarget } from "./slices.ts"
import { makeWindows } from "./windows.ts"

/** Samples in one chunk of a stream. */
const chunkSamples = 1_000

const chunked = (samples: ReadonlyArray<Sample>): Chunk.Chunk<ReadonlyArray<Sample>> => {
  const chunks: Array<ReadonlyArray<Sample>> = []
  for (let start = 0; start < samples.length; start += chunkSamples) {
    chunks.push(samples.slice(start, start + chunkSamples))
  }
  return Chunk.unsafeFromArray(chunks)
}

const makeSamples =
  (queries: SampleQueries, catalogue: Pick<Catalogue, "extent">) =>
  (query: SampleQuery): Stream.Stream<ReadonlyArray<Sample>, StoreUnavailable> => {
    const { order } = query
    /** What arrives behind the newest sample of now is left out, or a slow reader of a busy GPU would never reach the end. */
    const fixed = (range: Range) =>
      order === "desc"
        ? Effect.succeed(range)
        : Effect.map(queries.last(range, query), (endNs) =>
            endNs === undefined ? undefined : intersection(range, { startNs: range.startNs, endNs })
          )
    return Stream.unwrap(
      Effect.gen(function* () {
        const whole = rangeOf(query)
        const range = whole === undefined ? undefined : yield* fixed(whole)
        if (range === undefined) return Stream.empty
        const hint = Option.getOrUndefined(yield* catalogue.extent({ ...query, ...range }))
        const walk = new SliceWalk(slicedSamples(queries, query), range, order, hint)
        return Stream.repeatEffectChunkOption(
          Effect.suspend(() =>
            walk.isDone
              ? Effect.fail(Option.none<StoreUnavailable>())
              : Effect.mapBoth(walk.next(sliceRowsTarget), {
                  onFailure: Option.some,
                  onSuccess: (rows) => chunked(sorted(rows, order))
                })
          )
        )
      })
    )
  }

export const makeReading = (
  queries: SampleQueries,
  catalogue: Pick<Catalogue, "extent">
): Pick<TelemetryStore["Type"], "page" | "samples" | "windows"> => {
  const samples = makeSamples(queries, catalogue)
  return {
    page: makePage(queries, catalogue),
    samples,
    windows: makeWindows(queries, catalogue, samples)
  }
}
