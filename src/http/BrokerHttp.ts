/** The broker's own HTTP API: `BrokerApi` served over the broker at hand. */
import { HttpApiBuilder } from "@effect/platform"
import { Context, Effect, Layer } from "effect"
import type { Broker } from "../layers/Broker.ts"
import type { Rejects } from "../layers/Rejects.ts"
import * as ApiServer from "./ApiServer.ts"
import { BrokerApi, brokerDocument } from "./BrokerApi.ts"
import * as Handlers from "./broker/Handlers.ts"
import { type ListenError, type Listening, type ListenOptions, listen, listenDefaults } from "./Listener.ts"

/** Where the broker's HTTP API listens: with port 0, the port that it was given. */
export class BrokerHttpAddress extends Context.Tag("telemetry/BrokerHttpAddress")<
  BrokerHttpAddress,
  Listening
>() {}

/** What an operator may set about it. */
export class BrokerHttpConfig extends Context.Tag("telemetry/BrokerHttpConfig")<
  BrokerHttpConfig,
  ListenOptions
>() {
  static readonly defaults: ListenOptions = { ...listenDefaults, port: 9001 }

  /** The defaults but for what is given. */
  static readonly layer = (partial: Partial<ListenOptions> = {}): Layer.Layer<BrokerHttpConfig> =>
    Layer.succeed(BrokerHttpConfig, { ...BrokerHttpConfig.defaults, ...partial })
}

const serve = Effect.gen(function* () {
  return yield* listen(yield* ApiServer.requestListener, yield* BrokerHttpConfig)
})

const api = Layer.provide(HttpApiBuilder.api(BrokerApi), Handlers.layer)

/** Serves until its scope closes. */
export const layer: Layer.Layer<BrokerHttpAddress, ListenError, Broker | Rejects | BrokerHttpConfig> =
  Layer.scoped(BrokerHttpAddress, serve).pipe(Layer.provide(ApiServer.layer(brokerDocument, api)))
