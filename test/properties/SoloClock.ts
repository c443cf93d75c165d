/** A clock for a fiber that nobody waits for: when it sleeps, its time goes on at once. */
import { Clock, Duration, Effect } from "effect"

/** Runs an effect, at whose beginning it is 1970, by a clock of its own. */
export const withSoloClock = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let nowMs = 0
    const clock: Clock.Clock = Object.assign(Clock.make(), {
      unsafeCurrentTimeMillis: () => nowMs,
      unsafeCurrentTimeNanos: () => BigInt(nowMs) * 1_000_000n,
      currentTimeMillis: Effect.sync(() => nowMs),
      currentTimeNanos: Effect.sync(() => BigInt(nowMs) * 1_000_000n),
      sleep: (duration: Duration.Duration) =>
        Effect.sync(() => {
          nowMs += Duration.toMillis(duration)
        })
    })
    return Effect.withClock(effect, clock)
  })
