/**
 * What the lists, the figures and the bounds of a query are answered from, instead of asking InfluxDB about everything it
 * holds: which series there are, from when to when, and how many samples.
 *
 * It is a view of what InfluxDB holds and nothing else: any number of processes have one each, and agree. What this process
 * writes is in its own at once. What others write is found by counting again, at a cost that is bounded:
 *
 * - the *open* hour, and ten minutes of the one before, every few seconds;
 * - a day, once whoever wrote samples older than that has marked it, in the catalogue bucket;
 * - everything, every ten seconds or more, for those who leave no marks. Where it is not what it was, the days that have changed.
 *
 * How many samples a day holds is kept in the catalogue bucket, so that a start does not look at each of them; that it is still
 * true is what the count of everything says, before the first answer.
 */
import { randomUUID } from "node:crypto"
import { Clock, Deferred, Effect, Option, type Scope } from "effect"
import type { Sample } from "../../../protocol/Sample.ts"
import type { TimeNs } from "../../../protocol/Time.ts"
import { type SampleFilter, StoreUnavailable, type TelemetryStore } from "../../TelemetryStore.ts"
import type { Buckets } from "./buckets.ts"
import { dayOf, make as makeQueries } from "./CatalogueQueries.ts"
import { CatalogueView, frontierAt } from "./CatalogueView.ts"
import { type InfluxConnection, statusOf } from "./Connection.ts"
import type { SampleQueries } from "./queries.ts"

/** A count is repeated after ten times as long as it took, if that is more than the interval. */
const dutyDivisor = 10
/** After one that failed, however long that took: what it waited for may be mended, and says nothing of the next. */
const failedPauseMsMax = 30_000
/** For how long the view stands in for what InfluxDB can't tell. */
const staleMsMax = 60_000
/** For how long who asks waits until everything has been looked at, or what was written is counted. */
const waitMsMax = 5_000

/** Where samples that match a filter are known to be. A hint: what others wrote just now may lie outside. */
export interface Extent {
  readonly firstNs: TimeNs
  readonly lastNs: TimeNs
  /** About as many samples. */
  readonly samples: number
}

export interface Catalogue
  extends Pick<TelemetryStore["Type"], "gpus" | "gpu" | "metricNames" | "stats" | "ready"> {
  /** None where nothing that matches is known. */
  readonly extent: (filter: SampleFilter) => Effect.Effect<Option.Option<Extent>, StoreUnavailable>
  /**
   * Notes samples that InfluxDB has just stored, so that every process will count them. A write is done when this is, and is
   * repeated when it fails.
   */
  readonly wrote: (samples: ReadonlyArray<Sample>) => Effect.Effect<void, StoreUnavailable>
}

const isForbidden = (failure: StoreUnavailable): boolean => [401, 403, 404].includes(statusOf(failure) ?? 0)

/** For how long a count has to rest when it is done or has failed, which was told, so that InfluxDB has other work to do. */
const restAfter = (count: Effect.Effect<void, StoreUnavailable>): Effect.Effect<number> =>
  Effect.gen(function* () {
    const startMs = yield* Clock.currentTimeMillis
    const { _tag } = yield* Effect.either(count)
    const restMs = ((yield* Clock.currentTimeMillis) - startMs) * dutyDivisor
    return _tag === "Right" ? restMs : Math.min(restMs, failedPauseMsMax)
  })

