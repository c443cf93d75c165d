/** The store as a handler asks it: what it can't answer now is a problem that names it. */
import { Effect } from "effect"
import { StoreUnavailable } from "../../layers/TelemetryStore.ts"
import { Unavailable } from "../Problem.ts"

/** The same answer, or a 503. The cause goes to the log alone. */
export const orUnavailable = <A, E, R>(
  asked: Effect.Effect<A, E | StoreUnavailable, R>
): Effect.Effect<A, Exclude<E, StoreUnavailable> | Unavailable, R> =>
  Effect.catchAll(
    asked,
    (failure): Effect.Effect<never, Exclude<E, StoreUnavailable> | Unavailable> =>
      failure instanceof StoreUnavailable
        ? Effect.zipRight(
            Effect.logDebug(failure.message, failure.cause),
            Effect.fail(Unavailable.because(failure.message))
          )
        : Effect.fail(failure as Exclude<E, StoreUnavailable>)
  )
