import { it } from "@effect/vitest"
import { FastCheck } from "effect"
import { describe, expect } from "vitest"
import { parseRecords } from "../../../src/layers/telemetry-source/csv-cells.ts"
import { RecordSplitter } from "../../../src/layers/telemetry-source/record-splitter.ts"

interface PlainCut {
  readonly text: string
  readonly line: number
  readonly endOffset: number
  readonly endLine: number
  readonly reject: string | undefined
}

const split = (
  chunks: Iterable<Uint8Array>,
  { rowBytesMax = 100, cellCount = 2 as number | undefined } = {}
): ReadonlyArray<PlainCut> => {
  const splitter = new RecordSplitter(rowBytesMax, { offset: 0, line: 1 })
  const cuts: Array<PlainCut> = []
  const drain = () => {
    for (let cut = splitter.next(cellCount); cut !== undefined; cut = splitter.next(cellCount)) {
      const { bytes, line, endOffset, endLine, reject } = cut
      cuts.push({ text: bytes.toString("latin1"), line, endOffset, endLine, reject })
    }
  }
  for (const chunk of chunks) {
    splitter.push(chunk)
    drain()
  }
  splitter.finish()
  drain()
  return cuts
}

const splitText = (text: string, options?: Parameters<typeof split>[1]) => split([Buffer.from(text)], options)
const texts = (cuts: ReadonlyArray<PlainCut>) =>
  cuts.map(({ text, reject }) => (reject === undefined ? text : `${reject}: ${text}`))

describe("records", () => {
  it("end at LF, CRLF or the end of the file; blank lines and a BOM are none", () => {
    expect(texts(splitText("\ufeffa,b\r\n\r\n\nc,d\ne,f"))).toEqual(["a,b", "c,d", "e,f"])
    expect(texts(splitText("a,b\r\nc,d\r"))).toEqual(["a,b", "c,d"])
    expect(texts(splitText('"a","b"\r'))).toEqual(['"a","b"'])
    expect(splitText("")).toEqual([])
    expect(splitText("\ufeff\n\r\n")).toEqual([])
  })

  it("keep quoted commas, quotes and newlines, and say on which line and byte they start and end", () => {
    expect(splitText('"a\n,""",b\nc,d\n')).toEqual([
      { text: '"a\n,""",b', line: 1, endOffset: 10, endLine: 3, reject: undefined },
      { text: "c,d", line: 3, endOffset: 14, endLine: 4, reject: undefined }
    ])
  })

  it("of a wrong cell count are rejected, as their first line where they span lines", () => {
    expect(texts(splitText('a\nb,c\nd,e,f\n"g\nh,i\n'))).toEqual([
      "wrong_cell_count: a",
      "b,c",
      "wrong_cell_count: d,e,f",
      'unterminated_quote: "g',
      "h,i"
    ])
    expect(texts(splitText('"a,b\nc",d,e\nf,g\n'))).toEqual([
      'unterminated_quote: "a,b',
      'unterminated_quote: c",d,e',
      "f,g"
    ])
  })
})

describe("one bad quote costs one row", () => {
  const bad = ['a,"b', 'a,b"c', 'a,"b"c', '"a,b', 'a,"b""', '"a" ,b', ' "a",b', 'a,"', '"",""x']
  for (const row of bad) {
    it(`as in ${row}`, () => {
      for (const [before, after] of [
        ["1,2", "3,4"],
        ['"1","2"', '"3","4"']
      ]) {
        expect(texts(splitText(`${before}\n${row}\n${after}\n${after}\n`))).toEqual([
          before,
          `unterminated_quote: ${row}`,
          after,
          after
        ])
      }
    })
  }

  it("on the last line, with and without a line end", () => {
    expect(texts(splitText('1,2\na,"b'))).toEqual(["1,2", 'unterminated_quote: a,"b'])
    expect(texts(splitText('1,2\na,"b\r\n'))).toEqual(["1,2", 'unterminated_quote: a,"b'])
  })

  it("where it does not close within the longest row", () => {
    const rows = Array.from({ length: 50 }, (_, i) => `${i},x`)
    expect(texts(splitText(`a,"b\n${rows.join("\n")}\n`, { rowBytesMax: 20 }))).toEqual([
      'unterminated_quote: a,"b',
      ...rows
    ])
  })
})

