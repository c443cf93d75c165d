/**
 * Cuts the bytes of a CSV file into records, so that nothing a row holds can cost another row.
 *
 * A CSV parser that is fed a whole file swallows what follows an unclosed quote. This one looks for the ends of records
 * only, holds at most one row and one chunk, and gives up on a row at the first thing that is wrong with it. Then that
 * row's first line is rejected and reading goes on at its second: one bad quote costs one row. What it lets through has
 * well-formed quotes (RFC 4180), valid UTF-8 and the right number of cells, and is left to a parser.
 *
 * Pure and incremental: bytes in through `push`, cuts out through `next`, the same cuts however the bytes were chunked.
 */
import { isUtf8 } from "node:buffer"
import { rejectBytesMax } from "../../protocol/Limits.ts"
import type { RowRejectReason } from "../../protocol/Reject.ts"

/** What is wrong with a row as bytes, before anyone looks into its cells. */
export type SplitRejectReason = Extract<
  RowRejectReason,
  "row_too_long" | "invalid_utf8" | "unterminated_quote" | "wrong_cell_count"
>

/** A record of the file, or a line of it that can't be one. */
export interface Cut {
  /** Its bytes without the line end, only the beginning of a row that is too long. Valid until the next `push`. */
  readonly bytes: Buffer
  /** The line of the file on which it starts; the file's first is 1. */
  readonly line: number
  /** Byte offset in the file, and line, at which what follows it starts. */
  readonly endOffset: number
  readonly endLine: number
  /** Why it is not a record; `undefined` where it is one. */
  readonly reject: SplitRejectReason | undefined
}

/** Where in a file the bytes start that are pushed first. */
export interface SplitStart {
  readonly offset: number
  readonly line: number
}

const quote = 0x22
const comma = 0x2c
const lineFeed = 0x0a
const carriageReturn = 0x0d
const bom = [0xef, 0xbb, 0xbf] as const
/** A row that is as long as is allowed still has its line end behind it. */
const lineEndBytesMax = 2
/** What is kept of a row that is too long: enough to show, and a character more so that cutting it finds a boundary. */
const shownBytesMax = rejectBytesMax + 4

type Outcome = "complete" | "malformed" | "open_cell" | "open_quote"

export class RecordSplitter {
  private readonly rowBytesMax: number
  private readonly keptBytesMax: number
  /** The bytes that are neither cut nor skipped are `buffer[start..end)`. */
  private buffer: Buffer = Buffer.allocUnsafe(0)
  private start = 0
  private end = 0
  private offset: number
  private line: number
  private ended = false
  private skipping: Buffer | undefined
  // What `scan` found, in fields rather than an object, because it runs once per row.
  private scanned = 0
  private cells = 0
  private lineFeeds = 0
  private highBits = 0

  /** Rows longer than `rowBytesMax`, their line end not counted, are rejected. */
  constructor(rowBytesMax: number, start: SplitStart) {
    this.rowBytesMax = rowBytesMax
    this.keptBytesMax = Math.min(rowBytesMax, shownBytesMax)
    this.offset = start.offset
    this.line = start.line
  }

