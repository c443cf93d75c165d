/** The gateway in a process of its own: REST over a store that others fill. */
import { Effect, Layer } from "effect"
import { gateway as gatewayServer, readyWhile } from "../compose/servers.ts"
import { telemetryStore } from "../compose/store.ts"
import * as Draining from "../layers/Draining.ts"
import * as Metrics from "../layers/Metrics.ts"
import * as Rejects from "../layers/Rejects.ts"
import type { GatewayProcessSettings } from "../layers/settings/commands.ts"
import * as Announcing from "./announcing.ts"
import { stop } from "./stopping.ts"
import { tellWhileAway } from "./waiting.ts"

const metrics = Layer.mergeAll(Metrics.layerStore, Metrics.layerRejects, Metrics.layerProcess)

const layers = (settings: GatewayProcessSettings) =>
  metrics.pipe(
    Layer.provideMerge(gatewayServer(settings.gateway)),
    Layer.provide(readyWhile()),
    Layer.provideMerge(telemetryStore(settings.store)),
    Layer.provideMerge(Layer.mergeAll(Draining.layer, Rejects.layer))
  )

const stopping = { doing: "answering what was asked", lost: "not every request was answered" }

/** Serves until it is interrupted. */
export const gateway = (settings: GatewayProcessSettings) =>
  Effect.gen(function* () {
    yield* Announcing.announceStore(settings.store)
    yield* Announcing.announceApi
    yield* Effect.forkScoped(tellWhileAway)
    return yield* Effect.never
  }).pipe(
    Effect.scoped,
    Effect.onInterrupt(() => stop(settings.process, stopping, Effect.void)),
    Effect.provide(layers(settings))
  )