describe("a row that is too long costs one row", () => {
  it("a row is as long as is allowed without its line end", () => {
    const fits = `a,${"x".repeat(18)}`
    const exceeds = `${fits}x`
    for (const end of ["\n", "\r\n", ""]) {
      expect(texts(splitText(`1,2\n${fits}${end}`, { rowBytesMax: 20 }))).toEqual(["1,2", fits])
      expect(texts(splitText(`1,2\n${exceeds}${end}`, { rowBytesMax: 20 }))).toEqual([
        "1,2",
        `row_too_long: ${exceeds.slice(0, 20)}`
      ])
    }
  })

  it("whatever stands in it", () => {
    for (const long of ['a,"'.padEnd(70, "x"), `a,"${"x".repeat(70)}"`, 'a"'.repeat(40), "\xff".repeat(70)]) {
      const cuts = split([Buffer.from(`1,2\n${long}\r\n3,4\n`, "latin1")], { rowBytesMax: 20 })
      expect(texts(cuts)).toEqual(["1,2", `row_too_long: ${long.slice(0, 20)}`, "3,4"])
      expect(cuts[2]?.line).toBe(3)
    }
  })

  it("a line of 50 MB goes by in constant memory", () => {
    const chunk = Buffer.alloc(64 * 1024, "x")
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    const cuts = split(
      (function* () {
        yield Buffer.from("1,2\n")
        for (let i = 0; i < 800; i++) {
          yield chunk
          most = Math.max(most, process.memoryUsage().arrayBuffers)
        }
        yield Buffer.from("\n3,4\n")
      })(),
      { rowBytesMax: 1024 * 1024 }
    )
    expect(cuts.map(({ reject }) => reject)).toEqual([undefined, "row_too_long", undefined])
    expect(most - before).toBeLessThan(8 * 1024 * 1024)
  })
})

it("bytes that are not UTF-8 cost their row", () => {
  const cuts = split([Buffer.from('1,2\na,\xff\n3,4\n"\xc3",5\n', "latin1"), Buffer.from("ä,ö\n")])
  expect(cuts.map(({ reject }) => reject)).toEqual([
    undefined,
    "invalid_utf8",
    undefined,
    "invalid_utf8",
    undefined
  ])
})

const nastyBytes = FastCheck.array(
  FastCheck.constantFrom(
    '"',
    '"',
    ",",
    ",",
    "\n",
    "\n",
    "\r",
    "\r\n",
    "a",
    "b",
    " ",
    "é",
    "\xff",
    "\0",
    "\ufeff"
  ),
  { maxLength: 60 }
).map((parts) =>
  Buffer.concat(parts.map((part) => (part === "\xff" ? Buffer.from([0xff]) : Buffer.from(part))))
)

const chunked = (bytes: Buffer, sizes: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const chunks: Array<Buffer> = []
  for (let start = 0, i = 0; start < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    chunks.push(bytes.subarray(start, start + size))
    start += size
  }
  return chunks
}

it("any chunking of any bytes gives the same records", () => {
  FastCheck.assert(
    FastCheck.property(
      nastyBytes,
      FastCheck.array(FastCheck.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      FastCheck.integer({ min: 1, max: 20 }),
      (bytes, sizes, rowBytesMax) => {
        const whole = split([bytes], { rowBytesMax })
        expect(split(chunked(bytes, sizes), { rowBytesMax })).toEqual(whole)
        expect(split(chunked(bytes, [1]), { rowBytesMax })).toEqual(whole)
      }
    ),
    { numRuns: 3_000 }
  )
})

it("csv-parse sees each record, alone and together, as one row of as many cells", () => {
  FastCheck.assert(
    FastCheck.property(nastyBytes, (bytes) => {
      const records = split([bytes])
        .filter(({ reject }) => reject === undefined)
        .map(({ text }) => Buffer.from(text, "latin1"))
      const together = parseRecords(records, 2)
      expect(together.every((cells) => cells?.length === 2)).toBe(true)
      expect(records.map((record) => parseRecords([record], 2)[0])).toEqual(together)
    }),
    { numRuns: 3_000 }
  )
})

it("every line is in a record, rejected, or blank, and reading resumes at any record with the same result", () => {
  FastCheck.assert(
    FastCheck.property(nastyBytes, FastCheck.integer({ min: 1, max: 20 }), (bytes, rowBytesMax) => {
      const cuts = split([bytes], { rowBytesMax })
      cuts.forEach((cut, i) => {
        const rest = new RecordSplitter(rowBytesMax, { offset: cut.endOffset, line: cut.endLine })
        rest.push(bytes.subarray(cut.endOffset))
        rest.finish()
        const next = rest.next(2)
        expect(next && [next.bytes.toString("latin1"), next.line, next.endOffset, next.reject]).toEqual(
          cuts[i + 1] && [cuts[i + 1]!.text, cuts[i + 1]!.line, cuts[i + 1]!.endOffset, cuts[i + 1]!.reject]
        )
      })
    })
  )
})
