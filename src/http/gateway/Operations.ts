/** Handlers for those who run the process: is it alive, can it answer, what did it reject, what does it measure. */
import { HttpApiBuilder } from "@effect/platform"
import { Effect } from "effect"
import { TelemetryStore } from "../../layers/TelemetryStore.ts"
import { orUnavailable } from "../Dependencies.ts"
import { GatewayApi } from "../GatewayApi.ts"
import { exposition } from "../Metrics.ts"
import { checkReadiness } from "../ReadinessChecks.ts"
import { rejections } from "../RejectsHandlers.ts"

const ready = Effect.gen(function* () {
  yield* orUnavailable((yield* TelemetryStore).ready)
  yield* checkReadiness
  return { status: "ready" as const }
})

export const layer = HttpApiBuilder.group(GatewayApi, "operations", (handlers) =>
  handlers
    .handle("health", () => Effect.succeed({ status: "healthy" as const }))
    .handle("ready", () => ready)
    .handle("rejects", () => rejections)
    .handle("metrics", () => exposition)
)
