/**
 * Pages of samples, answered in front of the router: dashboards ask for them all the time, and routing one through
 * HttpApi costs several times what the page itself does.
 *
 * It answers only what went well. Whatever else comes up (a parameter that is wrong or misplaced, an id with escapes, windows, a
 * store that fails) is left to the router, which reads the same parameters by the same Schema and builds the page by the same function.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { parse } from "node:querystring"
import { Effect, Either, Exit, Runtime, Schema } from "effect"
import { TelemetryStore } from "../../layers/TelemetryStore.ts"
import { GatewayConfig } from "../GatewayConfig.ts"
import { TelemetryParameters } from "./Parameters.ts"
import { telemetryPage } from "./Telemetry.ts"

const telemetryUrl = /^\/api\/v1\/gpus\/([\w.-]+)\/telemetry(?:\?([^#;]*))?$/

const readParameters = Schema.decodeUnknownEither(TelemetryParameters)
const noParameters: TelemetryParameters = {}

const isAggregated = ({ window, aggregate }: TelemetryParameters): boolean =>
  window !== undefined || aggregate !== undefined

/** Takes a request, or answers `false` and leaves it untouched. */
export type Lane = (
  request: IncomingMessage,
  response: ServerResponse,
  otherwise: (request: IncomingMessage, response: ServerResponse) => void
) => boolean

/** The lane over the store and the configuration at hand. */
export const make: Effect.Effect<Lane, never, TelemetryStore | GatewayConfig> = Effect.gen(function* () {
  const store = yield* TelemetryStore
  const config = yield* GatewayConfig
  const runCallback = Runtime.runCallback(yield* Effect.runtime<never>())

  return (request, response, otherwise) => {
    if (request.method !== "GET") return false
    const match = telemetryUrl.exec(request.url!)
    if (match === null || match[2]?.includes("group_by")) return false
    const parameters = match[2] ? readParameters(parse(match[2])) : Either.right(noParameters)
    if (Either.isLeft(parameters) || isAggregated(parameters.right)) return false

    let ended = false
    const cancel = runCallback(telemetryPage(store, config, match[1]!, parameters.right), {
      onExit: (exit) => {
        ended = true
        if (Exit.isFailure(exit)) {
          if (!response.destroyed) otherwise(request, response)
          return
        }
        response.writeHead(200, {
          "content-type": "application/json",
          "content-length": exit.value.length
        })
        response.end(exit.value)
      }
    })
    // A store in memory has answered by now; one over a network is told when the client went away.
    if (!ended) {
      response.once("close", () => {
        if (!ended) cancel()
      })
    }
    return true
  }
})
