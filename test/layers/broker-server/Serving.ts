/** A server over a broker in memory, and strangers that connect to it. */
import { Context, Effect, Layer, type Scope } from "effect"
import { Broker } from "../../../src/layers/Broker.ts"
import {
  BrokerServer,
  BrokerServerConfig,
  type BrokerServerSettings
} from "../../../src/layers/BrokerServer.ts"
import { layerTcpServer } from "../../../src/layers/broker-server/tcp.ts"
import * as Rejects from "../../../src/layers/Rejects.ts"
import * as Scheduler from "../../../src/layers/Scheduler.ts"
import { type GroundOptions, makeGround } from "../broker/Ground.ts"
import { Stranger } from "./Stranger.ts"

export interface Serving {
  readonly broker: Broker["Type"]
  readonly server: BrokerServer["Type"]
  readonly rejects: Rejects.Rejects["Type"]
  /** Another peer; it leaves when the test ends. */
  readonly connect: () => Promise<Stranger>
}

/** Serves a broker in memory, unless another one is given. */
export const serve = (
  settings: Partial<BrokerServerSettings> = {},
  ground: GroundOptions = {},
  served?: Broker["Type"]
): Effect.Effect<Serving, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const broker = served ?? (yield* (yield* makeGround(ground)).openBroker)
    const built = yield* Layer.build(
      Layer.provideMerge(
        Layer.fresh(layerTcpServer),
        Layer.mergeAll(
          Layer.succeed(Broker, broker),
          Layer.fresh(Rejects.layer),
          BrokerServerConfig.layer({ port: 0, ...settings })
        )
      )
    )
    const server = Context.get(built, BrokerServer)
    const strangers = new Set<Stranger>()
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const stranger of strangers) stranger.close()
      })
    )
    return {
      broker,
      server,
      rejects: Context.get(built, Rejects.Rejects),
      connect: async () => {
        const stranger = await Stranger.connect(server.address.port)
        strangers.add(stranger)
        return stranger
      }
    }
  })

/** A test's body as an effect: what it awaits are frames, so that nothing in it waits for time. */
export const serving = (
  body: (serving: Serving) => Promise<void>,
  settings: Partial<BrokerServerSettings> = {},
  ground: GroundOptions = {}
): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.flatMap(serve(settings, ground), (all) => Effect.promise(() => body(all))).pipe(
    Effect.provide(Scheduler.layer)
  )
