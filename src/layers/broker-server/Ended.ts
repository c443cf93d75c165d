/** Subscriptions that end while something is asked of them. */
import { Data, Effect } from "effect"
import type { Broker, BrokerUnavailable } from "../Broker.ts"

/** The subscription is there no more; the broker is. */
export class SubscriptionEnded extends Data.TaggedError("SubscriptionEnded") {}

/** Tells a subscription that has ended from a broker that has: only the latter is a reason to end a connection. */
export const orEnded = <A, E>(
  broker: Broker["Type"],
  asked: Effect.Effect<A, E | BrokerUnavailable>
): Effect.Effect<A, E | BrokerUnavailable | SubscriptionEnded> =>
  Effect.catchIf(
    asked,
    (error): error is E & BrokerUnavailable =>
      (error as { readonly _tag?: string } | undefined)?._tag === "BrokerUnavailable",
    () => Effect.zipRight(broker.stats, Effect.fail(new SubscriptionEnded()))
  )
