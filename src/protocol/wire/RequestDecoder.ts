/** Decodes what a client sent, and says in words what is wrong with it. */
import { payloadBytesMax, positionBytesMax } from "../Limits.ts"
import { JsonScanner } from "./JsonScanner.ts"
import { Members, WrongMember } from "./Members.ts"
import type {
  AckRequest,
  HelloRequest,
  OffsetRange,
  PublishRequest,
  Request,
  SetOffsetRequest,
  SubscribeRequest
} from "./Requests.ts"
import { type WireErrorCode, wireErrors } from "./WireErrors.ts"

/** Longest `correlation_id`, and longest id as JSON: what answers and messages repeat is short. */
const correlationBytesMax = 1_024
const idBytesMax = 768
const idLengthMax = 256
/** Ranges and messages that one `ack` names. */
export const ackRangesMax = 10_000
export const ackedMessagesMax = 65_536

/** A frame that is no request, and why. */
export interface MalformedRequest {
  readonly correlation: string
  readonly type: "malformed"
  readonly code: WireErrorCode
  readonly error: string
}

const names = [
  "type",
  "payload",
  "correlation_id",
  "subscriber_id",
  "offset",
  "message_id",
  "producer_id",
  "sequence",
  "position",
  "token",
  "version",
  "max_in_flight",
  "max_in_flight_bytes",
  "binary",
  "resume",
  "ranges",
  "time"
] as const

type Found = Members<(typeof names)[number]>

const scanner = new JsonScanner(names)
const members: Found = new Members(scanner, names)

/** A request that says what it should not. Thrown and caught within this module. */
class BadRequest {
  constructor(
    readonly error: string,
    readonly code: WireErrorCode = "bad_request"
  ) {}
}

const malformed = (
  correlation: string,
  code: WireErrorCode,
  error: string = wireErrors[code]
): MalformedRequest => ({
  type: "malformed",
  correlation,
  code,
  error
})

/** Decodes the body of a frame that is JSON. */
export const decodeRequest = (bytes: Uint8Array, start: number, end: number): Request | MalformedRequest => {
  if (start === end) return malformed("", "empty_frame")
  if (!scanner.scanObject(bytes, start, end)) {
    const { problem } = scanner
    if (problem === "not_an_object") return malformed("", "bad_request", "not an object")
    return malformed("", problem === "too_deep" ? "too_deep" : "not_json")
  }
  const found = members.of(bytes)
  if (found.sliceBytes("correlation_id") > correlationBytesMax) {
    return malformed("", "bad_request", `correlation_id is longer than ${correlationBytesMax} bytes`)
  }
  const correlation = found.latin1("correlation_id")
  try {
    const type = found.text("type")
    const decode = type === undefined ? undefined : decoders.get(type)
    return decode === undefined ? malformed(correlation, "unknown_type") : decode(found, correlation)
  } catch (problem) {
    if (problem instanceof BadRequest) return malformed(correlation, problem.code, problem.error)
    if (problem instanceof WrongMember) {
      return malformed(correlation, "bad_request", `${problem.name} has to be ${problem.expected}`)
    }
    throw problem
  }
}

const decoders = new Map<string, (found: Found, correlation: string) => Request>([
  ["publish", (found, correlation) => publishOf(found, correlation)],
  ["ack", (found, correlation) => ackOf(found, correlation)],
  [
    "nack",
    (found, correlation) => ({
      type: "nack",
      correlation,
      subscriberId: optionalId(found, "subscriber_id"),
      offset: messageId(found)
    })
  ],
  ["subscribe", (found, correlation) => subscribeOf(found, correlation)],
  [
    "unsubscribe",
    (found, correlation) => ({ type: "unsubscribe", correlation, subscriberId: id(found, "subscriber_id") })
  ],
  [
    "commit",
    (found, correlation) => ({
      type: "commit",
      correlation,
      subscriberId: id(found, "subscriber_id"),
      offset: atLeastZero("offset", found.integer("offset") ?? 0)
    })
  ],
  ["set_offset", (found, correlation) => setOffsetOf(found, correlation)],
  ["hello", (found, correlation) => helloOf(found, correlation)],
  ["ping", (_, correlation) => ({ type: "ping", correlation })],
  ["get_stats", (_, correlation) => ({ type: "get_stats", correlation })]
])

const atLeastZero = (name: string, number: number): number => {
  if (number < 0) throw new BadRequest(`${name} has to be at least 0`)
  return number
}

/** How much a peer takes: nothing, or 0, says nothing. */
const credit = (found: Found, name: "max_in_flight" | "max_in_flight_bytes"): number | undefined =>
  atLeastZero(name, found.integer(name) ?? 0) || undefined

