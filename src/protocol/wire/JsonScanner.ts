/**
 * Proves that bytes are JSON in UTF-8 (RFC 8259, as `JSON.parse` takes it) in one pass, and finds the members of an object
 * that are asked for, so that a value can be passed on as the bytes that it came in.
 *
 * Nothing is decoded on the way. Nesting is bounded: what reads these values elsewhere may recurse.
 */

/** Arrays and objects within each other. */
export const jsonDepthMax = 1_000

export type JsonProblem = "not_json" | "invalid_utf8" | "too_deep" | "not_an_object"

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const minus = 0x2d
const zero = 0x30
const nine = 0x39

/** Bytes that stand for themselves in a string and are whole characters. */
const plain = new Uint8Array(256)
for (let byte = 0x20; byte < 0x80; byte++) plain[byte] = byte === quote || byte === backslash ? 0 : 1

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/** What may follow a backslash, `u` aside. */
const escapes = new Uint8Array(256)
for (const letter of '"\\/bfnrt') escapes[letter.charCodeAt(0)] = 1

const isHexDigit = (byte: number): boolean =>
  (byte >= zero && byte <= nine) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0))
const literals = new Map(["true", "false", "null"].map((text) => [text.charCodeAt(0), bytesOf(text)]))

/** Names of one length and first letter share a bucket. */
const bucketOf = (length: number, first: number): number => (length * 31 + first) & 0xff

/** A scanner for objects whose members of some names (in ASCII) matter. It holds the findings of its last scan. */
export class JsonScanner {
  /** Where the value of each name was found, in the order of the names; -1 where it was not. The last of several counts. */
  readonly starts: Int32Array
  readonly ends: Int32Array
  problem: JsonProblem = "not_json"

  private readonly names: ReadonlyArray<Uint8Array>
  private readonly buckets: ReadonlyArray<ReadonlyArray<number>>
  /** For each level, whether it is an object. */
  private readonly levels = new Uint8Array(jsonDepthMax)

  constructor(private readonly nameTexts: ReadonlyArray<string>) {
    this.names = nameTexts.map(bytesOf)
    this.starts = new Int32Array(nameTexts.length)
    this.ends = new Int32Array(nameTexts.length)
    const buckets = Array.from({ length: 256 }, (): Array<number> => [])
    for (const [index, name] of this.names.entries()) buckets[bucketOf(name.length, name[0]!)]!.push(index)
    this.buckets = buckets
  }

  /** Whether the bytes from one place up to another are one JSON value, with nothing but space around it. */
  scanValue(bytes: Uint8Array, from: number, to: number): boolean {
    const start = this.skipSpace(bytes, from, to)
    const end = this.value(bytes, start, to, 0)
    if (end === -1) return false
    return this.skipSpace(bytes, end, to) === to || this.refuse("not_json")
  }

  /** The same of an object, whose members are then in `starts` and `ends`. */
  scanObject(bytes: Uint8Array, from: number, to: number): boolean {
    this.starts.fill(-1)
    let at = this.skipSpace(bytes, from, to)
    if (at === to || bytes[at] !== openBrace) {
      if (this.scanValue(bytes, from, to)) this.problem = "not_an_object"
      return false
    }
    at = this.skipSpace(bytes, at + 1, to)
    if (at < to && bytes[at] === closeBrace) return this.endsAt(bytes, at + 1, to)
    for (;;) {
      if (at === to || bytes[at] !== quote) return this.refuse("not_json")
      const nameEnd = this.string(bytes, at + 1, to)
      if (nameEnd === -1) return false
      const index = this.indexOfName(bytes, at + 1, nameEnd - 1)
      at = this.skipSpace(bytes, nameEnd, to)
      if (at === to || bytes[at] !== colon) return this.refuse("not_json")
      const start = this.skipSpace(bytes, at + 1, to)
      const end = this.value(bytes, start, to, 1)
      if (end === -1) return false
      if (index !== -1) {
        this.starts[index] = start
        this.ends[index] = end
      }
      at = this.skipSpace(bytes, end, to)
      if (at === to) return this.refuse("not_json")
      if (bytes[at] === closeBrace) return this.endsAt(bytes, at + 1, to)
      if (bytes[at] !== comma) return this.refuse("not_json")
      at = this.skipSpace(bytes, at + 1, to)
    }
  }

  private endsAt(bytes: Uint8Array, at: number, to: number): boolean {
    return this.skipSpace(bytes, at, to) === to || this.refuse("not_json")
  }

  private refuse(problem: JsonProblem): false {
    this.problem = problem
    return false
  }

  private fail(problem: JsonProblem): -1 {
    this.problem = problem
    return -1
  }

  private skipSpace(bytes: Uint8Array, from: number, to: number): number {
    let at = from
    while (at < to && isSpace(bytes[at]!)) at++
    return at
  }

  private indexOfName(bytes: Uint8Array, from: number, to: number): number {
    const length = to - from
    if (length === 0) return -1
    for (const index of this.buckets[bucketOf(length, bytes[from]!)]!) {
      const name = this.names[index]!
      if (name.length !== length) continue
      let same = 0
      while (same < length && name[same] === bytes[from + same]) same++
      if (same === length) return index
    }
    // A name may be written with escapes.
    if (bytes.subarray(from, to).indexOf(backslash) === -1) return -1
    const text = new TextDecoder().decode(bytes.subarray(from, to))
    return this.nameTexts.indexOf(JSON.parse(`"${text}"`))
  }

