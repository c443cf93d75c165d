import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Random, Scope, TestClock } from "effect"
import * as Timers from "../../src/layers/Timers.ts"

const started = Effect.map(Timers.make<"a" | "b">(), (makeTimers) => {
  const fired: Array<string> = []
  return { fired, timers: makeTimers((timer) => fired.push(timer)) }
})

describe("a timer", () => {
  it.scoped("fires once, when its time is up, whatever the others do", () =>
    Effect.gen(function* () {
      const { fired, timers } = yield* started
      yield* timers.armTimer({ timer: "a", delayMs: 100 })
      yield* timers.armTimer({ timer: "b", delayMs: 50 })
      yield* TestClock.adjust(99)
      expect(fired).toEqual(["b"])
      yield* TestClock.adjust(1)
      expect(fired).toEqual(["b", "a"])
      yield* TestClock.adjust(1_000)
      expect(fired).toEqual(["b", "a"])
    })
  )

  it.scoped("starts again where it is armed again, and never fires once it is disarmed", () =>
    Effect.gen(function* () {
      const { fired, timers } = yield* started
      yield* timers.armTimer({ timer: "a", delayMs: 100 })
      yield* TestClock.adjust(60)
      yield* timers.armTimer({ timer: "a", delayMs: 100 })
      yield* TestClock.adjust(60)
      expect(fired).toEqual([])
      yield* TestClock.adjust(40)
      expect(fired).toEqual(["a"])
      yield* timers.armTimer({ timer: "a", delayMs: 100 })
      yield* timers.disarmTimer({ timer: "a" })
      yield* TestClock.adjust(1_000)
      expect(fired).toEqual(["a"])
    })
  )

  it.effect("ends with its scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { fired, timers } = yield* Scope.extend(started, scope)
      yield* timers.armTimer({ timer: "a", delayMs: 100 })
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(1_000)
      expect(fired).toEqual([])
    })
  )

  it.scoped("of a retry fires later than asked by chance, by half at most and never earlier", () =>
    Effect.gen(function* () {
      const fired: Array<number> = []
      for (const n of Array.from({ length: 20 }, (_, index) => index)) {
        const make = yield* Timers.make<"retry">(["retry"])
        const { armTimer } = make((_, nowMs) => fired.push(nowMs))
        yield* armTimer({ timer: "retry", delayMs: 1_000 }).pipe(Effect.withRandom(Random.make(n)))
      }
      for (let ms = 0; ms < 1_500; ms += 25) yield* TestClock.adjust(25)
      expect(fired).toHaveLength(20)
      expect(Math.min(...fired)).toBeGreaterThanOrEqual(1_000)
      expect(new Set(fired).size).toBeGreaterThan(10)
    })
  )
})
