/** A gateway on a free port of this machine, and requests to it. */
import { Effect, Layer, Logger, Schedule, Stream } from "effect"
import { GatewayAddress, layer as gateway } from "../../src/http/Gateway.ts"
import { GatewayConfig } from "../../src/http/GatewayConfig.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import { StoreUnavailable, TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import { layerMemory, MemoryStoreConfig } from "../../src/layers/telemetry-store/memory.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import { sampleAt } from "../Samples.ts"
import { type Answer, ask } from "./Answer.ts"

/** A memory store that holds these samples. */
export const storeOf = (samples: ReadonlyArray<Sample>): Layer.Layer<TelemetryStore> => {
  const store = layerMemory.pipe(Layer.provide(MemoryStoreConfig.layer()))
  const written = Effect.flatMap(TelemetryStore, ({ write }) => write(samples))
  return Layer.provideMerge(Layer.effectDiscard(Effect.orDie(written)), store)
}

/** An empty memory store of which some methods are replaced. */
export const storeWith = (some: Partial<TelemetryStore["Type"]>): Layer.Layer<TelemetryStore> =>
  Layer.effect(
    TelemetryStore,
    Effect.map(TelemetryStore, (store) => TelemetryStore.of({ ...store, ...some }))
  ).pipe(Layer.provide(storeOf([])))

export const unavailable = new StoreUnavailable({ store: "teststore", problem: "connection refused" })

/** A gateway over a store, on a free port. */
export const gatewayOver = (
  store: Layer.Layer<TelemetryStore>,
  config: Partial<GatewayConfig["Type"]> = {}
): Layer.Layer<GatewayAddress | Rejects.Rejects | TelemetryStore> =>
  Layer.orDie(gateway).pipe(
    Layer.provideMerge(Layer.mergeAll(store, Rejects.layer, GatewayConfig.layer({ port: 0, ...config })))
  )

/** Sends a request to the gateway at hand and reads the whole answer. */
export const send = (path: string, init: RequestInit = {}): Effect.Effect<Answer, never, GatewayAddress> =>
  Effect.flatMap(GatewayAddress, ({ url }) => ask(url + path, init))

/** What was logged while `use` ran, instead of on the terminal. */
export const logged = <A, E, R>(use: Effect.Effect<A, E, R>): Effect.Effect<string, E, R> =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make((entry) => {
      lines.push(Logger.logfmtLogger.log(entry))
    })
    return Effect.as(use, lines).pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Effect.map((all) => all.join("\n"))
    )
  })

/** A stream of chunks without an end, and without a pause. */
export const endless = Stream.repeat(
  Stream.make(Array.from({ length: 1_000 }, (_, i) => sampleAt(i))),
  Schedule.forever
)
