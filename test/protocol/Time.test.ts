import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck, Schema } from "effect"
import { formatTime, parseTime, TimeFromRfc3339, timeNsMax, timeNsMin } from "../../src/protocol/Time.ts"
import { text, timeNs } from "../arbitraries.ts"

describe("instants as text", () => {
  it.prop("an instant keeps every nanosecond", [timeNs], ([time]) => {
    expect(parseTime(formatTime(time))).toBe(time)
  })

  it.prop("an instant is written as short as it can be, in UTC", [timeNs], ([time]) => {
    expect(formatTime(time)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z$/)
  })

  it.prop(
    "any UTC offset names the same instant",
    [
      FastCheck.bigInt({ min: timeNsMin / 2n, max: timeNsMax / 2n }),
      FastCheck.integer({ min: -1439, max: 1439 })
    ],
    ([time, minutes]) => {
      const local = formatTime(time + BigInt(minutes) * 60_000_000_000n).slice(0, -1)
      const digits = (n: number): string => String(n).padStart(2, "0")
      const size = Math.abs(minutes)
      const offset = `${minutes < 0 ? "-" : "+"}${digits(Math.floor(size / 60))}:${digits(size % 60)}`
      expect(parseTime(local + offset)).toBe(time)
    }
  )

  it.prop(
    "whole milliseconds are read as Date reads them",
    [FastCheck.date({ noInvalidDate: true })],
    ([date]) => {
      const time = BigInt(date.getTime()) * 1_000_000n
      const expected = time < timeNsMin || time > timeNsMax ? undefined : time
      const iso = date.toISOString()
      expect(parseTime(iso)).toBe(/^\d{4}-/.test(iso) ? expected : undefined)
    }
  )

  it("the edges of int64 are carried, what lies beyond is none", () => {
    expect(formatTime(timeNsMin)).toBe("1677-09-21T00:12:43.145224192Z")
    expect(formatTime(timeNsMax)).toBe("2262-04-11T23:47:16.854775807Z")
    expect(parseTime("1677-09-21T00:12:43.145224191Z")).toBeUndefined()
    expect(parseTime("2262-04-11T23:47:16.854775808Z")).toBeUndefined()
    expect(parseTime("2262-04-11T22:47:16.854775807-01:00")).toBe(timeNsMax)
  })

  it.each([
    "2025-02-29T00:00:00Z",
    "2025-13-01T00:00:00Z",
    "2025-04-31T00:00:00Z",
    "2025-00-10T00:00:00Z",
    "2025-07-18T24:00:00Z",
    "2025-07-18T23:60:00Z",
    "2016-12-31T23:59:60Z",
    "2025-07-18T20:42:34",
    "2025-07-18T20:42:34.Z",
    "2025-07-18T20:42:34.1234567890Z",
    "2025-07-18T20:42:34+24:00",
    "2025-07-18T20:42:34+0200",
    "2025-07-18",
    " 2025-07-18T20:42:34Z",
    "2025-07-18T20:42:34Z\n",
    "1752871354",
    ""
  ])("%j is no instant", (input) => {
    expect(parseTime(input)).toBeUndefined()
  })

  it("a leap day is a day", () => {
    expect(parseTime("2024-02-29T00:00:00Z")).toBe(1_709_164_800_000_000_000n)
    expect(parseTime("2000-02-29t00:00:00z")).toBe(951_782_400_000_000_000n)
    expect(parseTime("1900-02-29T00:00:00Z")).toBeUndefined()
  })

  it.prop(
    "the Schema reads and writes what the functions do",
    [FastCheck.oneof(text, timeNs.map(formatTime))],
    ([input]) => {
      const decoded = Schema.decodeUnknownEither(TimeFromRfc3339)(input)
      expect(Either.getOrUndefined(decoded)).toBe(parseTime(input))
    }
  )

  it("the Schema refuses to write what int64 cannot hold", () => {
    const encode = Schema.encodeEither(TimeFromRfc3339)
    expect(Either.isLeft(encode(timeNsMax + 1n))).toBe(true)
    expect(encode(timeNsMin)).toEqual(Either.right("1677-09-21T00:12:43.145224192Z"))
  })
})