  /** Adds the bytes that follow. Memory stays bounded where `next` was called until it had nothing more to give. */
  push(chunk: Uint8Array): void {
    const held = this.end - this.start
    if (held + chunk.length > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(held + chunk.length, this.buffer.length * 2))
      this.buffer.copy(grown, 0, this.start, this.end)
      this.buffer = grown
    } else {
      this.buffer.copyWithin(0, this.start, this.end)
    }
    this.buffer.set(chunk, held)
    this.start = 0
    this.end = held + chunk.length
  }

  /** Says that the file ends here. */
  finish(): void {
    this.ended = true
  }

  /**
   * The next cut, or `undefined` where it takes more bytes to know, or the file is over. A record that has not
   * `cellCount` cells is rejected; `undefined` takes any number.
   */
  next(cellCount: number | undefined): Cut | undefined {
    if (this.offset === 0 && !this.skipBom()) return undefined
    if (this.skipping !== undefined) return this.skipLine(this.skipping)
    this.skipBlankLines()
    if (this.start === this.end) return undefined
    const outcome = this.scan()
    if (outcome === "complete") return this.cutComplete(cellCount)
    if (outcome === "malformed") return this.rejectFirstLine("unterminated_quote")
    const overflows = this.end - this.start >= this.rowBytesMax + lineEndBytesMax
    if (overflows && outcome === "open_cell") return this.rejectFirstLine("row_too_long")
    if (overflows || this.ended) return this.rejectFirstLine("unterminated_quote")
    return undefined
  }

  /** Whether what stands at the beginning of the file is known. */
  private skipBom(): boolean {
    for (let i = 0; i < bom.length; i++) {
      if (this.start + i === this.end) return this.ended
      if (this.buffer[this.start + i] !== bom[i]) return true
    }
    this.consume(bom.length)
    return true
  }

  private skipBlankLines(): void {
    while (this.start < this.end) {
      const byte = this.buffer[this.start]
      if (byte === lineFeed) {
        this.consume(1)
        this.line++
      } else if (
        byte === carriageReturn &&
        this.buffer[this.start + 1] === lineFeed &&
        this.start + 1 < this.end
      ) {
        this.consume(2)
        this.line++
      } else if (byte === carriageReturn && this.start + 1 === this.end && this.ended) {
        this.consume(1)
      } else {
        return
      }
    }
  }

  /**
   * Looks for the end of the record that begins at `start`, in as many bytes as a row may have. Where those end first,
   * the outcome says whether a quote was open.
   */
  private scan(): Outcome {
    const { buffer, start } = this
    const limit = Math.min(this.end, start + this.rowBytesMax + lineEndBytesMax)
    const atFileEnd = this.ended && limit === this.end
    let i = start
    let highBits = 0
    this.cells = 1
    this.lineFeeds = 0
    for (;;) {
      if (i < limit && buffer[i] === quote) {
        i = this.scanQuoted(i + 1, limit)
        if (i < 0) return "open_quote"
        if (i < limit && buffer[i] === carriageReturn && (i + 1 === limit || buffer[i + 1] === lineFeed)) i++
        else if (i < limit && buffer[i] !== comma && buffer[i] !== lineFeed) return "malformed"
      } else {
        let byte = 0
        for (; i < limit; i++) {
          byte = buffer[i]!
          if (byte === comma || byte === lineFeed || byte === quote) break
          highBits |= byte
        }
        if (i < limit && byte === quote) return "malformed"
      }
      if (i === limit && !atFileEnd) return "open_cell"
      if (i === limit || buffer[i] === lineFeed) {
        this.highBits |= highBits
        this.scanned = i
        return "complete"
      }
      this.cells++
      i++
    }
  }

  /** The index behind the quote that closes the cell whose text begins at `i`, or -1. */
  private scanQuoted(from: number, limit: number): number {
    const { buffer } = this
    let highBits = 0
    for (let i = from; i < limit; i++) {
      const byte = buffer[i]!
      if (byte === quote) {
        if (i + 1 === limit || buffer[i + 1] !== quote) {
          this.highBits |= highBits
          return i + 1
        }
        i++
      } else {
        if (byte === lineFeed) this.lineFeeds++
        highBits |= byte
      }
    }
    return -1
  }

  private cutComplete(cellCount: number | undefined): Cut {
    const hasLineEnd = this.scanned < this.end
    const contentEnd = this.withoutCarriageReturn(this.scanned)
    if (contentEnd - this.start > this.rowBytesMax) return this.rejectFirstLine("row_too_long")!
    const isMiscounted = cellCount !== undefined && this.cells !== cellCount
    if (isMiscounted && this.lineFeeds > 0) return this.rejectFirstLine("unterminated_quote")!
    const bytes = this.buffer.subarray(this.start, contentEnd)
    const isInvalid = (this.highBits & 0x80) !== 0 && !isUtf8(bytes)
    const reject = isInvalid ? "invalid_utf8" : isMiscounted ? "wrong_cell_count" : undefined
    return this.cut(bytes, this.scanned + (hasLineEnd ? 1 : 0), this.lineFeeds + 1, reject)
  }

  /** Rejects the line that begins at `start` for `reason` or one that comes before it in the contract. */
  private rejectFirstLine(reason: SplitRejectReason): Cut | undefined {
    const found = this.buffer.indexOf(lineFeed, this.start)
    const hasLineEnd = found >= 0 && found < this.end
    const lineEnd = hasLineEnd ? found : this.end
    const contentEnd = this.withoutCarriageReturn(lineEnd)
    if (hasLineEnd || this.ended) {
      const bytes = this.buffer.subarray(this.start, contentEnd)
      const isTooLong = bytes.length > this.rowBytesMax
      const kept = isTooLong ? bytes.subarray(0, this.keptBytesMax) : bytes
      const why = isTooLong ? "row_too_long" : isUtf8(bytes) ? reason : "invalid_utf8"
      return this.cut(kept, lineEnd + (hasLineEnd ? 1 : 0), 1, why)
    }
    if (lineEnd - this.start < this.rowBytesMax + lineEndBytesMax) return undefined
    this.skipping = Buffer.from(this.buffer.subarray(this.start, this.start + this.keptBytesMax))
    return this.skipLine(this.skipping)
  }

  /** Throws away the rest of a line that is too long; cuts it once its end is there. */
  private skipLine(kept: Buffer): Cut | undefined {
    const found = this.buffer.indexOf(lineFeed, this.start)
    const hasLineEnd = found >= 0 && found < this.end
    if (!hasLineEnd) this.consume(this.end - this.start)
    if (!hasLineEnd && !this.ended) return undefined
    this.skipping = undefined
    return this.cut(kept, hasLineEnd ? found + 1 : this.end, 1, "row_too_long")
  }

  private cut(bytes: Buffer, end: number, lines: number, reject: SplitRejectReason | undefined): Cut {
    const line = this.line
    this.consume(end - this.start)
    this.line += lines
    this.highBits = 0
    return { bytes, line, endOffset: this.offset, endLine: this.line, reject }
  }

  private withoutCarriageReturn(lineEnd: number): number {
    return lineEnd > this.start && this.buffer[lineEnd - 1] === carriageReturn ? lineEnd - 1 : lineEnd
  }

  private consume(count: number): void {
    this.start += count
    this.offset += count
  }
}
