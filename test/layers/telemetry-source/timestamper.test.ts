import { it } from "@effect/vitest"
import { FastCheck } from "effect"
import { expect } from "vitest"
import { laneWidth, makeTimestamper } from "../../../src/layers/telemetry-source/timestamper.ts"
import { shardsMax, shardsOf, wholeSource } from "../../../src/protocol/Shard.ts"

it("a sample gets the instant it was read at, where that is free", () => {
  const timestamper = makeTimestamper(undefined, wholeSource)
  expect(timestamper.last).toBeUndefined()
  expect(timestamper.next(10n)).toBe(10n)
  expect(timestamper.next(12n)).toBe(12n)
  expect(timestamper.last).toBe(12n)
})

it("the last digits of a time are the streamer's index", () => {
  const [first, second] = shardsOf(20, "host").map((shard) => makeTimestamper(undefined, shard))
  expect([first!.next(1_234n), first!.next(1_234n), first!.next(1_234n)]).toEqual([1_200n, 1_300n, 1_400n])
  expect([second!.next(1_234n), second!.next(-1n), second!.next(5_000n)]).toEqual([1_201n, 1_301n, 5_001n])
})

it.each([
  [1, 1n],
  [2, 10n],
  [10, 10n],
  [11, 100n],
  [shardsMax, 1_000n]
])("%s streamers share lanes that are %s ns apart", (count, width) => {
  expect(laneWidth(count)).toBe(width)
})

/** What each of some streamers reads at which times, run after run; the clock may be set back. */
const reads = FastCheck.tuple(
  FastCheck.integer({ min: 1, max: 12 }),
  FastCheck.array(FastCheck.array(FastCheck.bigInt(-40n, 40n)))
)

it("times rise strictly, whatever the clock does and across restarts", () => {
  FastCheck.assert(
    FastCheck.property(reads, FastCheck.nat(), ([count, runs], n) => {
      let last: bigint | undefined
      const given: Array<bigint> = []
      for (const run of runs) {
        const timestamper = makeTimestamper(last, { index: n % count, count })
        for (const now of run) given.push(timestamper.next(now))
        last = timestamper.last
      }
      expect(given.every((time, i) => i === 0 || time > given[i - 1]!)).toBe(true)
    })
  )
})

it("two streamers of one source never give the same instant", () => {
  FastCheck.assert(
    FastCheck.property(reads, ([count, runs]) => {
      const given = shardsOf(count, "host").flatMap((shard) => {
        let last: bigint | undefined
        return runs.flatMap((run) => {
          const timestamper = makeTimestamper(last, shard)
          const times = run.map(timestamper.next)
          last = timestamper.last
          return times
        })
      })
      expect(new Set(given).size).toBe(given.length)
    })
  )
})

it("a time is less than the width of the lanes from when it was read, where that is free", () => {
  FastCheck.assert(
    FastCheck.property(
      FastCheck.integer({ min: 1, max: shardsMax }),
      FastCheck.nat(),
      FastCheck.bigInt(),
      (count, n, now) => {
        const time = makeTimestamper(undefined, { index: n % count, count }).next(now)
        const distance = time > now ? time - now : now - time
        expect(distance < laneWidth(count)).toBe(true)
      }
    )
  )
})
