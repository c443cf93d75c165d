/**
 * Instants in nanoseconds since the Unix epoch, carried exactly from input to answer.
 *
 * A `bigint` and never a `Date`: a `Date` ends at milliseconds, and two samples of a series that differ in a later digit
 * would become one. The range is that of a signed 64-bit integer, which is also what InfluxDB stores.
 */
import { ParseResult, Schema } from "effect"

/** Nanoseconds since 1970-01-01T00:00:00Z, within int64. */
export type TimeNs = bigint

/** The earliest instant that is carried: 1677-09-21T00:12:43.145224192Z. */
export const timeNsMin: TimeNs = -(2n ** 63n)
/** The latest instant that is carried: 2262-04-11T23:47:16.854775807Z. */
export const timeNsMax: TimeNs = 2n ** 63n - 1n

const rfc3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d{2}):(\d{2}))$/

const NANOS_PER_MS = 1_000_000n
const NANOS_PER_SECOND = 1_000_000_000n

const daysInMonth = (year: number, month: number): number =>
  month === 2
    ? year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
      ? 29
      : 28
    : [4, 6, 9, 11].includes(month)
      ? 30
      : 31

/**
 * Reads an RFC 3339 instant with up to nine fractional digits and any UTC offset (RFC 3339, section 5.6).
 * `undefined` where the text is no such instant, names a day or an hour that does not exist, or lies outside int64
 * nanoseconds. A leap second (`:60`) is refused: it has no nanosecond of its own.
 */
export const parseTime = (text: string): TimeNs | undefined => {
  const match = rfc3339.exec(text)
  if (match === null) return undefined
  const year = Number(match[1])
  const month = Number(match[2])
  const day = Number(match[3])
  const hour = Number(match[4])
  const minute = Number(match[5])
  const second = Number(match[6])
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  let offsetMinutes = 0
  if (match[9] !== undefined) {
    const hours = Number(match[10])
    const minutes = Number(match[11])
    if (hours > 23 || minutes > 59) return undefined
    offsetMinutes = (match[9] === "-" ? -1 : 1) * (hours * 60 + minutes)
  }
  // Date.UTC takes years 0 to 99 for 1900 to 1999; such years are outside int64 nanoseconds anyway.
  if (year < 1677 || year > 2262) return undefined
  const ms = Date.UTC(year, month - 1, day, hour, minute - offsetMinutes, second)
  const fraction = match[7] === undefined ? 0 : Number(match[7].padEnd(9, "0"))
  const time = BigInt(ms) * NANOS_PER_MS + BigInt(fraction)
  return time < timeNsMin || time > timeNsMax ? undefined : time
}

const secondsPerDay = 86_400
const twoDigits = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, "0"))

let lastDay = Number.NaN
let lastDayText = ""

/** `2025-07-18T`. Instants that are formatted together are mostly of one day, and a Date costs more than all the rest. */
const dayText = (day: number): string => {
  if (day !== lastDay) {
    lastDay = day
    lastDayText = new Date(day * secondsPerDay * 1_000).toISOString().slice(0, 11)
  }
  return lastDayText
}

/**
 * RFC 3339 in UTC with as many fractional digits as the instant has, none where it is a whole second.
 *
 * It runs once per sample of every answer, and bigint arithmetic is slow: hence numbers, as soon as they are exact.
 */
export const formatTime = (time: TimeNs): string => {
  // The double nearest to the instant is off by 512 ns at most, so its second by one.
  let seconds = Math.floor(Number(time) / 1e9)
  let nanos = Number(time - BigInt(seconds) * NANOS_PER_SECOND)
  if (nanos < 0) {
    seconds--
    nanos += 1e9
  } else if (nanos >= 1e9) {
    seconds++
    nanos -= 1e9
  }
  const day = Math.floor(seconds / secondsPerDay)
  const ofDay = seconds - day * secondsPerDay
  const hour = Math.floor(ofDay / 3600)
  const minute = Math.floor(ofDay / 60) - hour * 60
  const text = `${dayText(day)}${twoDigits[hour]}:${twoDigits[minute]}:${twoDigits[ofDay % 60]}`
  if (nanos === 0) return `${text}Z`
  const digits = String(nanos).padStart(9, "0")
  let end = digits.length
  while (digits.charCodeAt(end - 1) === 48) end--
  return `${text}.${digits.slice(0, end)}Z`
}

/** An instant as RFC 3339 text on the outside and nanoseconds within. */
export const TimeFromRfc3339 = Schema.transformOrFail(Schema.String, Schema.BigIntFromSelf, {
  strict: true,
  decode: (text, _, ast) => {
    const time = parseTime(text)
    return time === undefined
      ? ParseResult.fail(
          new ParseResult.Type(ast, text, "expected an RFC 3339 instant, as 2025-07-18T20:42:34Z")
        )
      : ParseResult.succeed(time)
  },
  encode: (time, _, ast) =>
    time < timeNsMin || time > timeNsMax
      ? ParseResult.fail(new ParseResult.Type(ast, time, "expected an instant within int64 nanoseconds"))
      : ParseResult.succeed(formatTime(time))
})
