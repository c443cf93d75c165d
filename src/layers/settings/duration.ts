/**
 * Durations as text: Go's notation, which the manifests of the earlier system use, and Effect's.
 *
 * They are milliseconds within the program, and whole ones: no timer here is finer.
 */
import { Duration, Option } from "effect"

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  // The micro sign and the Greek letter; Go takes both.
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000
}

const goDuration = /^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/
const goPart = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g

const parseGo = (text: string): Option.Option<number> => {
  if (text === "0") return Option.some(0)
  if (!goDuration.test(text)) return Option.none()
  let ms = 0
  for (const [, amount, unit] of text.matchAll(goPart)) ms += Number(amount) * unitMs[unit!]!
  return Option.some(ms)
}

/** Effect makes a negative duration an empty one. */
const parseEffect = (text: string): Option.Option<number> =>
  text.startsWith("-") ? Option.none() : Option.map(Duration.decodeUnknown(text), Duration.toMillis)

/** Milliseconds of `500ms`, `1h30m`, `.5s` or `5 seconds`, to the nearest whole one; negative and endless ones are refused. */
export const parseDuration = (text: string): Option.Option<number> =>
  parseGo(text).pipe(
    Option.orElse(() => parseEffect(text)),
    Option.map(Math.round),
    Option.filter((ms) => Number.isSafeInteger(ms) && ms >= 0)
  )

/** Whole milliseconds in Go's notation, as short as it gets: `1h30m`, `500ms`. */
export const formatDuration = (ms: number): string => {
  if (ms === 0) return "0s"
  let rest = ms
  let text = ""
  for (const unit of ["h", "m", "s", "ms"] as const) {
    const amount = Math.floor(rest / unitMs[unit]!)
    rest -= amount * unitMs[unit]!
    if (amount > 0) text += `${amount}${unit}`
  }
  return text
}
