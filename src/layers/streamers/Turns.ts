/**
 * Turns at something that one may do at a time, in the order in which they were asked for.
 *
 * A turn is handed over to whoever waits longest. Effect's semaphore sets its permit free instead, and whoever comes first
 * may be the one that has just had it: others starve.
 */
import { Effect } from "effect"

/** Does something when it is its turn. Whoever is interrupted while it waits gives its place up. */
export type Turns = <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export const make = (): Turns => {
  const waiting = new Set<() => void>()
  let isTaken = false

  const leave = Effect.sync(() => {
    const [next] = waiting
    if (next === undefined) {
      isTaken = false
    } else {
      waiting.delete(next)
      next()
    }
  })

  const enter = Effect.async<void>((resume) => {
    const go = () => resume(Effect.void)
    if (isTaken) waiting.add(go)
    else {
      isTaken = true
      go()
    }
    // Whoever is interrupted just as it gets its turn has it.
    return Effect.suspend(() => (waiting.delete(go) ? Effect.void : leave))
  })

  return (work) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.zipRight(restore(enter), Effect.ensuring(restore(work), leave))
    )
}
