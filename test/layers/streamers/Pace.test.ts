/** One pace for several streamers: its rate is the rate of all together, and each gets its turn. */
import { it } from "@effect/vitest"
import { Chunk, Clock, Deferred, Effect, FastCheck, Fiber, FiberId, TestClock } from "effect"
import { expect } from "vitest"
import * as Pace from "../../../src/layers/streamers/Pace.ts"
import * as Turns from "../../../src/layers/streamers/Turns.ts"
import { timePasses, turns } from "../../properties/Turns.ts"

/** Goes on to when the next of them wakes, once all have read what they took and wait again. */
const timePassesWhenAllWait = Effect.forever(
  Effect.flatMap(Effect.zipRight(turns(50), TestClock.sleeps()), (sleeps) =>
    Chunk.isEmpty(sleeps) ? Effect.void : TestClock.setTime(Math.min(...sleeps))
  )
)

/** Lets readers read for some time, each at most so many rows of what it takes; answers how many each has read. */
const readFor = (
  seconds: number,
  rowsPerSecond: number,
  readers: ReadonlyArray<{ readonly rowsMax: number }>
) =>
  Effect.gen(function* () {
    const pace = yield* Pace.make(rowsPerSecond)
    const endMs = (yield* Clock.currentTimeMillis) + 1000 * seconds
    yield* Effect.forkScoped(timePassesWhenAllWait)
    return yield* Effect.forEach(
      readers,
      ({ rowsMax }) =>
        Effect.gen(function* () {
          let read = 0
          for (;;) {
            const taken = yield* pace.take(500)
            if ((yield* Clock.currentTimeMillis) > endMs) return read
            yield* Effect.yieldNow()
            const rows = Math.min(taken, rowsMax)
            read += rows
            pace.giveBack(taken - rows)
          }
        }),
      { concurrency: "unbounded" }
    )
  }).pipe(Effect.scoped)

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, n) => total + n, 0)

it.effect.prop(
  "whoever reads how much of what it takes, all together read at the rate",
  {
    rowsPerSecond: FastCheck.integer({ min: 20, max: 5_000 }),
    readers: FastCheck.array(FastCheck.record({ rowsMax: FastCheck.integer({ min: 1, max: 500 }) }), {
      minLength: 1,
      maxLength: 5
    })
  },
  ({ rowsPerSecond, readers }) =>
    Effect.gen(function* () {
      const seconds = 2
      const total = sum(yield* readFor(seconds, rowsPerSecond, [...readers, { rowsMax: 500 }]))
      const portion = Math.max(1, rowsPerSecond / 20)
      expect(total).toBeLessThanOrEqual(seconds * rowsPerSecond + 2 * portion)
      // Whoever reads little of what is due leaves it to the others.
      expect(total).toBeGreaterThan(0.9 * seconds * rowsPerSecond - 2 * portion)
    }),
  { fastCheck: { numRuns: 10 } }
)

it.effect("readers that want as much get as much", () =>
  Effect.gen(function* () {
    const readers = Array.from({ length: 4 }, () => ({ rowsMax: 500 }))
    const read = yield* readFor(10, 1_000, readers)
    for (const rows of read) expect(Math.abs(rows - 2_500)).toBeLessThanOrEqual(100)
  })
)

it.effect.prop(
  "readers that stop whenever they like, waiting or not, keep nobody from reading",
  {
    stops: FastCheck.array(FastCheck.record({ reader: FastCheck.nat(), turns: FastCheck.nat(12) }), {
      maxLength: 12
    })
  },
  ({ stops }) =>
    Effect.gen(function* () {
      const pace = yield* Pace.make(100)
      yield* Effect.forkScoped(timePasses)
      const readers = yield* Effect.forEach([1, 2, 3, 4], () => Effect.fork(Effect.forever(pace.take(1))))
      for (const { reader, turns: count } of stops) {
        yield* turns(count)
        yield* Fiber.interrupt(readers[reader % readers.length]!)
      }
      for (const _ of [1, 2, 3]) expect(yield* pace.take(1)).toBeGreaterThan(0)
      yield* Fiber.interruptAll(readers)
    }).pipe(Effect.scoped),
  { fastCheck: { numRuns: 40 } }
)

it.effect("whoever is interrupted just as it gets its turn hands it on", () =>
  Effect.gen(function* () {
    const inTurn = Turns.make()
    const hasTurn = yield* Deferred.make<void>()
    const first = yield* Effect.fork(inTurn(Deferred.await(hasTurn)))
    yield* turns(3)
    const second = yield* Effect.fork(inTurn(Effect.never))
    yield* turns(3)
    const third = yield* Effect.fork(inTurn(Effect.succeed("third")))
    yield* turns(3)
    // An observer runs in the step in which the first ends: its turn is the second's already, which does not know it yet.
    first.addObserver(() => second.unsafeInterruptAsFork(FiberId.none))
    yield* Deferred.succeed(hasTurn, undefined)
    expect(yield* Fiber.join(third)).toBe("third")
  })
)

it.effect("a reader that stops while it waits for its turn keeps no other from reading", () =>
  Effect.gen(function* () {
    const pace = yield* Pace.make(10)
    const all = yield* Effect.forEach([1, 2, 3, 4], () => Effect.fork(pace.take(1)))
    yield* Effect.yieldNow()
    yield* Fiber.interrupt(all[0]!)
    yield* Fiber.interrupt(all[1]!)
    yield* TestClock.adjust("1 seconds")
    expect(yield* Fiber.join(all[3]!)).toBe(1)
    expect(yield* Fiber.join(all[2]!)).toBe(1)
  })
)
