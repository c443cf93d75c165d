/** Brokers that are served over TCP, and clients of them. */
import { Context, Effect, Layer, Scope } from "effect"
import { Broker } from "../../../../src/layers/Broker.ts"
import { BrokerServer, BrokerServerConfig } from "../../../../src/layers/BrokerServer.ts"
import { BrokerClientConfig, layerTcp } from "../../../../src/layers/broker/tcp.ts"
import { layerTcpServer } from "../../../../src/layers/broker-server/tcp.ts"
import * as Rejects from "../../../../src/layers/Rejects.ts"
import { CutProxy } from "../CutProxy.ts"
import { type GroundOptions, makeGround } from "../Ground.ts"

type ClientSettings = Partial<BrokerClientConfig["Type"]>

/** Serves a broker until the scope closes; answers the port. */
export const serve = (broker: Broker["Type"], settings: Partial<BrokerServerConfig["Type"]> = {}) =>
  Effect.map(
    Layer.build(
      Layer.fresh(layerTcpServer).pipe(
        Layer.provide(
          Layer.mergeAll(
            Layer.succeed(Broker, broker),
            Rejects.layer,
            BrokerServerConfig.layer({ host: "127.0.0.1", port: 0, drainTimeoutMs: 100, ...settings })
          )
        )
      )
    ),
    (built) => Context.get(built, BrokerServer).address.port
  )

/** A client of a broker at a port. */
export const connectTo = (port: number, settings: ClientSettings = {}) =>
  Effect.map(
    Layer.build(
      Layer.fresh(layerTcp).pipe(
        Layer.provide(BrokerClientConfig.layer({ host: "127.0.0.1", port, ...settings }))
      )
    ),
    Context.get(Broker)
  )

/** How a broker is opened, from one in this process. */
export type Opening = <E>(
  openBroker: Effect.Effect<Broker["Type"], E, Scope.Scope>
) => Effect.Effect<Broker["Type"], E, Scope.Scope>

/** As it is. */
export const inProcess: Opening = (openBroker) => openBroker

/** Behind a connection. */
export const behindTcp: Opening = (openBroker) =>
  Effect.flatMap(openBroker, (broker) =>
    Effect.flatMap(Effect.orDie(serve(broker)), (port) => connectTo(port))
  )

/** A fresh broker each time it is built, behind a connection. */
export const layerServed = (options: GroundOptions) =>
  Layer.scoped(
    Broker,
    Effect.flatMap(makeGround(options), ({ openBroker }) => behindTcp(openBroker))
  )

/** A broker that is served, and a client of it that reaches it through a proxy. */
export const brokerBehindProxy = (
  broker: Broker["Type"],
  settings: ClientSettings = {},
  served?: Scope.Scope
) =>
  Effect.gen(function* () {
    const serveIn = (next: Broker["Type"], scope: Scope.Scope) => Scope.extend(serve(next), scope)
    const port = yield* serveIn(broker, served ?? (yield* Effect.scope))
    const proxy = yield* Effect.acquireRelease(
      Effect.promise(() => CutProxy.start(port)),
      (started) => Effect.promise(() => started.close())
    )
    const client = yield* connectTo(proxy.port, settings)
    return {
      client,
      proxy,
      /** Serves another broker in the place of the one before. */
      serve: (next: Broker["Type"], scope: Scope.Scope) =>
        Effect.map(serveIn(next, scope), (nextPort) => proxy.redirect(nextPort))
    }
  })
