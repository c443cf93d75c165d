import { it } from "@effect/vitest"
import { FastCheck } from "effect"
import { expect } from "vitest"
import { makeTimestamper } from "../../../src/layers/telemetry-source/timestamper.ts"

it("a sample gets the instant it was read at, where that is free", () => {
  const timestamper = makeTimestamper(undefined)
  expect(timestamper.last).toBeUndefined()
  expect(timestamper.next(10n)).toBe(10n)
  expect(timestamper.next(12n)).toBe(12n)
  expect(timestamper.last).toBe(12n)
})

it("times rise strictly, whatever the clock does and across restarts", () => {
  const clocks = FastCheck.array(FastCheck.array(FastCheck.bigInt(-20n, 20n)))
  FastCheck.assert(
    FastCheck.property(clocks, (runs) => {
      let last: bigint | undefined
      const given: Array<bigint> = []
      for (const run of runs) {
        const timestamper = makeTimestamper(last)
        for (const now of run) given.push(timestamper.next(now))
        last = timestamper.last
      }
      expect(given.every((time, i) => i === 0 || time > given[i - 1]!)).toBe(true)
    })
  )
})
