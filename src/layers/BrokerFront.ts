/**
 * The broker of this process as its HTTP server has it from the first moment on: until its log has been read back, whatever
 * is asked of it fails and says so.
 */
import { Context, Effect, Layer, Ref } from "effect"
import { Broker, BrokerUnavailable } from "./Broker.ts"

/** Whether a broker is still reading its log. One that is not told about does not. */
export class Recovery extends Context.Reference<Recovery>()("telemetry/Recovery", {
  defaultValue: (): { readonly isUnderWay: Effect.Effect<boolean> } => ({ isUnderWay: Effect.succeed(false) })
}) {}

export class BrokerFront extends Context.Tag("telemetry/BrokerFront")<
  BrokerFront,
  {
    readonly broker: Broker["Type"]
    /** From now on `broker` is this one. */
    readonly open: (broker: Broker["Type"]) => Effect.Effect<void>
    readonly recovery: Recovery["Type"]
  }
>() {}

export const recovering = "recovering: its log is being read"

const make = Effect.map(Ref.make<Broker["Type"] | undefined>(undefined), (current) => {
  const asked = <A, E, R>(
    ask: (broker: Broker["Type"]) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | BrokerUnavailable, R> =>
    Effect.flatMap(
      Ref.get(current),
      (broker): Effect.Effect<A, E | BrokerUnavailable, R> =>
        broker === undefined ? Effect.fail(new BrokerUnavailable({ problem: recovering })) : ask(broker)
    )
  return BrokerFront.of({
    broker: {
      publish: (payloads, whenFull) => asked(({ publish }) => publish(payloads, whenFull)),
      hello: (producerId) => asked(({ hello }) => hello(producerId)),
      join: (producerId) => asked(({ join }) => join(producerId)),
      subscribe: (options) => asked(({ subscribe }) => subscribe(options)),
      setCheckpoint: (subscriberId, to) => asked(({ setCheckpoint }) => setCheckpoint(subscriberId, to)),
      stats: asked(({ stats }) => stats)
    },
    open: (broker) => Ref.set(current, broker),
    recovery: { isUnderWay: Effect.map(Ref.get(current), (broker) => broker === undefined) }
  })
})

export const layer: Layer.Layer<BrokerFront> = Layer.effect(BrokerFront, make)

/** What stands on the front: a broker that answers from the first moment on, and whether it is still recovering. */
export const layerBroker: Layer.Layer<Broker | Recovery, never, BrokerFront> = Layer.effectContext(
  Effect.map(BrokerFront, ({ broker, recovery }) =>
    Context.make(Broker, broker).pipe(Context.add(Recovery, recovery))
  )
)

/** Has the front ask the broker of a layer once all of the layer is built. */
export const openFor = <A, E, R>(
  layer: Layer.Layer<A | Broker, E, R>
): Layer.Layer<A | Broker, E, R | BrokerFront> =>
  Layer.tap(layer, (built) => Effect.flatMap(BrokerFront, ({ open }) => open(Context.get(built, Broker))))
