/** The timers that a machine arms and disarms by name. They end with the scope. */
import { Effect, FiberMap, type Scope } from "effect"
import { noEvents } from "./Interpreter.ts"

export interface Timers<Name> {
  /** Calls `fired` after the delay. A timer of that name that runs already starts again. */
  readonly armTimer: (params: {
    readonly timer: Name
    readonly delayMs: number
  }) => Effect.Effect<ReadonlyArray<never>>
  readonly disarmTimer: (params: { readonly timer: Name }) => Effect.Effect<ReadonlyArray<never>>
}

export const make = <Name extends string>(
  fired: (timer: Name) => void
): Effect.Effect<Timers<Name>, never, Scope.Scope> =>
  Effect.map(FiberMap.make<Name>(), (running) => ({
    armTimer: ({ timer, delayMs }) =>
      Effect.as(
        FiberMap.run(
          running,
          timer,
          Effect.zipRight(
            Effect.sleep(delayMs),
            Effect.sync(() => fired(timer))
          )
        ),
        noEvents
      ),
    disarmTimer: ({ timer }) => Effect.as(FiberMap.remove(running, timer), noEvents)
  }))
