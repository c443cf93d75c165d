import { FastCheck } from "effect"
import { describe, expect, it, test } from "vitest"
import { formatDurationNs, parseDurationNs } from "../../src/protocol/Duration.ts"

describe("a duration", () => {
  test.each([
    ["30s", 30_000_000_000n],
    ["1m", 60_000_000_000n],
    ["1h30m", 5_400_000_000_000n],
    ["1.5h", 5_400_000_000_000n],
    [".5s", 500_000_000n],
    ["2.s", 2_000_000_000n],
    ["1500us", 1_500_000n],
    ["1µs1μs", 2_000n],
    ["0.3ns", 0n],
    ["0", 0n],
    ["0.000000000000000000001h", 0n],
    ["9007199254740993ns", 9_007_199_254_740_993n]
  ])("is read from %s exactly", (text, ns) => expect(parseDurationNs(text)).toBe(ns))

  test.each(["", "1", "s", ".s", "-1s", "+1s", "1 m", "1e3s", "1d", "1S", "1,5s", "1m ", "١s", "NaN"])(
    "is not %j",
    (text) => expect(parseDurationNs(text)).toBeUndefined()
  )

  test.each([
    [0n, "0s"],
    [5_400_000_000_000n, "1h30m"],
    [500_000_000n, "500ms"],
    [90_061_001_001_001n, "25h1m1s1ms1us1ns"]
  ])("of %d ns is written %s", (ns, text) => expect(formatDurationNs(ns)).toBe(text))

  it("survives being written and read", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.bigInt({ min: 0n, max: 2n ** 64n }), (ns) => {
        expect(parseDurationNs(formatDurationNs(ns))).toBe(ns)
      })
    )
  })
})
