/** Values as DCGM's exporters write them: decimal numbers, and the sentinels that stand for "there is none". */

// No two parts of it can match the same digits: a long row of them is refused in linear time.
const decimal = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/

/** DCGM_INT32_BLANK and its variants "not found", "not supported", "no permission"; DCGM_FP64_BLANK and the same. */
const numericSentinels: ReadonlySet<number> = new Set([
  2147483632, 2147483633, 2147483634, 2147483635, 140737488355328, 140737488355329, 140737488355330,
  140737488355331
])
const textSentinels: ReadonlySet<string> = new Set([
  "<<<NULL>>>",
  "<<<NOT_FOUND>>>",
  "<<<NOT_SUPPORTED>>>",
  "<<<NOT_PERM>>>"
])
const int64SentinelMin = 9223372036854775792n
const int64SentinelMax = 9223372036854775795n
/** All int64 sentinels round to this double, and so do good values: only the digits tell them apart. */
const int64SentinelRounded = 2 ** 63

/** The integer that a decimal text stands for exactly; `undefined` where it has a fraction. */
const exactInteger = (text: string): bigint | undefined => {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e")
  const [whole = "", fraction = ""] = mantissa.split(".")
  const digits = `${whole}${fraction}`
  const shift = Number(exponent) - fraction.length
  if (shift >= 0) return BigInt(digits.replace("+", "") + "0".repeat(shift))
  return /^0*$/.test(digits.slice(shift)) ? BigInt(digits.slice(0, shift).replace("+", "")) : undefined
}

/**
 * Reads a value: optional sign, digits with or without a fraction, optional exponent, white space around it. Neither hex,
 * nor `NaN` and infinities, nor what overflows to one; `-0` is 0.
 */
export const readDcgmValue = (text: string): number | "bad_value" | "sentinel" => {
  const trimmed = text.trim()
  if (!decimal.test(trimmed)) return textSentinels.has(trimmed) ? "sentinel" : "bad_value"
  const value = Number(trimmed)
  if (!Number.isFinite(value)) return "bad_value"
  if (numericSentinels.has(value)) return "sentinel"
  if (value === int64SentinelRounded) {
    const exact = exactInteger(trimmed)
    if (exact !== undefined && exact >= int64SentinelMin && exact <= int64SentinelMax) return "sentinel"
  }
  return value + 0
}
