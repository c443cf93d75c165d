/**
 * Durations as text in Go's notation: `500ms`, `1h30m`, `1.5s`. Read and written exactly, in nanoseconds.
 */

/** From the largest on. The micro sign and the Greek letter are both read, as in Go. */
const unitsNs: ReadonlyArray<readonly [unit: string, ns: bigint]> = [
  ["h", 3_600_000_000_000n],
  ["m", 60_000_000_000n],
  ["s", 1_000_000_000n],
  ["ms", 1_000_000n],
  ["us", 1_000n],
  ["µs", 1_000n],
  ["μs", 1_000n],
  ["ns", 1n]
]
const nsOfUnit = new Map(unitsNs)

const whole = /^(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/
const part = /(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g

/** Nanoseconds of `1h30m`, to the whole one below; `undefined` where the text is no duration. There are no negative ones. */
export const parseDurationNs = (text: string): bigint | undefined => {
  if (text === "0") return 0n
  if (!whole.test(text)) return undefined
  let ns = 0n
  for (const [, digits, fraction, unit] of text.matchAll(part)) {
    ns += (BigInt(digits! + fraction!) * nsOfUnit.get(unit!)!) / 10n ** BigInt(fraction!.length)
  }
  return ns
}

/** As short as it gets: `1h30m`, `500ms`, `0s`. */
export const formatDurationNs = (ns: bigint): string => {
  let rest = ns
  let text = ""
  for (const [unit, unitNs] of unitsNs) {
    if (rest >= unitNs) text += `${rest / unitNs}${unit}`
    rest %= unitNs
  }
  return text === "" ? "0s" : text
}
