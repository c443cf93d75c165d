/** What a handler asks of another service: what that can't answer now is a problem that names it. */
import { Effect } from "effect"
import { BrokerUnavailable } from "../layers/Broker.ts"
import { StoreUnavailable } from "../layers/TelemetryStore.ts"
import { Unavailable } from "./Problem.ts"

type Away = StoreUnavailable | BrokerUnavailable

/** The same answer, or a 503. The cause goes to the log alone. */
export const orUnavailable = <A, E, R>(
  asked: Effect.Effect<A, E | Away, R>
): Effect.Effect<A, Exclude<E, Away> | Unavailable, R> =>
  Effect.catchAll(
    asked,
    (failure): Effect.Effect<never, Exclude<E, Away> | Unavailable> =>
      failure instanceof StoreUnavailable || failure instanceof BrokerUnavailable
        ? Effect.zipRight(
            Effect.logDebug(failure.message, failure.cause),
            Effect.fail(Unavailable.because(failure.message))
          )
        : Effect.fail(failure as Exclude<E, Away>)
  )
