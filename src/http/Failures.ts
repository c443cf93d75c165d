/** Whatever fails in a request is answered as a problem here; what it says nothing of goes to the log. */
import {
  HttpApiBuilder,
  HttpApiError,
  HttpServerError,
  type HttpServerRequest,
  type HttpServerResponse
} from "@effect/platform"
import { Cause, Effect } from "effect"
import type { ApiDocument } from "./ApiServer.ts"
import {
  BadRequest,
  InternalError,
  isProblem,
  MethodNotAllowed,
  NotFound,
  problemResponse,
  shown
} from "./Problem.ts"

/** Tells an unknown path from one that an API has for another method. */
const notFound = (
  knownPaths: ReadonlyArray<RegExp>,
  { method, url }: HttpServerRequest.HttpServerRequest
) => {
  const path = url.split("?", 1)[0]!
  return method !== "GET" && method !== "HEAD" && knownPaths.some((known) => known.test(path))
    ? problemResponse(MethodNotAllowed.because(`${method} is not supported, only GET and HEAD are`), {
        allow: "GET, HEAD"
      })
    : problemResponse(NotFound.because(`there is no path ${shown(path)}`))
}

const decodeProblem = ({ issues, message }: HttpApiError.HttpApiDecodeError): BadRequest => {
  const issue = issues[0]
  return BadRequest.because(issue === undefined ? message : `${issue.path.join(".")}: ${issue.message}`)
}

const answerFailure = <E>(
  knownPaths: ReadonlyArray<RegExp>,
  cause: Cause.Cause<E>
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  // The client went away: there is nobody to answer.
  if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
  const failure: unknown = Cause.squash(cause)
  if (isProblem(failure)) return Effect.succeed(problemResponse(failure))
  if (failure instanceof HttpServerError.RouteNotFound) {
    return Effect.succeed(notFound(knownPaths, failure.request))
  }
  if (failure instanceof HttpApiError.HttpApiDecodeError) {
    return Effect.succeed(problemResponse(decodeProblem(failure)))
  }
  const problem = InternalError.because("the request failed; the log of the server says why")
  return Effect.as(Effect.logError("a request failed", cause), problemResponse(problem))
}

/** Answers what fails in the API of a document. */
export const layer = ({ paths }: ApiDocument) => {
  const knownPaths = Object.keys(paths).map((path) => new RegExp(`^${path.replaceAll(/{\w+}/g, "[^/]+")}/?$`))
  return HttpApiBuilder.middleware((app) =>
    Effect.catchAllCause(app, (cause) => answerFailure(knownPaths, cause))
  )
}
