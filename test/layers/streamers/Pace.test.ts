/** A pace keeps its rate, however little is read at a time of what is due, and whoever stops waiting. */
import { it } from "@effect/vitest"
import { Clock, Effect, FastCheck, Fiber, TestClock } from "effect"
import { expect } from "vitest"
import * as Pace from "../../../src/layers/streamers/Pace.ts"
import { withSoloClock } from "../../properties/SoloClock.ts"

const readSizes = FastCheck.array(
  FastCheck.record({
    rowsMax: FastCheck.integer({ min: 1, max: 500 }),
    share: FastCheck.oneof(FastCheck.constant(1), FastCheck.double({ min: 0, max: 1, noNaN: true }))
  }),
  { minLength: 1, maxLength: 5 }
)

it.effect.prop(
  "as many rows are due as the rate says, of which nothing is lost that was not read",
  { rowsPerSecond: FastCheck.integer({ min: 20, max: 5_000 }), readSizes },
  ({ rowsPerSecond, readSizes }) =>
    Effect.gen(function* () {
      const seconds = 2
      const portion = Math.max(1, rowsPerSecond / 20)
      const pace = yield* Pace.make(rowsPerSecond)
      const startMs = yield* Clock.currentTimeMillis
      let spent = 0
      const early: Array<unknown> = []
      for (let reads = 0; ; reads++) {
        const { rowsMax, share } = readSizes[reads % readSizes.length]!
        const due = yield* pace.due(rowsMax)
        const elapsedMs = (yield* Clock.currentTimeMillis) - startMs
        if (elapsedMs > 1_000 * seconds) break
        const rows = Math.max(1, Math.floor(share * due))
        spent += rows
        pace.spend(rows)
        const isTooMuch = spent > (elapsedMs * rowsPerSecond) / 1_000 + 1e-6
        if (due < 1 || due > rowsMax || isTooMuch) early.push({ due, rowsMax, spent, elapsedMs })
      }
      expect(early, "rows that were not due yet").toEqual([])
      expect(spent).toBeGreaterThanOrEqual(seconds * rowsPerSecond - 2 * portion)
    }).pipe(withSoloClock),
  { fastCheck: { numRuns: 50 } }
)

it.effect("what was not read in time is not caught up beyond a portion", () =>
  Effect.gen(function* () {
    const pace = yield* Pace.make(1_000)
    yield* TestClock.adjust("1 hour")
    expect(yield* pace.due(500)).toBe(100)
  })
)

it.effect("waiting that is ended costs no row", () =>
  Effect.gen(function* () {
    const pace = yield* Pace.make(10)
    const waiting = yield* Effect.fork(pace.due(1))
    yield* Effect.yieldNow()
    yield* Fiber.interrupt(waiting)
    yield* TestClock.adjust(100)
    expect(yield* pace.due(1)).toBe(1)
  })
)

it.effect("without a rate everything is due at once", () =>
  Effect.gen(function* () {
    const pace = yield* Pace.make("max")
    for (const rows of [1, 500, 500]) {
      expect(yield* pace.due(rows)).toBe(rows)
      pace.spend(rows)
    }
  })
)
