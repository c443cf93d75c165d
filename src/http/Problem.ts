/**
 * What an HTTP server of ours answers instead of what was asked for: RFC 9457 problems (`application/problem+json`), which
 * also carry the members `error` and `message` that clients of the earlier system read.
 *
 * A problem says what the client can do about it and nothing about our insides: causes and stacks go to the log.
 */
import { HttpApiSchema, HttpServerResponse } from "@effect/platform"
import { Schema } from "effect"

const problemContentType = "application/problem+json"

const fields = <const Status extends number, const Code extends string, const Title extends string>(
  status: Status,
  title: Title,
  error: Code,
  example: string
) => ({
  type: Schema.Literal("about:blank").annotations({
    description: "Kind of problem (RFC 9457); the status says all there is",
    examples: ["about:blank"]
  }),
  title: Schema.Literal(title).annotations({ description: "The status in words", examples: [title] }),
  status: Schema.Literal(status).annotations({ description: "The HTTP status", examples: [status] }),
  detail: Schema.String.annotations({ description: "What is wrong with this request", examples: [example] }),
  error: Schema.Literal(error).annotations({
    description: "Short code of the problem, stable across versions",
    examples: [error]
  }),
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
  static readonly because = (detail: string): BadRequest =>
    new BadRequest({
      type: "about:blank",
      title: "Bad Request",
      status: 400,
      detail,
      error: "bad_request",
      message: detail
    })
}

/** There is nothing under that name. */
export class NotFound extends Schema.Class<NotFound>("NotFound")(
  fields(404, "Not Found", "not_found", 'no GPU "GPU-0" is known'),
  annotations(404, "There is nothing under that name")
) {
  static readonly because = (detail: string): NotFound =>
    new NotFound({
      type: "about:blank",
      title: "Not Found",
      status: 404,
      detail,
      error: "not_found",
      message: detail
    })
}

/** The path exists, for another method. */
export class MethodNotAllowed extends Schema.Class<MethodNotAllowed>("MethodNotAllowed")(
  fields(405, "Method Not Allowed", "method_not_allowed", "POST is not supported, only GET and HEAD are"),
  annotations(405, "The path exists, for another method")
) {
  static readonly because = (detail: string): MethodNotAllowed =>
    new MethodNotAllowed({
      type: "about:blank",
      title: "Method Not Allowed",
      status: 405,
      detail,
      error: "method_not_allowed",
      message: detail
    })
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
  static readonly because = (detail: string): InternalError =>
    new InternalError({
      type: "about:blank",
      title: "Internal Server Error",
      status: 500,
      detail,
      error: "internal_error",
      message: detail
    })
}

/** Something that is needed for the answer can't be had now; the same request may succeed later. */
export class Unavailable extends Schema.Class<Unavailable>("Unavailable")(
  fields(503, "Service Unavailable", "unavailable", "influxdb: connection refused"),
  annotations(503, "What the answer comes from can't be reached now: `detail` names it")
) {
  static readonly because = (detail: string): Unavailable =>
    new Unavailable({
      type: "about:blank",
      title: "Service Unavailable",
      status: 503,
      detail,
      error: "unavailable",
      message: detail
    })
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
