/**
 * Where a page ended, as a text that a client hands back unread.
 *
 * A cursor is base64url of a JSON array: a digest of the query it belongs to, and the place behind which to go on. The
 * digest is there to catch mistakes; it protects nothing, as a cursor gives no access that its query would not.
 */
import { createHash } from "node:crypto"
import { Either, Option, Schema } from "effect"
import type { Sample } from "../../protocol/Sample.ts"
import { seriesKey, sortLabels } from "../../protocol/Series.ts"
import { timeNsMax, timeNsMin } from "../../protocol/Time.ts"
import type { WindowPlace } from "../../protocol/Window.ts"
import { BadRequest, shown } from "../Problem.ts"

/** Characters of the digest that a cursor carries. */
const digestLength = 16

const digestOf = (query: ReadonlyArray<unknown>): string =>
  createHash("sha256")
    .update(JSON.stringify(query.map((part) => (typeof part === "bigint" ? String(part) : (part ?? null)))))
    .digest("base64url")
    .slice(0, digestLength)

const encode = (query: ReadonlyArray<unknown>, place: string): string =>
  Buffer.from(`["${digestOf(query)}",${place}]`).toString("base64url")

const decode = (
  cursor: string,
  query: ReadonlyArray<unknown>
): Either.Either<ReadonlyArray<unknown>, BadRequest> => {
  if (!/^[\w-]+$/.test(cursor)) return malformed(cursor)
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(cursor, "base64url").toString())
  } catch {
    return malformed(cursor)
  }
  if (!Array.isArray(parts) || typeof parts[0] !== "string" || parts[0].length !== digestLength) {
    return malformed(cursor)
  }
  return parts[0] === digestOf(query)
    ? Either.right(parts.slice(1))
    : Either.left(
        BadRequest.because(
          `cursor: expected a next_cursor of the same query (filters, order and windows), got ${shown(cursor)} of another`
        )
      )
}

const malformed = (cursor: string) =>
  Either.left(BadRequest.because(`cursor: expected a next_cursor of an earlier page, got ${shown(cursor)}`))

/** The cursor behind a GPU in a list of GPUs. */
export const gpuCursor = (query: ReadonlyArray<unknown>, uuid: string): string =>
  encode(query, JSON.stringify(uuid))

/** The UUID that a cursor of this query stands behind. */
export const readGpuCursor = (
  cursor: string,
  query: ReadonlyArray<unknown>
): Either.Either<string, BadRequest> =>
  Either.flatMap(decode(cursor, query), ([uuid]) =>
    typeof uuid === "string" ? Either.right(uuid) : malformed(cursor)
  )

const Text = Schema.String
const Integer = Schema.String.pipe(Schema.pattern(/^-?\d{1,19}$/))
const SamplePlace = Schema.Tuple(
  Integer,
  // In the order of seriesKey.
  Schema.Tuple(
    ...[Text, Text, Text, Schema.NullOr(Schema.NonNegativeInt)],
    ...[Text, Text, Text, Text, Text],
    Schema.Array(Schema.Tuple(Text, Text))
  )
)
const readSamplePlace = Schema.decodeUnknownOption(SamplePlace)

/** The cursor behind a sample in a result. */
export const sampleCursor = (query: ReadonlyArray<unknown>, { series, timeNs }: Sample): string =>
  encode(query, `"${timeNs}",${seriesKey(series)}`)

/** The identity of the sample that a cursor of this query stands behind. */
export const readSampleCursor = (
  cursor: string,
  query: ReadonlyArray<unknown>
): Either.Either<Pick<Sample, "series" | "timeNs">, BadRequest> =>
  Either.flatMap(decode(cursor, query), (place) => {
    const read = readSamplePlace(place)
    if (Option.isNone(read)) return malformed(cursor)
    const [time, key] = read.value
    const timeNs = BigInt(time)
    if (timeNs < timeNsMin || timeNs > timeNsMax) return malformed(cursor)
    const [metricName, uuid, hostname, gpuId, device, modelName, container, pod, namespace, labels] = key
    return Either.right({
      timeNs,
      series: {
        ...{ metricName, uuid, hostname, gpuId: gpuId ?? undefined, device, modelName },
        ...{ container, pod, namespace, labels: sortLabels(labels) }
      }
    })
  })

const readWindowPlace = Schema.decodeUnknownOption(Schema.Tuple(Integer, Text, Text))

/** The cursor behind a window in a result. */
export const windowCursor = (
  query: ReadonlyArray<unknown>,
  { startNs, metricName, group }: WindowPlace
): string => encode(query, `"${startNs}",${JSON.stringify(metricName)},${JSON.stringify(group)}`)

/** The window that a cursor of this query stands behind. */
export const readWindowCursor = (
  cursor: string,
  query: ReadonlyArray<unknown>
): Either.Either<WindowPlace, BadRequest> =>
  Either.flatMap(decode(cursor, query), (place) => {
    const read = readWindowPlace(place)
    if (Option.isNone(read)) return malformed(cursor)
    const [start, metricName, group] = read.value
    const startNs = BigInt(start)
    // The first window that there can be starts before the first instant that is carried.
    return startNs > timeNsMax ? malformed(cursor) : Either.right({ startNs, metricName, group })
  })
