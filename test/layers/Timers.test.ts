import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Scope, TestClock } from "effect"
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
})
