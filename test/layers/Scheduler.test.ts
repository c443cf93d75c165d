/** Fibers that wake each other without end must not keep Node's event loop from turning. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Queue } from "effect"
import * as Scheduler from "../../src/layers/Scheduler.ts"

/**
 * Rounds in which nothing else has a turn before the test fails: many times what the product's scheduler lets pass, and
 * fewer than Effect's own, which takes 2,048 at the least.
 */
const roundsMax = 1_500

/** Plays round after round until what is scheduled in the midst of it has happened; answers how many it took. */
const playUntil = (round: Effect.Effect<unknown>, schedule: (callback: () => void) => void) =>
  Effect.gen(function* () {
    yield* Effect.repeatN(round, 100)
    let happened = false
    schedule(() => {
      happened = true
    })
    let rounds = 0
    while (!happened && rounds < roundsMax) {
      yield* round
      rounds++
    }
    return rounds
  })

/** Two fibers that hand something to and fro. */
const pingPong = Effect.gen(function* () {
  const ping = yield* Queue.bounded<void>(1)
  const pong = yield* Queue.bounded<void>(1)
  yield* Effect.forkScoped(
    Effect.forever(Effect.flatMap(Queue.take(ping), () => Queue.offer(pong, undefined)))
  )
  return Effect.zipRight(Queue.offer(ping, undefined), Queue.take(pong))
})

/** A fiber that forks others and waits for them. */
const forkAndJoin = Effect.succeed(Effect.flatMap(Effect.fork(Effect.yieldNow()), Fiber.join))

const rounds = {
  "two fibers keep waking each other": pingPong,
  "a fiber keeps forking and joining": forkAndJoin
}
const schedules = {
  setImmediate: (callback: () => void) => void setImmediate(callback),
  "a timer": (callback: () => void) => void setTimeout(callback, 1)
}

describe("under the product's scheduler", () => {
  for (const [what, makeRound] of Object.entries(rounds)) {
    for (const [name, schedule] of Object.entries(schedules)) {
      it(`${name} is served while ${what}`, async () => {
        const played = Effect.scoped(Effect.flatMap(makeRound, (round) => playUntil(round, schedule)))
        expect(await Effect.runPromise(Effect.provide(played, Scheduler.layer))).toBeLessThan(roundsMax)
      })
    }
  }
})
