/** Fibers that wake each other without end must not keep Node's event loop from turning. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Queue } from "effect"
import * as Scheduler from "../../src/layers/Scheduler.ts"

/** Far more rounds than it takes, so that a scheduler that starves the event loop fails instead of hanging. */
const roundsMax = 200_000

/** Two fibers hand a number to and fro until something has happened; answers after how many rounds, at most `roundsMax`. */
const pingPong = (happened: () => boolean) =>
  Effect.gen(function* () {
    const ping = yield* Queue.bounded<number>(1)
    const pong = yield* Queue.bounded<number>(1)
    const answering = yield* Effect.fork(
      Effect.forever(Effect.flatMap(Queue.take(ping), (n) => Queue.offer(pong, n)))
    )
    let rounds = 0
    while (!happened() && rounds < roundsMax) {
      yield* Queue.offer(ping, rounds++)
      yield* Queue.take(pong)
    }
    yield* Fiber.interrupt(answering)
    return rounds
  })

const callbacks: Readonly<Record<string, (callback: () => void) => void>> = {
  setImmediate: (callback) => void setImmediate(callback),
  "a timer": (callback) => void setTimeout(callback, 1)
}

describe("under the product's scheduler", () => {
  for (const [name, schedule] of Object.entries(callbacks)) {
    it(`${name} is served while two fibers keep waking each other`, async () => {
      let called = false
      schedule(() => {
        called = true
      })
      const rounds = await Effect.runPromise(
        pingPong(() => called),
        { scheduler: Scheduler.make() }
      )
      expect(rounds).toBeLessThan(roundsMax)
    })
  }

  it("its layer sets it for what is built on it", async () => {
    let called = false
    setImmediate(() => {
      called = true
    })
    const rounds = await Effect.runPromise(
      Effect.provide(
        pingPong(() => called),
        Scheduler.layer
      )
    )
    expect(rounds).toBeLessThan(roundsMax)
  })
})
