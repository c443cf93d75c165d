/** A log in which an outage is a line or two, however long it lasts and however often it is tried. */
import { expect, it } from "@effect/vitest"
import { Effect, Logger, TestClock } from "effect"
import { OutageLog } from "../../src/layers/OutageLog.ts"

/** What is logged meanwhile. */
const logged = (body: (outage: OutageLog) => Effect.Effect<void>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => {
      lines.push(String(message))
    })
    return Effect.as(
      Effect.provide(body(new OutageLog("away", "back")), Logger.replace(Logger.defaultLogger, logger)),
      lines
    )
  })

it.effect("an outage is told when it begins, at another problem, and when it ends", () =>
  Effect.gen(function* () {
    const lines = yield* logged((outage) =>
      Effect.gen(function* () {
        yield* outage.succeeded()
        for (const problem of ["a", "a", "b", "a", "b"]) yield* outage.failed(problem)
        yield* outage.succeeded()
        yield* outage.succeeded()
      })
    )
    expect(lines).toEqual(["away: a", "away: b", "back"])
  })
)

it.effect("the next outage is told as well, unless it follows at once", () =>
  Effect.gen(function* () {
    const lines = yield* logged((outage) =>
      Effect.gen(function* () {
        for (const afterMs of [20_000, 20_000, 0]) {
          yield* outage.failed("a")
          yield* TestClock.adjust(afterMs)
          yield* outage.succeeded()
        }
      })
    )
    expect(lines).toEqual(["away: a", "back", "away: a", "back"])
  })
)

it.effect("an outage that lasts is told again, rarely", () =>
  Effect.gen(function* () {
    const lines = yield* logged((outage) =>
      Effect.gen(function* () {
        for (let half = 0; half < 20; half++) {
          yield* outage.failed("a")
          yield* TestClock.adjust(30_000)
        }
      })
    )
    expect(lines).toEqual(["away: a", "away: a"])
  })
)

it.effect("what comes and goes all the time, or has other words each time, does not fill the log", () =>
  Effect.gen(function* () {
    const lines = yield* logged((outage) =>
      Effect.gen(function* () {
        for (let turn = 0; turn < 1_000; turn++) {
          yield* outage.failed("a")
          yield* outage.failed(`${turn}`)
          yield* outage.succeeded()
        }
      })
    )
    expect(lines.length).toBeLessThan(20)
  })
)
