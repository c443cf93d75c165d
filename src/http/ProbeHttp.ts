/** The HTTP server of a process that has no other: `ProbeApi`, ready while every readiness check is. */
import { HttpApiBuilder } from "@effect/platform"
import { Context, Effect, Layer } from "effect"
import type { Rejects } from "../layers/Rejects.ts"
import * as ApiServer from "./ApiServer.ts"
import { type ListenError, type Listening, type ListenOptions, listen, listenDefaults } from "./Listener.ts"
import { exposition } from "./Metrics.ts"
import { ProbeApi, probeDocument } from "./ProbeApi.ts"
import { checkReadiness } from "./ReadinessChecks.ts"
import { rejections } from "./RejectsHandlers.ts"

/** Where it listens: with port 0, the port that it was given. */
export class ProbeAddress extends Context.Tag("telemetry/ProbeAddress")<ProbeAddress, Listening>() {}

const handlers = HttpApiBuilder.group(ProbeApi, "operations", (handlers) =>
  handlers
    .handle("health", () => Effect.succeed({ status: "healthy" as const }))
    .handle("ready", () => Effect.as(checkReadiness, { status: "ready" as const }))
    .handle("rejects", () => rejections)
    .handle("metrics", () => exposition)
)

/** Serves until its scope closes. */
export const layer = (
  options: Pick<ListenOptions, "host" | "port">
): Layer.Layer<ProbeAddress, ListenError, Rejects> =>
  Layer.scoped(
    ProbeAddress,
    Effect.flatMap(ApiServer.requestListener, (listener) =>
      listen(listener, { ...listenDefaults, ...options })
    )
  ).pipe(Layer.provide(ApiServer.layer(probeDocument, Layer.provide(HttpApiBuilder.api(ProbeApi), handlers))))
