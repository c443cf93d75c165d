/** From parameters to the windows of a query, and to one page of them. */
import { Effect, Either, Option, Stream } from "effect"
import type {
  StoreUnavailable,
  TelemetryStore,
  WindowQuery,
  WindowValue
} from "../../layers/TelemetryStore.ts"
import { dcgmCatalogue } from "../../protocol/DcgmCatalogue.ts"
import { formatDurationNs } from "../../protocol/Duration.ts"
import { aggregateWindowsMax } from "../../protocol/Limits.ts"
import { formatTime, type TimeNs, timeNsMax, timeNsMin } from "../../protocol/Time.ts"
import { compareWindows, type Grouping, type WindowPlace, windowStart } from "../../protocol/Window.ts"
import type { GatewayConfig } from "../GatewayConfig.ts"
import { BadRequest } from "../Problem.ts"
import type { AggregatedMetric, AggregatedTelemetryPage } from "./Answers.ts"
import { readWindowCursor, windowCursor } from "./Cursor.ts"
import type { FleetTelemetryParameters } from "./Parameters.ts"
import { sampleQuery, windowQueryIdentity } from "./Query.ts"

const max = (a: TimeNs, b: TimeNs): TimeNs => (a > b ? a : b)
const min = (a: TimeNs, b: TimeNs): TimeNs => (a < b ? a : b)

/** The windows that are asked for; none where samples are. */
export const windowQuery = (
  uuid: string | undefined,
  parameters: FleetTelemetryParameters
): Either.Either<Option.Option<WindowQuery>, BadRequest> => {
  const { window, aggregate, group_by } = parameters
  if (window === undefined && aggregate === undefined) {
    return group_by === undefined
      ? Either.right(Option.none())
      : Either.left(BadRequest.because("group_by: expected only together with window and aggregate"))
  }
  if (window === undefined) {
    return Either.left(BadRequest.because("window: expected a duration together with aggregate, got none"))
  }
  if (aggregate === undefined) {
    return Either.left(BadRequest.because("aggregate: expected one together with window, got none"))
  }
  return Either.map(sampleQuery(uuid, parameters), (query) =>
    Option.some({ ...query, windowNs: window, aggregate, groupBy: group_by ?? "gpu" })
  )
}

/** The shortest round window by which a span of time makes no more windows than are allowed. */
const windowFor = (spanNs: bigint): TimeNs => {
  // One window more than fit into the span may be begun at either end of it.
  const neededNs = spanNs / BigInt(aggregateWindowsMax - 2) + 1n
  const roundNs = [1_000_000n, 1_000_000_000n, 60_000_000_000n].findLast((ns) => ns <= neededNs) ?? 1_000_000n
  return ((neededNs + roundNs - 1n) / roundNs) * roundNs
}

const refuseTooMany = (query: WindowQuery, startNs: TimeNs, endNs: TimeNs): Option.Option<BadRequest> => {
  const { windowNs } = query
  const count = (windowStart(endNs, windowNs) - windowStart(startNs, windowNs)) / windowNs + 1n
  if (count <= BigInt(aggregateWindowsMax)) return Option.none()
  return Option.some(
    BadRequest.because(
      `window: ${formatDurationNs(windowNs)} makes ${count} windows from ${formatTime(startNs)} to ${formatTime(endNs)}, expected ${aggregateWindowsMax} at most: take ${formatDurationNs(windowFor(endNs - startNs))} or longer, or a shorter time by start_time and end_time`
    )
  )
}

/** The times of the oldest and the newest sample that a query can find; none where the store knows of none yet. */
const stored = (store: TelemetryStore["Type"], { uuid }: WindowQuery) =>
  uuid === undefined
    ? Effect.map(store.stats, ({ oldestNs, newestNs }) =>
        oldestNs === undefined || newestNs === undefined ? Option.none() : Option.some({ oldestNs, newestNs })
      )
    : Effect.map(
        store.gpu(uuid),
        Option.map((gpu) => ({ oldestNs: gpu.firstSeenNs, newestNs: gpu.lastSeenNs }))
      )

