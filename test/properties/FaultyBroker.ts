/**
 * A broker behind connections that break. What was sent may have arrived or not, nobody is told which, and everything
 * behind it on that connection fails, answers on their way included.
 */
import { Deferred, Effect, Fiber, Scope } from "effect"
import {
  Broker,
  BrokerUnavailable,
  type ProducerSession,
  type Subscription
} from "../../src/layers/Broker.ts"

/**
 * What becomes of a call: it is answered; it never arrives; it is done and its answer is lost; the connection breaks
 * while it is on its way.
 */
export type Fault = "none" | "lost" | "answerLost" | "onItsWay"

const unavailable = new BrokerUnavailable({ problem: "connection broken" })

/**
 * A broker over the one that `current` answers, with a fault for each call until there are none left. What is on its way
 * goes on in the scope, whoever waits for it.
 */
export const make = (
  current: () => Broker["Type"],
  faults: Array<Fault>,
  scope: Scope.Scope
): Broker["Type"] => {
  type Broken = Deferred.Deferred<never, BrokerUnavailable>

  const call = <A, E>(broken: Broken, inner: Effect.Effect<A, E>): Effect.Effect<A, E | BrokerUnavailable> =>
    Effect.gen(function* () {
      if (yield* Deferred.isDone(broken)) return yield* unavailable
      const fault = faults.shift() ?? "none"
      const breaks = Deferred.fail(broken, unavailable)
      if (fault === "lost") {
        yield* breaks
        return yield* unavailable
      }
      const done = yield* Effect.forkIn(inner, scope)
      if (fault === "onItsWay") yield* breaks
      if (fault === "answerLost") yield* Effect.zipRight(Fiber.await(done), breaks)
      return yield* Effect.raceFirst(Deferred.await(broken), Fiber.join(done))
    })

  const connected = Deferred.make<never, BrokerUnavailable>()
  return Broker.of({
    publish: (payloads) => Effect.flatMap(connected, (broken) => call(broken, current().publish(payloads))),
    hello: (producerId) =>
      Effect.flatMap(Effect.all([connected, Effect.scope]), ([broken, own]) =>
        Effect.map(
          call(
            broken,
            Effect.suspend(() => Scope.extend(current().hello(producerId), own))
          ),
          (session): ProducerSession => ({
            ...session,
            publish: (numbered) => call(broken, session.publish(numbered))
          })
        )
      ),
    join: (producerId) =>
      Effect.flatMap(connected, (broken) =>
        Effect.map(
          Effect.suspend(() => current().join(producerId)),
          ({ publish }) => ({ publish: (numbered) => call(broken, publish(numbered)) })
        )
      ),
    subscribe: (options) =>
      Effect.flatMap(Effect.all([connected, Effect.scope]), ([broken, own]) =>
        Effect.map(
          call(
            broken,
            Effect.suspend(() => Scope.extend(current().subscribe(options), own))
          ),
          (subscription): Subscription => ({
            ...subscription,
            deliveries: Effect.raceFirst(Deferred.await(broken), subscription.deliveries),
            commit: (offset) => call(broken, subscription.commit(offset)),
            ack: (offsets) => call(broken, subscription.ack(offsets)),
            nack: (offset) => call(broken, subscription.nack(offset)),
            unsubscribe: call(broken, subscription.unsubscribe)
          })
        )
      ),
    setCheckpoint: (subscriberId, to) =>
      Effect.flatMap(connected, (broken) => call(broken, current().setCheckpoint(subscriberId, to))),
    stats: Effect.suspend(() => current().stats)
  })
}
