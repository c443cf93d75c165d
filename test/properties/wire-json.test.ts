/** The scanner against `JSON.parse`: what it proves, and what it finds. */

import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { JsonScanner, jsonDepthMax } from "../../src/protocol/wire/JsonScanner.ts"

const names = ["type", "payload", "offset", "ö"]
const scanner = new JsonScanner(["type", "payload", "offset"])
const value = new JsonScanner([])

const parsed = (bytes: Uint8Array): { readonly value: unknown } | undefined => {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

/** A JSON text with space in all places where there may be some, and names that repeat. */
const jsonText: fc.Arbitrary<string> = fc.letrec<{ value: string; space: string }>((tie) => ({
  space: fc.constantFrom("", "", "", " ", "\n\t", "\r"),
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom("true", "false", "null", "0", "-0", "-1.5e+10", "1E-7", "12345678901234567890", '""'),
    fc.fullUnicodeString().map((text) => JSON.stringify(text)),
    fc.string16bits({ maxLength: 6 }).map((text) => JSON.stringify(text)),
    fc
      .array(fc.constantFrom("\\u00e9", "\\n", "\\/", "\\ud800", "x", "é", "\u{1f600}"))
      .map((parts) => `"${parts.join("")}"`),
    fc
      .tuple(fc.array(fc.tuple(tie("space"), tie("value"), tie("space")), { maxLength: 4 }))
      .map(([items]) => `[${items.map((item) => item.join("")).join(",")}]`),
    fc
      .array(
        fc.tuple(
          tie("space"),
          fc.oneof(
            fc.constantFrom(...names).map((name) => JSON.stringify(name)),
            fc.constantFrom('"\\u0074ype"', '"pay\\u006coad"'),
            fc.string().map((name) => JSON.stringify(name))
          ),
          tie("space"),
          fc.constant(":"),
          tie("space"),
          tie("value"),
          tie("space")
        ),
        { maxLength: 4 }
      )
      .map((members) => `{${members.map((member) => member.join("")).join(",")}}`)
  )
})).value

const jsonBytes = jsonText.map((text) => Buffer.from(text, "utf8"))

/** JSON with some bytes exchanged, taken out or put in, which may be JSON or not. */
const mutated = fc
  .tuple(
    jsonBytes,
    fc.array(
      fc.record({
        at: fc.nat(),
        kind: fc.constantFrom("replace", "remove", "insert"),
        byte: fc.oneof(
          fc.integer({ min: 0, max: 255 }),
          fc.constantFrom(...Buffer.from('{}[]",:\\ue.-+0123tfn '))
        )
      }),
      { minLength: 1, maxLength: 3 }
    )
  )
  .map(([bytes, changes]) => {
    const mutant = [...bytes]
    for (const { at, kind, byte } of changes) {
      const place = at % (mutant.length + 1)
      if (kind === "insert") mutant.splice(place, 0, byte)
      else if (kind === "remove") mutant.splice(place, 1)
      else if (place < mutant.length) mutant[place] = byte
    }
    return Buffer.from(mutant)
  })

/** The same bytes with others around them, which are not to be looked at. */
const embedded = (bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from('"{x'), bytes, Buffer.from('}"]9')])

const agrees = (bytes: Uint8Array): void => {
  const expected = parsed(bytes)
  const around = embedded(bytes)
  expect(value.scanValue(around, 3, 3 + bytes.length)).toBe(expected !== undefined)
  const isObject =
    typeof expected?.value === "object" && expected.value !== null && !Array.isArray(expected.value)
  expect(scanner.scanObject(around, 3, 3 + bytes.length)).toBe(isObject)
  if (!isObject) {
    if (expected !== undefined) expect(scanner.problem).toBe("not_an_object")
    return
  }
  for (const [index, name] of ["type", "payload", "offset"].entries()) {
    const start = scanner.starts[index]!
    const object = expected.value as Record<string, unknown>
    if (!Object.hasOwn(object, name)) expect(start).toBe(-1)
    else expect(parsed(around.subarray(start, scanner.ends[index]))).toEqual({ value: object[name] })
  }
}

describe("the scanner takes what JSON.parse takes, and finds the members that it finds", () => {
  test("of JSON, with space, escapes and repeated names", () => {
    fc.assert(fc.property(jsonBytes, agrees), { numRuns: 3_000 })
  })

  test("of JSON that was damaged", () => {
    fc.assert(fc.property(mutated, agrees), { numRuns: 10_000 })
  })

  test("of any bytes in a string", () => {
    const inString = fc
      .uint8Array({ maxLength: 12 })
      .map((bytes) => Buffer.concat([Buffer.from('"'), bytes, Buffer.from('"')]))
    fc.assert(fc.property(inString, agrees), { numRuns: 10_000 })
  })

  test("of every sequence of two and three bytes that may begin a character", () => {
    for (let first = 0x80; first <= 0xff; first++) {
      for (let second = 0; second <= 0xff; second++) {
        agrees(Buffer.from([0x22, first, second, 0x22]))
        agrees(Buffer.from([0x22, first, second, 0x80, 0x22]))
        agrees(Buffer.from([0x22, first, second, 0xbf, 0x80, 0x22]))
      }
    }
  })
})

describe("nesting", () => {
  const nested = (depth: number) => Buffer.from("[".repeat(depth) + "]".repeat(depth))

  test("is taken up to a depth, and refused by name beyond", () => {
    expect(value.scanValue(nested(jsonDepthMax), 0, 2 * jsonDepthMax)).toBe(true)
    expect(value.scanValue(nested(jsonDepthMax + 1), 0, 2 * jsonDepthMax + 2)).toBe(false)
    expect(value.problem).toBe("too_deep")
  })

  test("however deep costs no stack", () => {
    const deep = Buffer.from('{"a":['.repeat(1_000_000))
    expect(scanner.scanObject(deep, 0, deep.length)).toBe(false)
    expect(scanner.problem).toBe("too_deep")
  })
})