/** An id that is there, and that fits into the header of a message. */
const optionalId = (found: Found, name: "subscriber_id" | "producer_id"): string | undefined => {
  if (found.sliceBytes(name) > idBytesMax + 2)
    throw new BadRequest(`${name} is longer than ${idBytesMax} bytes`)
  const text = found.text(name)
  if (text !== undefined && text.length > idLengthMax) {
    throw new BadRequest(`${name} is longer than ${idLengthMax} characters`)
  }
  return text || undefined
}

const id = (found: Found, name: "subscriber_id" | "producer_id"): string => {
  const text = optionalId(found, name)
  if (text === undefined) throw new BadRequest(`${name} is missing`)
  return text
}

const publishOf = (found: Found, correlation: string): PublishRequest => {
  const payload = found.slice("payload")
  if (payload === undefined) throw new BadRequest("publish without payload")
  if (payload.length > payloadBytesMax) throw new BadRequest(wireErrors.too_large, "too_large")
  const producerId = optionalId(found, "producer_id")
  const sequence = found.integer("sequence")
  const position = found.text("position")
  if (sequence !== undefined) atLeastZero("sequence", sequence)
  if (position !== undefined && Buffer.byteLength(position) > positionBytesMax) {
    throw new BadRequest(`position is longer than ${positionBytesMax} bytes`)
  }
  if (producerId !== undefined && sequence === undefined) throw new BadRequest("producer_id without sequence")
  return { type: "publish", correlation, payload, producerId, sequence, position }
}

/** The offset that a `message_id` names: a decimal string, or the number that some would write. */
const messageId = (found: Found): number => {
  const text = found.latin1("message_id")
  if (text === "") throw new BadRequest("message_id is missing")
  const offset = /^"\d{1,16}"$/.test(text)
    ? Number(text.slice(1, -1))
    : Number(/^\d{1,16}$/.test(text) ? text : -1)
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new BadRequest("message_id has to be an offset as a decimal string")
  }
  return offset
}

const ackOf = (found: Found, correlation: string): AckRequest => {
  const subscriberId = optionalId(found, "subscriber_id")
  if (found.has("ranges")) return { type: "ack", correlation, subscriberId, ranges: rangesOf(found) }
  const offset = messageId(found)
  return { type: "ack", correlation, subscriberId, ranges: [[offset, offset + 1]] }
}

const rangesOf = (found: Found): ReadonlyArray<OffsetRange> => {
  const ranges = found.json("ranges")
  if (!Array.isArray(ranges) || ranges.length > ackRangesMax || !ranges.every(isRange)) {
    throw new BadRequest(
      `ranges has to be at most ${ackRangesMax} pairs of offsets [from, to], to not included`
    )
  }
  if (ranges.reduce((count, [from, to]) => count + to - from, 0) > ackedMessagesMax) {
    throw new BadRequest(`ranges name more than ${ackedMessagesMax} messages`)
  }
  return ranges
}

const isRange = (range: unknown): range is OffsetRange =>
  Array.isArray(range) &&
  range.length === 2 &&
  range.every(Number.isSafeInteger) &&
  range[0] >= 0 &&
  range[0] <= range[1]

const subscribeOf = (found: Found, correlation: string): SubscribeRequest => {
  const offset = found.integer("offset") ?? -1
  if (offset < -2) throw new BadRequest("offset has to be -2, -1 or at least 0")
  return {
    type: "subscribe",
    correlation,
    subscriberId: id(found, "subscriber_id"),
    offset,
    resume: found.flag("resume"),
    maxInFlight: credit(found, "max_in_flight"),
    maxInFlightBytes: credit(found, "max_in_flight_bytes")
  }
}

const setOffsetOf = (found: Found, correlation: string): SetOffsetRequest => {
  const subscriberId = id(found, "subscriber_id")
  const time = found.text("time")
  const offset = found.integer("offset")
  if ((time === undefined) === (offset === undefined))
    throw new BadRequest("set_offset takes an offset or a time")
  if (offset !== undefined && offset < -2) throw new BadRequest("offset has to be -2, -1 or at least 0")
  return {
    type: "set_offset",
    correlation,
    subscriberId,
    to: time === undefined ? { offset: offset! } : { time }
  }
}

const helloOf = (found: Found, correlation: string): HelloRequest => ({
  type: "hello",
  correlation,
  version: atLeastZero("version", found.integer("version") ?? 0),
  token: found.text("token"),
  maxInFlight: credit(found, "max_in_flight"),
  maxInFlightBytes: credit(found, "max_in_flight_bytes"),
  producerId: optionalId(found, "producer_id"),
  binary: found.flag("binary")
})
