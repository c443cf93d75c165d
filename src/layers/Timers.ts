/** The timers that a machine arms and disarms by name. They end with the scope. */
import { Clock, Effect, FiberMap, Random, type Scope } from "effect"
import { noEvents } from "./Interpreter.ts"

export interface Timers<Name> {
  /** A timer of that name that runs already starts again. */
  readonly armTimer: (params: {
    readonly timer: Name
    readonly delayMs: number
  }) => Effect.Effect<ReadonlyArray<never>>
  readonly disarmTimer: (params: { readonly timer: Name }) => Effect.Effect<ReadonlyArray<never>>
}

/** How much longer than asked a retry may wait, as a share of what was asked. */
const jitterShareMax = 0.5

/**
 * Timers that live as long as the scope; given what is to be done when one has fired, which is told the time in
 * milliseconds, the handlers of their commands.
 *
 * Those named as `retries` fire a little later than asked, by chance, so that many who lost the same thing at the same
 * moment do not all come back for it at the same moment; never earlier, as somebody may have asked for that pause.
 */
export const make = <Name extends string>(
  retries: ReadonlyArray<Name> = []
): Effect.Effect<(fired: (timer: Name, nowMs: number) => void) => Timers<Name>, never, Scope.Scope> =>
  Effect.map(FiberMap.make<Name>(), (running) => {
    const wait = (timer: Name, delayMs: number): Effect.Effect<void> =>
      retries.includes(timer)
        ? Effect.flatMap(Random.next, (chance) =>
            Effect.sleep(Math.ceil(delayMs * (1 + chance * jitterShareMax)))
          )
        : Effect.sleep(delayMs)
    return (fired) => ({
      armTimer: ({ timer, delayMs }) =>
        Effect.as(
          FiberMap.run(
            running,
            timer,
            Effect.zipRight(
              wait(timer, delayMs),
              Effect.map(Clock.currentTimeMillis, (nowMs) => fired(timer, nowMs))
            )
          ),
          noEvents
        ),
      disarmTimer: ({ timer }) => Effect.as(FiberMap.remove(running, timer), noEvents)
    })
  })
