/** From parameters to a question that the store understands. */
import { Either } from "effect"
import type { Page, SampleQuery, WindowQuery } from "../../layers/TelemetryStore.ts"
import { formatTime } from "../../protocol/Time.ts"
import type { GatewayConfig } from "../GatewayConfig.ts"
import { BadRequest } from "../Problem.ts"
import { readSampleCursor } from "./Cursor.ts"
import type { TelemetryFilters, TelemetryParameters } from "./Parameters.ts"

/** A text filter, where it restricts. */
export const given = (text: string | undefined): string | undefined => (text === "" ? undefined : text)

/** The samples, of a GPU or of all, that the filters let through. */
export const sampleQuery = (
  uuid: string | undefined,
  filters: TelemetryFilters
): Either.Either<SampleQuery, BadRequest> => {
  const { start_time, end_time, metric_name, hostname, gpu_id, order = "desc" } = filters
  if (start_time !== undefined && end_time !== undefined && start_time > end_time) {
    return Either.left(
      BadRequest.because(
        `start_time: expected an instant at or before end_time (${formatTime(end_time)}), got ${formatTime(start_time)}`
      )
    )
  }
  return Either.right({
    order,
    ...(uuid === undefined ? {} : { uuid }),
    ...(start_time === undefined ? {} : { startNs: start_time }),
    ...(end_time === undefined ? {} : { endNs: end_time }),
    ...(metric_name === undefined || metric_name === "" ? {} : { metricName: metric_name }),
    ...(hostname === undefined || hostname === "" ? {} : { hostname }),
    ...(gpu_id === undefined ? {} : { gpuId: gpu_id })
  })
}

const filtersOf = (query: SampleQuery): ReadonlyArray<unknown> => [
  query.order,
  query.uuid,
  query.metricName,
  query.hostname,
  query.gpuId,
  query.startNs,
  query.endNs
]

/** What makes two queries the same to a cursor. */
export const queryIdentity = (query: SampleQuery): ReadonlyArray<unknown> => ["samples", ...filtersOf(query)]

/** What makes two queries for windows the same to a cursor. */
export const windowQueryIdentity = (query: WindowQuery): ReadonlyArray<unknown> => [
  "windows",
  ...filtersOf(query),
  query.windowNs,
  query.aggregate,
  query.groupBy
]

/** The slice of the query's result that is asked for. */
export const samplePage = (
  query: SampleQuery,
  parameters: TelemetryParameters,
  config: GatewayConfig["Type"]
): Either.Either<Page, BadRequest> => {
  const { cursor, limit = config.defaultLimit, offset = 0 } = parameters
  const rows = Math.min(limit, config.maxLimit)
  if (cursor === undefined) return Either.right({ limit: rows, start: { offset } })
  return offset > 0
    ? Either.left(BadRequest.because("offset: expected 0 together with a cursor"))
    : Either.map(readSampleCursor(cursor, queryIdentity(query)), (after) => ({
        limit: rows,
        start: { after }
      }))
}
