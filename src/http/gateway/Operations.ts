/** Handlers for those who run the process: is it alive, can it answer, what did it reject. */
import { HttpApiBuilder } from "@effect/platform"
import { Effect } from "effect"
import { TelemetryStore } from "../../layers/TelemetryStore.ts"
import { GatewayApi } from "../GatewayApi.ts"
import { Unavailable } from "../Problem.ts"
import { ReadinessChecks } from "../ReadinessChecks.ts"
import { rejections } from "../RejectsHandlers.ts"
import { orUnavailable } from "./Store.ts"

const ready = Effect.gen(function* () {
  const store = yield* TelemetryStore
  yield* orUnavailable(store.ready)
  for (const check of yield* ReadinessChecks) {
    const missing = yield* check
    if (missing._tag === "Some") return yield* Effect.fail(Unavailable.because(missing.value))
  }
  return { status: "ready" as const }
})

export const layer = HttpApiBuilder.group(GatewayApi, "operations", (handlers) =>
  handlers
    .handle("health", () => Effect.succeed({ status: "healthy" as const }))
    .handle("ready", () => ready)
    .handle("rejects", () => rejections)
)
