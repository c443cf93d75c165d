/** Collectors in a process of their own: a broker in another process, which keeps their checkpoints, and a store for all. */
import { Effect, Layer } from "effect"
import { remoteBroker } from "../compose/broker.ts"
import { collectors } from "../compose/instances.ts"
import { readyWhile } from "../compose/servers.ts"
import { telemetryStore } from "../compose/store.ts"
import { answers } from "../http/ReadinessChecks.ts"
import { Broker } from "../layers/Broker.ts"
import { Collectors } from "../layers/Collectors.ts"
import * as Draining from "../layers/Draining.ts"
import * as Metrics from "../layers/Metrics.ts"
import * as Rejects from "../layers/Rejects.ts"
import type { CollectorProcessSettings } from "../layers/settings/commands.ts"
import { TelemetryStore } from "../layers/TelemetryStore.ts"
import { print } from "../terminal.ts"
import * as Announcing from "./announcing.ts"
import { collectorProgress } from "./progress.ts"
import { stop } from "./stopping.ts"
import { logRejects, showProgress } from "./telling.ts"
import { tellWhileAway } from "./waiting.ts"

const metrics = Layer.mergeAll(
  Metrics.layerCollectors,
  Metrics.layerStore,
  Metrics.layerRejects,
  Metrics.layerProcess
)

const dependencies = Effect.gen(function* () {
  return [answers("broker")((yield* Broker).stats), answers("store")((yield* TelemetryStore).ready)]
})

const layers = (settings: CollectorProcessSettings) =>
  metrics.pipe(
    Layer.provideMerge(collectors(settings.collector, "received")),
    Layer.provideMerge(Announcing.announcedProbe(settings.probe)),
    Layer.provide(readyWhile(dependencies)),
    Layer.provideMerge(Layer.merge(remoteBroker(settings.client), telemetryStore(settings.store))),
    Layer.provideMerge(Layer.mergeAll(Draining.layer, Rejects.layer))
  )

const drain = Effect.gen(function* () {
  yield* (yield* Collectors).drain
  print(yield* collectorProgress)
})

const stopping = {
  doing: "storing what was received",
  lost: "not everything that was received is stored and committed; the rest is delivered again after a restart"
}

/** Runs until something fails, or until it is interrupted. */
export const collector = (settings: CollectorProcessSettings) =>
  Effect.gen(function* () {
    yield* Announcing.announceCollectors
    yield* Announcing.announceClient(settings.client)
    yield* Announcing.announceStore(settings.store)
    yield* Effect.forkScoped(tellWhileAway)
    yield* Effect.forkScoped(showProgress(collectorProgress))
    yield* Effect.forkScoped(logRejects)
    return yield* (yield* Collectors).failed
  }).pipe(
    Effect.scoped,
    Effect.onInterrupt(() => stop(settings.process, stopping, drain)),
    Effect.provide(layers(settings))
  )