/** The view of one process: read when it is first asked for, and followed from then on, while the scope is open. */
export const make = (
  connection: InfluxConnection,
  samples: SampleQueries,
  buckets: Pick<Buckets, "catalogue" | "noteFailure">
): Effect.Effect<Catalogue, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { openIntervalMs, everythingIntervalMs } = connection.config
    const scope = yield* Effect.scope
    const oneAtATime = (yield* Effect.makeSemaphore(1)).withPermits(1)
    const queries = makeQueries(connection, samples)
    let hasToldForbidden = false
    let freshAtMs = 0
    let failure: StoreUnavailable | undefined

    /**
     * What is read from or kept in the catalogue bucket, which is made anew where somebody has removed it. Where the token
     * may not have one, nothing is kept, and nobody fails for it.
     */
    const beside = <A>(effect: Effect.Effect<A, StoreUnavailable>, otherwise: A) =>
      Effect.zipRight(buckets.catalogue, effect).pipe(
        Effect.tapError(buckets.noteFailure),
        Effect.retry({ times: 1, while: (failure) => statusOf(failure) === 404 }),
        Effect.catchIf(isForbidden, ({ message }) =>
          Effect.suspend(() => {
            const tell = hasToldForbidden
              ? Effect.void
              : Effect.logWarning(`counts of days are not kept, so every start counts them: ${message}`)
            hasToldForbidden = true
            return Effect.as(tell, otherwise)
          })
        )
      )

    const view = new CatalogueView(queries, {
      read: beside(queries.days, []),
      keep: (records) => beside(queries.keepDays(records), undefined)
    })

    const unavailable = (problem: string, cause?: unknown) =>
      new StoreUnavailable({ store: connection.description, problem, cause })

    /** The first failure is told, and for how long nothing was heard is known. */
    const refresh = (work: Effect.Effect<void, StoreUnavailable>) =>
      Effect.gen(function* () {
        yield* work
        freshAtMs = yield* Clock.currentTimeMillis
        failure = undefined
      }).pipe(
        Effect.catchAllDefect((cause) => Effect.fail(unavailable(`is not understood: ${cause}`, cause))),
        Effect.tapError((error) =>
          Effect.suspend(() => {
            const isTold = failure !== undefined
            failure = error
            return isTold ? Effect.void : Effect.logWarning(`can't see what is stored: ${error.message}`)
          })
        )
      )

    const follow = Effect.gen(function* () {
      let openRestMs = 0
      let everythingRestMs = 0
      let sinceEverythingMs = 0
      for (;;) {
        const pauseMs = Math.max(openIntervalMs, openRestMs)
        yield* Effect.sleep(pauseMs)
        sinceEverythingMs += pauseMs
        openRestMs = yield* restAfter(oneAtATime(refresh(Effect.zipRight(view.countOpen, view.readSeries))))
        const isDue = sinceEverythingMs >= Math.max(everythingIntervalMs, everythingRestMs)
        if (!isDue || failure !== undefined) continue
        everythingRestMs = yield* restAfter(
          oneAtATime(refresh(Effect.zipRight(view.countAll, view.readSeries)))
        )
        sinceEverythingMs = 0
      }
    })

    const inTime = Effect.timeoutFail({
      duration: waitMsMax,
      onTimeout: () => unavailable("what it holds is still being counted")
    })

    /** The attempt to read everything that is under way. */
    let loading: Deferred.Deferred<void, StoreUnavailable> | undefined

    /** In a fiber of its own: who asks may go away, and the next one would begin anew. */
    const startLoading = Effect.gen(function* () {
      const attempt = yield* Deferred.make<void, StoreUnavailable>()
      loading = attempt
      yield* oneAtATime(refresh(view.load)).pipe(
        Effect.zipLeft(Effect.forkIn(follow, scope)),
        Effect.onExit(() =>
          Effect.sync(() => {
            loading = undefined
          })
        ),
        Effect.intoDeferred(attempt),
        Effect.forkIn(scope)
      )
      return attempt
    })

    const loaded = Effect.suspend(() =>
      loading === undefined ? startLoading : Effect.succeed(loading)
    ).pipe(Effect.flatMap(Deferred.await), inTime)

    /** What follows from the view, once there is one, and while it is not too old. */
    const fromView = <A>(use: () => A): Effect.Effect<A, StoreUnavailable> =>
      Effect.gen(function* () {
        if (!view.isLoaded) yield* loaded
        if (failure !== undefined && (yield* Clock.currentTimeMillis) - freshAtMs > staleMsMax) {
          return yield* Effect.fail(failure)
        }
        return use()
      })

    /** Counts what this process has written, unless another fiber just did. */
    const counted = oneAtATime(
      Effect.suspend(() => (view.isUncounted ? refresh(view.countOpen) : Effect.void))
    ).pipe(inTime)

    return {
      gpus: (filter) => fromView(() => view.series.gpus(filter)),
      gpu: (uuid) => fromView(() => Option.fromNullable(view.series.gpu(uuid))),
      metricNames: (uuid) => fromView(() => view.series.metricNames(Option.getOrUndefined(uuid))),
      stats: Effect.zipRight(
        Effect.suspend(() => (view.isLoaded && view.isUncounted ? counted : Effect.void)),
        fromView(() => {
          const extent = view.series.extent({})
          return {
            gpus: view.series.gpuCount,
            samples: view.samples,
            evicted: 0,
            ...(extent === undefined ? {} : { oldestNs: extent.firstNs, newestNs: extent.lastNs })
          }
        })
      ),
      ready: fromView(() => undefined),
      extent: (filter) =>
        fromView(() =>
          Option.map(Option.fromNullable(view.series.extent(filter)), ({ series, firstNs, lastNs }) => ({
            firstNs,
            lastNs,
            samples: Math.ceil((view.samples * series) / view.series.size)
          }))
        ),
      wrote: (samples) =>
        Effect.gen(function* () {
          const { openNs } = frontierAt(yield* Clock.currentTimeMillis)
          const older = new Set<TimeNs>()
          for (const { timeNs } of samples) if (timeNs < openNs) older.add(dayOf(timeNs))
          if (older.size > 0) {
            const written = randomUUID()
            const marks = [...older].map((day) => ({ dayNs: day, written }))
            yield* beside(queries.keepDays(marks), undefined)
          }
          view.note(samples)
        })
    }
  })
