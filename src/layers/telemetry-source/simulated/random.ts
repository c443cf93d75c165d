/**
 * Chance that depends on its arguments alone: hashes of what is asked about, never a generator's state.
 *
 * A key says what is asked about (a seed, a host, a day); `share` draws from it, another number for each purpose.
 */

/** The finaliser of MurmurHash3: every bit of the input changes half of the output's. */
const scramble = (word: number): number => {
  let x = word
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** The key that comes of a key and a safe integer, 32 random bits. */
export const mix = (key: number, word: number): number =>
  scramble(scramble(key ^ word) + Math.floor(word / 2 ** 32))

/** The key of some safe integers. */
export const keyOf = (...words: ReadonlyArray<number>): number => words.reduce(mix, 0x9e3779b9)

/** From 0 and below 1. */
export const share = (key: number, purpose: number): number => mix(key, purpose) / 2 ** 32

/** From `min` and below `max`. */
export const between = (key: number, purpose: number, min: number, max: number): number =>
  min + share(key, purpose) * (max - min)

/** An index below `count`. */
export const below = (key: number, purpose: number, count: number): number =>
  Math.floor(share(key, purpose) * count)
