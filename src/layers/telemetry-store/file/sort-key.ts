/**
 * Series as bytes that compare (`memcmp`) as `compareSeries` does, so that a database can order and tell them apart.
 *
 * Every text is UTF-8 and ends with a byte that no text holds: 0, for which 0 and 1 within a text are written as two bytes. Labels are
 * in their order; a series that has fewer ends earlier, and one that lacks a name which another has comes first, for which
 * the bytes of names are inverted.
 */
import type { Series } from "../../../protocol/Series.ts"

const textEnd = 0
/** Begins what stands for 0 and 1. */
const escape = 1
/** Whether a label follows. */
const labelsEnd = 0
const labelFollows = 1

const loneSurrogate = /\p{Surrogate}/u

/**
 * UTF-8. Surrogates that are no half of a pair have none: what stands for them sorts where `compareUtf8` has them, a first
 * half just before the pairs that it could begin, a second half behind all.
 */
const encodeText = (text: string): Uint8Array => {
  if (!loneSurrogate.test(text)) return Buffer.from(text, "utf8")
  const parts: Array<Uint8Array> = []
  for (const character of text) {
    const code = character.codePointAt(0)!
    if (code < 0xd800 || code > 0xdfff) parts.push(Buffer.from(character, "utf8"))
    else if (code < 0xdc00) {
      const first = Buffer.from(String.fromCodePoint(0x10000 + (code - 0xd800) * 0x400), "utf8")
      first[3]! -= 1
      parts.push(first)
    } else parts.push(Uint8Array.of(0xf5, 0x80 + ((code >> 6) & 0x3f), 0x80 + (code & 0x3f)))
  }
  return Buffer.concat(parts)
}

/** Bytes that compare as `compareUtf8` does, and are equal only for equal texts. */
export const textKey = (text: string): Buffer => Buffer.from(encodeText(text))

const isEscaped = (byte: number): boolean => byte === textEnd || byte === escape

/** Appends a text and its end. Inverted, the order is the reverse. */
const pushText = (bytes: Array<number>, text: string, inversion: 0 | 0xff = 0): void => {
  for (const byte of encodeText(text)) {
    if (isEscaped(byte)) bytes.push(escape ^ inversion, (byte + 1) ^ inversion)
    else bytes.push(byte ^ inversion)
  }
  bytes.push(textEnd ^ inversion)
}

/** Appends a whole number from 0 on, or that there is none: how many bytes it has, then these. */
const pushNumber = (bytes: Array<number>, number: number | undefined): void => {
  if (number === undefined) {
    bytes.push(0)
    return
  }
  const digits = Buffer.from(number.toString(16).padStart(14, "0"), "hex")
  const first = digits.findIndex((digit) => digit !== 0)
  const significant = first === -1 ? digits.subarray(-1) : digits.subarray(first)
  bytes.push(significant.length, ...significant)
}

/** The key of a series. Equal keys are equal series. */
export const sortKey = (series: Series): Buffer => {
  const bytes: Array<number> = []
  pushText(bytes, series.metricName)
  pushText(bytes, series.uuid)
  pushText(bytes, series.hostname)
  pushNumber(bytes, series.gpuId)
  pushText(bytes, series.device)
  pushText(bytes, series.modelName)
  pushText(bytes, series.container)
  pushText(bytes, series.pod)
  pushText(bytes, series.namespace)
  for (const [name, value] of series.labels) {
    bytes.push(labelFollows)
    pushText(bytes, name, 0xff)
    pushText(bytes, value)
  }
  bytes.push(labelsEnd)
  return Buffer.from(bytes)
}
