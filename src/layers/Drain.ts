/** Ending what works in the background only when its work is done. */
import { Effect, ExecutionStrategy, Scope } from "effect"

/** Drains all at the same time and to the end, whichever of them fails; fails with the first of those failures. */
export const drainAll = <E>(drains: ReadonlyArray<Effect.Effect<void, E>>): Effect.Effect<void, E> =>
  Effect.all(drains.map(Effect.exit), { concurrency: "unbounded" }).pipe(
    Effect.flatMap((exits) => Effect.all(exits, { discard: true }))
  )

/**
 * Acquires something in a scope of its own. When the outer scope closes, `drain` runs first and the own scope closes after
 * it: what was started there goes on until then. (In one scope, fibers that were forked later would be ended before.) A
 * drain that fails is logged as an error, and ends nothing else.
 */
export const drainedOnClose = <A, E, R>(
  acquire: Effect.Effect<A, E, R>,
  drain: (acquired: A) => Effect.Effect<void, { readonly message: string }>
): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const own = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const acquired = yield* Scope.extend(acquire, own)
    yield* Effect.addFinalizer(() =>
      drain(acquired).pipe(
        // What could fail has said why already, or is about to; what could not is shown whole.
        Effect.catchAll((failure) => Effect.logError(`ended without draining: ${failure.message}`)),
        Effect.catchAllCause((cause) => Effect.logError("ended without draining", cause))
      )
    )
    return acquired
  })