  /**
   * Behind the value that begins at `from`; -1 where there is none. `outerDepth` objects are around it.
   *
   * What nearly every token takes stands here and is called nowhere: calls would be half of the time.
   */
  private value(bytes: Uint8Array, from: number, to: number, outerDepth: number): number {
    const { levels } = this
    let depth = outerDepth
    let at = from
    /** The next token is the name of a member. */
    let isName = false
    for (;;) {
      while (at < to && bytes[at]! <= 0x20 && isSpace(bytes[at]!)) at++
      if (at >= to) return this.fail("not_json")
      const byte = bytes[at]!
      if (byte === quote) {
        at++
        while (
          at + 4 <= to &&
          (plain[bytes[at]!]! & plain[bytes[at + 1]!]! & plain[bytes[at + 2]!]! & plain[bytes[at + 3]!]!) ===
            1
        ) {
          at += 4
        }
        while (at < to && plain[bytes[at]!] === 1) at++
        if (at < to && bytes[at] === quote) at++
        else {
          at = this.string(bytes, at, to)
          if (at === -1) return -1
        }
        if (isName) {
          if (at < to && bytes[at] !== colon) at = this.skipSpace(bytes, at, to)
          if (at >= to || bytes[at] !== colon) return this.fail("not_json")
          at++
          isName = false
          continue
        }
      } else if (isName) return this.fail("not_json")
      else if (byte === openBrace || byte === openBracket) {
        if (depth === jsonDepthMax) return this.fail("too_deep")
        const isObject = byte === openBrace
        at = this.skipSpace(bytes, at + 1, to)
        if (at === to) return this.fail("not_json")
        if (bytes[at] === (isObject ? closeBrace : closeBracket)) at++
        else {
          levels[depth++] = isObject ? 1 : 0
          isName = isObject
          continue
        }
      } else {
        at =
          byte === minus || (byte >= zero && byte <= nine)
            ? this.number(bytes, at, to)
            : this.literal(bytes, at, to)
        if (at === -1) return -1
      }
      // Behind a value: the ends of what it was the last part of, then perhaps another one.
      for (;;) {
        if (depth === outerDepth) return at
        while (at < to && bytes[at]! <= 0x20 && isSpace(bytes[at]!)) at++
        if (at >= to) return this.fail("not_json")
        const next = bytes[at++]!
        const isObject = levels[depth - 1] === 1
        if (next === comma) {
          isName = isObject
          break
        }
        if (next !== (isObject ? closeBrace : closeBracket)) return this.fail("not_json")
        depth--
      }
    }
  }

  /** Behind the closing quote of a string, from any place in it on. */
  private string(bytes: Uint8Array, from: number, to: number): number {
    let at = from
    for (;;) {
      // Most of a payload is read here. Four at a time is twice as fast as one.
      while (
        at + 4 <= to &&
        (plain[bytes[at]!]! & plain[bytes[at + 1]!]! & plain[bytes[at + 2]!]! & plain[bytes[at + 3]!]!) === 1
      ) {
        at += 4
      }
      while (at < to && plain[bytes[at]!] === 1) at++
      if (at === to) return this.fail("not_json")
      const byte = bytes[at]!
      if (byte === quote) return at + 1
      if (byte === backslash) {
        at = this.escape(bytes, at + 1, to)
        if (at === -1) return -1
      } else if (byte >= 0x80) {
        const length = characterBytes(bytes, at, to)
        if (length === 0) return this.fail("invalid_utf8")
        at += length
      } else return this.fail("not_json")
    }
  }

  private escape(bytes: Uint8Array, from: number, to: number): number {
    if (from === to) return this.fail("not_json")
    if (escapes[bytes[from]!] === 1) return from + 1
    if (bytes[from] !== 0x75 || from + 5 > to) return this.fail("not_json")
    for (let at = from + 1; at < from + 5; at++) if (!isHexDigit(bytes[at]!)) return this.fail("not_json")
    return from + 5
  }

  private number(bytes: Uint8Array, from: number, to: number): number {
    let at = bytes[from] === minus ? from + 1 : from
    if (at < to && bytes[at] === zero) at++
    else {
      at = this.digits(bytes, at, to)
      if (at === -1) return -1
    }
    if (at < to && bytes[at] === 0x2e) {
      at = this.digits(bytes, at + 1, to)
      if (at === -1) return -1
    }
    if (at < to && (bytes[at] === 0x65 || bytes[at] === 0x45)) {
      at++
      if (at < to && (bytes[at] === 0x2b || bytes[at] === minus)) at++
      return this.digits(bytes, at, to)
    }
    return at
  }

  /** Behind one digit or more. */
  private digits(bytes: Uint8Array, from: number, to: number): number {
    let at = from
    while (at < to && bytes[at]! >= zero && bytes[at]! <= nine) at++
    return at === from ? this.fail("not_json") : at
  }

  private literal(bytes: Uint8Array, from: number, to: number): number {
    const literal = literals.get(bytes[from]!)
    if (literal === undefined || from + literal.length > to) return this.fail("not_json")
    for (let index = 1; index < literal.length; index++) {
      if (bytes[from + index] !== literal[index]) return this.fail("not_json")
    }
    return from + literal.length
  }
}

/** Bytes of the character beyond ASCII that begins at a place; 0 where none does (RFC 3629). */
const characterBytes = (bytes: Uint8Array, at: number, to: number): number => {
  const first = bytes[at]!
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
  if (first < 0xc2 || first > 0xf4 || at + length > to) return 0
  const second = bytes[at + 1]!
  // Shortest form only, no surrogates, nothing beyond U+10FFFF.
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  if (second < least || second > most) return 0
  for (let index = 2; index < length; index++) if ((bytes[at + index]! & 0xc0) !== 0x80) return 0
  return length
}
