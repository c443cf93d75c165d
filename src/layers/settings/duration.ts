/**
 * Durations as text: Go's notation, which the manifests of the earlier system use, and Effect's.
 *
 * They are milliseconds within the program, and whole ones: no timer here is finer.
 */
import { Duration, Option } from "effect"
import { formatDurationNs, parseDurationNs } from "../../protocol/Duration.ts"

const parseGo = (text: string): Option.Option<number> =>
  Option.map(Option.fromNullable(parseDurationNs(text)), (ns) => Number(ns) / 1e6)

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
export const formatDuration = (ms: number): string => formatDurationNs(BigInt(ms) * 1_000_000n)
