/**
 * What a server sends, but for messages: `response`, `error`, and to peers that said hello `gap` and `busy`.
 *
 * Every answer is made as a text of one character per byte, its length in front, so that those of many requests are one string
 * and one write. Beyond the contract:
 * - `correlation_id` of the request, where it had one;
 * - `response` to a publish: `offset`, unless it is no longer remembered, and `duplicate: true`; to an `ack`, `nack`, `commit`
 *   and `set_offset`: `offset`, the checkpoint; to a `subscribe`: `clamped: true`, and to a peer that said hello a `payload`
 *   `{start, clamped, log_id, subscription}`, whose last is the number that binary frames name it by; to `hello`: a `payload`
 *   `{log_id, version, binary, sequence, position}`; to `get_stats`: the object of `/stats` as `payload`;
 * - `error`: `code`, a name of WireErrors.ts; `problem`, more words; `unsolicited: true` where it answers no request; and
 *   `subscriber_id` where it is about one;
 * - `busy`: sent at once for a `ping` that has to wait for the answers of earlier requests.
 */
import type { WireErrorCode } from "./WireErrors.ts"

/** A text in ASCII that `JSON.parse` takes for the same value. */
const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** A frame of a body that is given as one character per byte. */
const framed = (body: string): string => {
  const { length } = body
  return (
    String.fromCharCode(length >>> 24, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff) + body
  )
}

const correlated = (correlation: string): string =>
  correlation === "" ? "}" : `,"correlation_id":${correlation}}`

const publishedHead = '{"type":"response","success":true,"offset":'
/** Frames up to the offset, by the number of its digits: most answers are of this kind, and are many. */
const publishedHeads = Array.from({ length: 17 }, (_, digits) =>
  String.fromCharCode(0, 0, 0, publishedHead.length + digits + 1).concat(publishedHead)
)

/** The answer to a publish; `null` where the offset is not known. */
export const publishedFrame = (correlation: string, offset: number | null, isDuplicate: boolean): string => {
  if (correlation === "" && offset !== null && !isDuplicate) {
    const digits = String(offset)
    return `${publishedHeads[digits.length]}${digits}}`
  }
  const at = offset === null ? "" : `,"offset":${offset}`
  const duplicate = isDuplicate ? ',"duplicate":true' : ""
  return framed(`{"type":"response","success":true${at}${duplicate}${correlated(correlation)}`)
}

export interface ResponseFields {
  readonly offset?: number
  readonly clamped?: true
  readonly payload?: unknown
}

export const responseFrame = (correlation: string, fields: ResponseFields = {}): string => {
  const rest = asciiJson(fields).slice(1, -1)
  return framed(`{"type":"response","success":true${rest === "" ? "" : `,${rest}`}${correlated(correlation)}`)
}

export interface ErrorFields {
  readonly problem?: string
  readonly subscriber_id?: string
}

/** A refusal; `undefined` in the place of a correlation where it answers no request. */
export const errorFrame = (
  correlation: string | undefined,
  code: WireErrorCode,
  error: string,
  fields: ErrorFields = {}
): string => {
  const unsolicited = correlation === undefined ? { unsolicited: true } : {}
  const text = asciiJson({ type: "error", error, code, ...unsolicited, ...fields })
  return framed(`${text.slice(0, -1)}${correlated(correlation ?? "")}`)
}

export const gapFrame = (subscriberId: string, from: number, to: number): string =>
  framed(asciiJson({ type: "gap", subscriber_id: subscriberId, from, to }))

export const busyFrame = framed('{"type":"busy"}')
