import { FastCheck } from "effect"
import { describe, expect, it } from "vitest"
import {
  type Load,
  loadAt,
  loadFollowed,
  loadSum
} from "../../../src/layers/telemetry-source/simulated/waves.ts"

const dips = FastCheck.record({
  periodS: FastCheck.double({ min: 20, max: 400, noNaN: true }),
  lengthS: FastCheck.double({ min: 2, max: 15, noNaN: true }),
  depth: FastCheck.double({ min: 0, max: 0.4, noNaN: true })
})

const load: FastCheck.Arbitrary<Load> = FastCheck.record({
  mean: FastCheck.double({ min: 0.5, max: 1, noNaN: true }),
  swing: FastCheck.constantFrom(0, 0.2, 0.45),
  dips: FastCheck.array(dips, { maxLength: 2 }),
  beginsS: FastCheck.nat(86_400)
})

const lagS = 45
const stepS = 0.05

describe("in closed form", () => {
  it("the sum of a load is what adding it up gives, and what follows it is what following it step by step gives", () => {
    FastCheck.assert(
      FastCheck.property(load, FastCheck.integer({ min: 1, max: 2_000 }), (of, untilS) => {
        let sum = 0
        let followed = 0
        for (let step = 0; step * stepS < untilS; step++) {
          const now = loadAt(of, (step + 0.5) * stepS)
          sum += now * stepS
          followed += ((now - followed) * stepS) / lagS
        }
        expect(Math.abs(loadSum(of, untilS) - sum)).toBeLessThan(0.01 * untilS + 0.1)
        expect(Math.abs(loadFollowed(of, untilS, lagS) - followed)).toBeLessThan(0.005)
      }),
      { numRuns: 100 }
    )
  })
})
