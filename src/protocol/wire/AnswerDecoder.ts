/** Decodes what a server sent, from a server of any age: what is 0, `""` or false may be left out. */
import { JsonScanner } from "./JsonScanner.ts"
import { Members, WrongMember } from "./Members.ts"

interface Correlated {
  /** The latin1 text of the bytes of `correlation_id`; `""` where there is none. */
  readonly correlation: string
}

export interface MessageAnswer {
  readonly type: "message"
  readonly offset: number
  /** `undefined` from a server to which no hello was said. */
  readonly subscriberId: string | undefined
  readonly payload: Uint8Array
}

export interface ResponseAnswer extends Correlated {
  readonly type: "response"
  readonly success: boolean
  /** Offset of a published message, or the checkpoint. */
  readonly offset: number | undefined
  readonly duplicate: boolean
  readonly clamped: boolean
  /** JSON, as its bytes. */
  readonly payload: Uint8Array | undefined
}

export interface ErrorAnswer extends Correlated {
  readonly type: "error"
  readonly error: string
  /** A name of WireErrors.ts; `""` from an old server. */
  readonly code: string
  readonly problem: string | undefined
  /** It answers no request. */
  readonly unsolicited: boolean
  readonly subscriberId: string | undefined
}

export interface GapAnswer {
  readonly type: "gap"
  readonly subscriberId: string
  readonly from: number
  readonly to: number
}

export type Answer =
  | MessageAnswer
  | ResponseAnswer
  | ErrorAnswer
  | GapAnswer
  | { readonly type: "busy" }
  /** A type that is not known yet, to be skipped. */
  | { readonly type: "unknown" }
  | { readonly type: "malformed"; readonly problem: string }

const names = [
  "type",
  "payload",
  "offset",
  "subscriber_id",
  "message_id",
  "correlation_id",
  "success",
  "duplicate",
  "clamped",
  "error",
  "code",
  "problem",
  "unsolicited",
  "from",
  "to"
] as const

const scanner = new JsonScanner(names)
const members = new Members(scanner, names)

const emptyPayload = new TextEncoder().encode("null")

/** Decodes the body of a frame that is JSON. Payloads are the bytes that came, not copies. */
export const decodeAnswer = (bytes: Uint8Array, start: number, end: number): Answer => {
  if (!scanner.scanObject(bytes, start, end)) return { type: "malformed", problem: scanner.problem }
  try {
    return answerOf(bytes)
  } catch (problem) {
    if (!(problem instanceof WrongMember)) throw problem
    return { type: "malformed", problem: `${problem.name} has to be ${problem.expected}` }
  }
}

const answerOf = (bytes: Uint8Array): Answer => {
  const found = members.of(bytes)
  switch (found.text("type")) {
    case "message":
      return {
        type: "message",
        offset: found.integer("offset") ?? 0,
        subscriberId: found.text("subscriber_id"),
        payload: found.slice("payload") ?? emptyPayload
      }
    case "response":
      return {
        type: "response",
        correlation: found.latin1("correlation_id"),
        success: found.flag("success"),
        offset: found.integer("offset"),
        duplicate: found.flag("duplicate"),
        clamped: found.flag("clamped"),
        payload: found.slice("payload")
      }
    case "error":
      return {
        type: "error",
        correlation: found.latin1("correlation_id"),
        error: found.text("error") ?? "",
        code: found.text("code") ?? "",
        problem: found.text("problem"),
        unsolicited: found.flag("unsolicited"),
        subscriberId: found.text("subscriber_id")
      }
    case "gap":
      return {
        type: "gap",
        subscriberId: found.text("subscriber_id") ?? "",
        from: found.integer("from") ?? 0,
        to: found.integer("to") ?? 0
      }
    case "busy":
      return { type: "busy" }
    default:
      return { type: "unknown" }
  }
}
