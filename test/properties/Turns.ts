/** How properties of running services let time and fibers go on: under the product's scheduler, by turns and conditions. */
import { Chunk, Effect, type FastCheck, TestClock } from "effect"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import { turn } from "../contracts/Broker.messages.ts"

/** Runs under the scheduler that every process of the product runs under. */
export const scheduled = Effect.provide(Scheduler.layer)

/** Lets every fiber that can go on do so, a number of times: "at any moment" is any such number. */
export const turns = (count: number): Effect.Effect<void> =>
  count === 0 ? Effect.void : Effect.repeatN(Effect.yieldNow(), count - 1)

/** Whenever somebody sleeps, time goes on to when the first of them wakes. Never ends by itself. */
export const timePasses: Effect.Effect<never> = Effect.forever(
  Effect.flatMap(TestClock.sleeps(), (sleeps) => {
    if (Chunk.isEmpty(sleeps)) return turn
    return TestClock.setTime(Math.min(...sleeps))
  })
)

/** What an arbitrary draws. */
export type Drawn<A> = A extends FastCheck.Arbitrary<infer Value> ? Value : never
