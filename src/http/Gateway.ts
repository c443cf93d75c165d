/**
 * The gateway: `GatewayApi` served over the telemetry store.
 *
 * It keeps nothing of its own; any number of them may stand before one store.
 */
import type { ServerResponse } from "node:http"
import { HttpApiBuilder } from "@effect/platform"
import { Context, Effect, Layer } from "effect"
import { countGatewayRequest } from "../layers/Metrics.ts"
import type { Rejects } from "../layers/Rejects.ts"
import type { TelemetryStore } from "../layers/TelemetryStore.ts"
import * as ApiServer from "./ApiServer.ts"
import { GatewayApi } from "./GatewayApi.ts"
import { GatewayConfig } from "./GatewayConfig.ts"
import { gatewayDocument } from "./GatewayDocument.ts"
import * as FastLane from "./gateway/FastLane.ts"
import * as Fleet from "./gateway/Fleet.ts"
import * as Gpus from "./gateway/Gpus.ts"
import * as Operations from "./gateway/Operations.ts"
import * as Pages from "./gateway/Pages.ts"
import * as Telemetry from "./gateway/Telemetry.ts"
import { type ListenError, type Listening, listen } from "./Listener.ts"

/** Where the gateway listens: with port 0, the port that it was given. */
export class GatewayAddress extends Context.Tag("telemetry/GatewayAddress")<GatewayAddress, Listening>() {}

/** Counts an answer, and how long it took, when its connection is done with it. */
const countAnswer = (response: ServerResponse): void => {
  const startMs = performance.now()
  response.once("close", () =>
    countGatewayRequest(
      response.writableFinished ? response.statusCode : "aborted",
      (performance.now() - startMs) / 1_000
    )
  )
}

const serve = Effect.gen(function* () {
  const config = yield* GatewayConfig
  const routed = yield* ApiServer.requestListener
  const lane = yield* FastLane.make
  return yield* listen((request, response) => {
    countAnswer(response)
    if (!lane(request, response, routed)) routed(request, response)
  }, config)
})

const api = HttpApiBuilder.api(GatewayApi).pipe(
  Layer.provide([Gpus.layer, Telemetry.layer, Fleet.layer, Operations.layer])
)

/** Serves until its scope closes. */
export const layer: Layer.Layer<GatewayAddress, ListenError, TelemetryStore | Rejects | GatewayConfig> =
  Layer.scoped(GatewayAddress, serve).pipe(
    Layer.provide(ApiServer.layer(gatewayDocument, Layer.provideMerge(Pages.layer, api)))
  )
