import { it } from "@effect/vitest"
import { FastCheck } from "effect"
import { expect } from "vitest"
import { readDcgmValue } from "../../../src/layers/telemetry-source/dcgm-value.ts"

it("every finite number is read back as it was", () => {
  const number = FastCheck.double({ noNaN: true, noDefaultInfinity: true })
  FastCheck.assert(
    FastCheck.property(number, (value) => {
      expect(readDcgmValue(String(value))).toBe(value + 0)
    })
  )
})

it("decimal numbers are read in every spelling", () => {
  for (const [text, value] of [
    ["100", 100],
    ["+1.50", 1.5],
    [" 7 ", 7],
    ["5.", 5],
    [".5", 0.5],
    ["1E3", 1000],
    ["-0", 0],
    ["1e-400", 0]
  ] as const) {
    expect(readDcgmValue(text), text).toBe(value)
  }
})

it("what is no finite decimal number is none, in linear time", () => {
  const bad = [
    "",
    " ",
    "NaN",
    "Infinity",
    "-inf",
    "0x10",
    "1,5",
    "12abc",
    "1e",
    ".",
    "1e400",
    "--1",
    "1_000",
    "١"
  ]
  for (const text of [...bad, `${"1".repeat(1_000_000)}x`]) {
    expect(readDcgmValue(text), text.slice(0, 20)).toBe("bad_value")
  }
})

it("DCGM's blanks are sentinels however they are spelled, their neighbours are values", () => {
  const blanks = [
    ...[2, 3, 4, 5].map((digit) => `214748363${digit}`),
    ...[8, 9].map((digit) => `14073748835532${digit}`),
    "140737488355330",
    "140737488355331",
    ...[2, 3, 4, 5].map((digit) => `922337203685477579${digit}`),
    "2147483632.0",
    " +2147483635 ",
    "2.147483632e9",
    "140737488355328.000000",
    "9223372036854775792.00",
    "9.223372036854775795e18",
    "92233720368547757920e-1",
    "<<<NULL>>>",
    "<<<NOT_FOUND>>>",
    "<<<NOT_SUPPORTED>>>",
    "<<<NOT_PERM>>>"
  ]
  for (const text of blanks) expect(readDcgmValue(text), text).toBe("sentinel")
  const values = [
    "2147483631",
    "2147483636",
    "140737488355327",
    "140737488355332",
    "9223372036854775791",
    "9223372036854775796",
    "9223372036854775792.5",
    "-2147483632"
  ]
  for (const text of values) expect(readDcgmValue(text), text).toBe(Number(text))
})
