/**
 * What an HTTP server of ours answers instead of what was asked for: RFC 9457 problems (`application/problem+json`), which
 * also carry the members `error` and `message` that clients of the earlier system read.
 *
 * A problem says what the client can do about it and nothing about our insides: causes and stacks go to the log. Its `_tag`
 * is for `Effect.catchTag`; it is not sent.
 */
import { HttpApiSchema, HttpServerResponse } from "@effect/platform"
import { Schema } from "effect"

const problemContentType = "application/problem+json"

/** A member that is the same in every problem of a kind, and so need not be given to make one. */
const constant = <const Value extends string | number>(value: Value, description: string) =>
  Schema.Literal(value)
    .annotations({ description, examples: [value] })
    .pipe(
      Schema.propertySignature,
      Schema.withConstructorDefault(() => value)
    )

const fields = <const Status extends number, const Code extends string, const Title extends string>(
  status: Status,
  title: Title,
  error: Code,
  example: string
) => ({
  type: constant("about:blank", "Kind of problem (RFC 9457); the status says all there is"),
  title: constant(title, "The status in words"),
  status: constant(status, "The HTTP status"),
  detail: Schema.String.annotations({ description: "What is wrong with this request", examples: [example] }),
  error: constant(error, "Short code of the problem, stable across versions"),
  message: Schema.String.annotations({ description: "The same text as `detail`", examples: [example] })
})

const annotations = <A>(status: number, description: string): Schema.Annotations.Schema<A> => ({
  ...HttpApiSchema.annotations<A>({ status, description }),
  [HttpApiSchema.AnnotationEncoding]: { kind: "Json", contentType: problemContentType }
})

/** The request is wrong; the same request will always be. */
export class BadRequest extends Schema.Class<BadRequest>("BadRequest")(
  fields(400, "Bad Request", "bad_request", 'limit: expected a whole number of at least 1, got "0"'),
  annotations(400, "A parameter is wrong: `detail` names it, its value and what is accepted")
) {
  static readonly because = (detail: string) => new BadRequest({ detail, message: detail })

  get _tag(): "BadRequest" {
    return "BadRequest"
  }
}

/** There is nothing under that name. */
export class NotFound extends Schema.Class<NotFound>("NotFound")(
  fields(404, "Not Found", "not_found", 'no GPU "GPU-0" is known'),
  annotations(404, "There is nothing under that name")
) {
  static readonly because = (detail: string) => new NotFound({ detail, message: detail })

  get _tag(): "NotFound" {
    return "NotFound"
  }
}

/** The path exists, for another method. */
export class MethodNotAllowed extends Schema.Class<MethodNotAllowed>("MethodNotAllowed")(
  fields(405, "Method Not Allowed", "method_not_allowed", "POST is not supported, only GET and HEAD are"),
  annotations(405, "The path exists, for another method")
) {
  static readonly because = (detail: string) => new MethodNotAllowed({ detail, message: detail })

  get _tag(): "MethodNotAllowed" {
    return "MethodNotAllowed"
  }
}

/** A mistake of ours; the log of this process has what the answer does not say. */
export class InternalError extends Schema.Class<InternalError>("InternalError")(
  fields(
    500,
    "Internal Server Error",
    "internal_error",
    "the request failed; the log of the server says why"
  ),
  annotations(500, "The request failed by no fault of the client")
) {
  static readonly because = (detail: string) => new InternalError({ detail, message: detail })

  get _tag(): "InternalError" {
    return "InternalError"
  }
}

/** Something that is needed for the answer can't be had now; the same request may succeed later. */
export class Unavailable extends Schema.Class<Unavailable>("Unavailable")(
  fields(503, "Service Unavailable", "unavailable", "influxdb: connection refused"),
  annotations(503, "What the answer comes from can't be reached now: `detail` names it")
) {
  static readonly because = (detail: string) => new Unavailable({ detail, message: detail })

  get _tag(): "Unavailable" {
    return "Unavailable"
  }
}

export type Problem = BadRequest | NotFound | MethodNotAllowed | InternalError | Unavailable

const problems = [BadRequest, NotFound, MethodNotAllowed, InternalError, Unavailable]

export const isProblem = (value: unknown): value is Problem =>
  problems.some((problem) => value instanceof problem)

/** The response that a problem is. */
export const problemResponse = (
  problem: Problem,
  headers: Record<string, string> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(JSON.stringify(problem), {
    status: problem.status,
    contentType: problemContentType,
    headers
  })

/** Longest part of a client's text that an answer repeats. */
const shownCharactersMax = 100

/** A client's value as a problem shows it: quoted and cut. */
export const shown = (value: unknown): string => {
  if (Array.isArray(value)) return `several values (${value.length})`
  const text = String(value)
  return JSON.stringify(text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}…` : text)
}
