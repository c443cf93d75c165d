/**
 * Reads the members that a scanner found, by their types. An old peer leaves out what is 0, `""` or false, so that
 * whoever asks says what an absent one stands for.
 */
import type { JsonScanner } from "./JsonScanner.ts"

/** A member has another type than it should have. */
export class WrongMember {
  constructor(
    readonly name: string,
    readonly expected: string
  ) {}
}

const quote = 0x22
const backslash = 0x5c

const decodeText = (bytes: Uint8Array, start: number, end: number, encoding: "latin1" | "utf8"): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString(encoding)

/** Bytes as text of one character each: as an answer carries what it only passes on. */
export const latin1Of = (bytes: Uint8Array, start: number, end: number): string => {
  if (end - start > 32) return decodeText(bytes, start, end, "latin1")
  let text = ""
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at]!)
  return text
}

/** Bytes of UTF-8 as text. */
export const textOf = (bytes: Uint8Array, start: number, end: number): string =>
  decodeText(bytes, start, end, "utf8")

/** The members of the object that was scanned last. Throws `WrongMember`, which whoever decodes a frame catches. */
export class Members<Name extends string> {
  private bytes: Uint8Array = new Uint8Array(0)
  private readonly indices: Readonly<Record<Name, number>>

  constructor(
    private readonly scanner: JsonScanner,
    names: ReadonlyArray<Name>
  ) {
    this.indices = Object.fromEntries(names.map((name, index) => [name, index])) as Record<Name, number>
  }

  /** The bytes that were scanned. */
  of(bytes: Uint8Array): this {
    this.bytes = bytes
    return this
  }

  has(name: Name): boolean {
    return this.scanner.starts[this.indices[name]] !== -1
  }

  /** The bytes of a value, as they came; none where it is absent. */
  slice(name: Name): Uint8Array | undefined {
    const start = this.scanner.starts[this.indices[name]]!
    return start === -1 ? undefined : this.bytes.subarray(start, this.scanner.ends[this.indices[name]]!)
  }

  /** The length of a value as it came; 0 where it is absent. */
  sliceBytes(name: Name): number {
    const index = this.indices[name]
    const start = this.scanner.starts[index]!
    return start === -1 ? 0 : this.scanner.ends[index]! - start
  }

  /** The bytes of a value as latin1; `""` where it is absent. */
  latin1(name: Name): string {
    const start = this.scanner.starts[this.indices[name]]!
    return start === -1 ? "" : latin1Of(this.bytes, start, this.scanner.ends[this.indices[name]]!)
  }

  text(name: Name): string | undefined {
    const { bytes } = this
    const start = this.scanner.starts[this.indices[name]]!
    if (start === -1) return undefined
    const end = this.scanner.ends[this.indices[name]]!
    if (bytes[start] !== quote) throw new WrongMember(name, "a string")
    let isPlain = end - start <= 34
    for (let at = start + 1; isPlain && at < end - 1; at++) {
      isPlain = bytes[at] !== backslash && bytes[at]! < 0x80
    }
    return isPlain ? latin1Of(bytes, start + 1, end - 1) : JSON.parse(textOf(bytes, start, end))
  }

  /** A whole number that a double holds exactly. */
  integer(name: Name): number | undefined {
    const { bytes } = this
    const start = this.scanner.starts[this.indices[name]]!
    if (start === -1) return undefined
    const number = integerOf(bytes, start, this.scanner.ends[this.indices[name]]!)
    if (number === undefined) throw new WrongMember(name, "an integer")
    return number
  }

  flag(name: Name): boolean {
    const { bytes } = this
    const start = this.scanner.starts[this.indices[name]]!
    if (start === -1) return false
    if (bytes[start] === 0x74) return true
    if (bytes[start] !== 0x66) throw new WrongMember(name, "true or false")
    return false
  }

  /** Any value, decoded. */
  json(name: Name): unknown {
    const start = this.scanner.starts[this.indices[name]]!
    if (start === -1) return undefined
    return JSON.parse(textOf(this.bytes, start, this.scanner.ends[this.indices[name]]!))
  }
}

/** The whole number that bytes of JSON are; `undefined` where they are something else. */
const integerOf = (bytes: Uint8Array, start: number, end: number): number | undefined => {
  let number = 0
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - 0x30
    if (digit < 0 || digit > 9 || end - start > 15) {
      const parsed: unknown = JSON.parse(textOf(bytes, start, end))
      return Number.isSafeInteger(parsed) ? (parsed as number) : undefined
    }
    number = number * 10 + digit
  }
  return number
}
