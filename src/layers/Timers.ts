/** The timers that a machine arms and disarms by name. They end with the scope. */
import { Clock, Effect, FiberMap, type Scope } from "effect"
import { noEvents } from "./Interpreter.ts"

export interface Timers<Name> {
  /** A timer of that name that runs already starts again. */
  readonly armTimer: (params: {
    readonly timer: Name
    readonly delayMs: number
  }) => Effect.Effect<ReadonlyArray<never>>
  readonly disarmTimer: (params: { readonly timer: Name }) => Effect.Effect<ReadonlyArray<never>>
}

/**
 * Timers that live as long as the scope; given what is to be done when one has fired, which is told the time in
 * milliseconds, the handlers of their commands.
 */
export const make = <Name extends string>(): Effect.Effect<
  (fired: (timer: Name, nowMs: number) => void) => Timers<Name>,
  never,
  Scope.Scope
> =>
  Effect.map(FiberMap.make<Name>(), (running) => (fired) => ({
    armTimer: ({ timer, delayMs }) =>
      Effect.as(
        FiberMap.run(
          running,
          timer,
          Effect.zipRight(
            Effect.sleep(delayMs),
            Effect.map(Clock.currentTimeMillis, (nowMs) => fired(timer, nowMs))
          )
        ),
        noEvents
      ),
    disarmTimer: ({ timer }) => Effect.as(FiberMap.remove(running, timer), noEvents)
  }))