/** Refuses a query that more windows than are allowed may be in, whether or not they hold a sample. */
const checkCount = (
  store: TelemetryStore["Type"],
  query: WindowQuery
): Effect.Effect<void, BadRequest | StoreUnavailable> =>
  Effect.flatMap(stored(store, query), (times) =>
    Option.match(
      Option.flatMap(times, ({ oldestNs, newestNs }) => {
        const startNs = max(query.startNs ?? oldestNs, oldestNs)
        const endNs = min(query.endNs ?? newestNs, newestNs)
        return startNs > endNs ? Option.none() : refuseTooMany(query, startNs, endNs)
      }),
      { onNone: () => Effect.void, onSome: Effect.fail }
    )
  )

/** Negative where `a` comes before `b` in the order of the query. */
const compare = ({ order }: WindowQuery, a: WindowPlace, b: WindowPlace): number =>
  order === "asc" ? compareWindows(a, b) : compareWindows(b, a)

/** The same query from a window on, which is still whole in it. */
const from = (query: WindowQuery, { startNs }: WindowPlace): WindowQuery =>
  query.order === "asc"
    ? { ...query, startNs: max(startNs, query.startNs ?? timeNsMin) }
    : { ...query, endNs: max(timeNsMin, min(startNs + query.windowNs - 1n, query.endNs ?? timeNsMax)) }

/** At most so many windows behind the first `offset`, or behind one of them; no more is computed than that takes. */
const slice = (
  store: TelemetryStore["Type"],
  query: WindowQuery,
  start: { readonly offset: number } | { readonly after: WindowPlace },
  limit: number
): Effect.Effect<ReadonlyArray<WindowValue>, StoreUnavailable> =>
  Effect.suspend(() => {
    const taken: Array<WindowValue> = []
    let skip = "offset" in start ? start.offset : 0
    const isBehind = (window: WindowValue): boolean =>
      "after" in start ? compare(query, window, start.after) > 0 : skip-- <= 0
    return Effect.as(
      Stream.runForEachWhile(store.windows("after" in start ? from(query, start.after) : query), (windows) =>
        Effect.sync(() => {
          for (const window of windows) {
            if (taken.length < limit && isBehind(window)) taken.push(window)
          }
          return taken.length < limit
        })
      ),
      taken
    )
  })

/** The field of a row that names its group. */
const fieldOf: Record<Grouping, "uuid" | "hostname" | "model_name" | undefined> = {
  ...{ gpu: "uuid", host: "hostname", model: "model_name" },
  metric: undefined
}

const rowOf = ({ aggregate, groupBy }: WindowQuery, window: WindowValue): AggregatedMetric => {
  const field = fieldOf[groupBy]
  const unit = aggregate === "count" ? undefined : dcgmCatalogue.get(window.metricName)?.unit
  return {
    timestamp: formatTime(window.startNs),
    metric_name: window.metricName,
    ...(field === undefined ? {} : { [field]: window.group }),
    // JSON has no infinity, which only a sum can come to.
    value: Math.min(Math.max(window.value, -Number.MAX_VALUE), Number.MAX_VALUE),
    ...(unit === undefined ? {} : { unit })
  }
}

/** A page of windows. */
export const windowsPage = Effect.fnUntraced(function* (
  store: TelemetryStore["Type"],
  config: GatewayConfig["Type"],
  query: WindowQuery,
  parameters: FleetTelemetryParameters
): Effect.fn.Return<AggregatedTelemetryPage, BadRequest | StoreUnavailable> {
  const { cursor, offset = 0 } = parameters
  const limit = Math.min(parameters.limit ?? config.defaultLimit, config.maxLimit)
  const identity = windowQueryIdentity(query)
  if (cursor !== undefined && offset > 0) {
    return yield* Effect.fail(BadRequest.because("offset: expected 0 together with a cursor"))
  }
  const start = cursor === undefined ? { offset } : { after: yield* readWindowCursor(cursor, identity) }
  yield* checkCount(store, query)
  // One more than is answered tells whether there is a next page.
  const found = yield* slice(store, query, start, limit + 1)
  const windows = found.slice(0, limit)
  return {
    data: windows.map((window) => rowOf(query, window)),
    count: windows.length,
    window: formatDurationNs(query.windowNs),
    aggregate: query.aggregate,
    group_by: query.groupBy,
    ...(found.length > limit ? { next_cursor: windowCursor(identity, windows.at(-1)!) } : {})
  }
})
