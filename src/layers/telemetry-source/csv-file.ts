/** An open CSV file: who it is, what its header says, and its bytes. Every way in which that fails is a `SourceError`. */
import { type FileHandle, open, stat } from "node:fs/promises"
import { Effect, type Scope } from "effect"
import { SourceError } from "../TelemetrySource.ts"
import { parseRecords } from "./csv-cells.ts"
import { type CsvHeader, readHeader } from "./csv-header.ts"
import { identityBytesMax } from "./csv-position.ts"
import { type Cut, RecordSplitter, type SplitStart } from "./record-splitter.ts"

/** Bytes of one read: large enough that reading costs little beside parsing, small beside everything else in memory. */
export const readBytes = 256 * 1024
/** The same for a header, which every pass reads anew and which is short. */
const headerReadBytes = 8 * 1024

const problems: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "is a directory, expected a file"
}

const attempt = <A>(path: string, io: () => Promise<A>): Effect.Effect<A, SourceError> =>
  // Uninterruptible, because a read that goes on after its interruption would write into a buffer in use.
  Effect.uninterruptible(
    Effect.tryPromise({
      try: io,
      catch: (cause) => {
        const { code, message } = cause as NodeJS.ErrnoException
        return new SourceError({ source: path, problem: problems[code ?? ""] ?? message, cause })
      }
    })
  )

const fail = (path: string, problem: string) => Effect.fail(new SourceError({ source: path, problem }))

export interface CsvFile {
  readonly path: string
  /** The first 4 KiB, or all there was when it was opened. */
  readonly beginning: Uint8Array
  readonly header: CsvHeader
  /** Where the first record behind the header starts. */
  readonly dataStart: SplitStart
  /** Reads into `buffer` what stands at `offset`: how many bytes, 0 at the end of the file. */
  readonly read: (buffer: Uint8Array, offset: number) => Effect.Effect<number, SourceError>
  /** Bytes that the file has now. */
  readonly size: Effect.Effect<number, SourceError>
}

const headerProblem = (cut: Cut, maxRowBytes: number): string | undefined => {
  switch (cut.reject) {
    case "row_too_long":
      return `has a header of more than ${maxRowBytes} bytes`
    case "invalid_utf8":
      return "has a header that is not UTF-8"
    case "unterminated_quote":
    case "wrong_cell_count":
      return "has a stray or unclosed quote in its header"
    case undefined:
      return undefined
  }
}

const cutHeader = (
  path: string,
  read: CsvFile["read"],
  maxRowBytes: number
): Effect.Effect<Cut, SourceError> =>
  Effect.gen(function* () {
    const splitter = new RecordSplitter(maxRowBytes, { offset: 0, line: 1 })
    const buffer = Buffer.allocUnsafe(headerReadBytes)
    for (let offset = 0; ; ) {
      const count = yield* read(buffer, offset)
      if (count === 0) splitter.finish()
      splitter.push(buffer.subarray(0, count))
      offset += count
      const cut = splitter.next(undefined)
      if (cut !== undefined) return cut
      if (count === 0) return yield* fail(path, "is empty: expected a header")
    }
  })

const openHandle = (path: string): Effect.Effect<FileHandle, SourceError, Scope.Scope> =>
  Effect.gen(function* () {
    // Before it is opened, because opening a pipe waits for someone to write.
    const stats = yield* attempt(path, () => stat(path))
    if (stats.isDirectory()) return yield* fail(path, "is a directory, expected a file")
    if (!stats.isFile()) return yield* fail(path, "is not a regular file")
    return yield* Effect.acquireRelease(
      attempt(path, () => open(path, "r")),
      (handle) => Effect.ignore(attempt(path, () => handle.close()))
    )
  })

/** Opens a file for as long as the scope, and reads its header. */
export const openCsvFile = (
  path: string,
  maxRowBytes: number
): Effect.Effect<CsvFile, SourceError, Scope.Scope> =>
  Effect.gen(function* () {
    const handle = yield* openHandle(path)
    const read: CsvFile["read"] = (buffer, offset) =>
      attempt(path, () => handle.read(buffer, 0, buffer.length, offset)).pipe(
        Effect.map(({ bytesRead }) => bytesRead)
      )
    const beginning = Buffer.alloc(identityBytesMax)
    const beginningBytes = yield* read(beginning, 0)
    const cut = yield* cutHeader(path, read, maxRowBytes)
    const problem = headerProblem(cut, maxRowBytes)
    if (problem !== undefined) return yield* fail(path, problem)
    const header = readHeader(parseRecords([cut.bytes], undefined)[0] ?? [])
    if (typeof header === "string") return yield* fail(path, header)
    return {
      path,
      beginning: beginning.subarray(0, beginningBytes),
      header,
      dataStart: { offset: cut.endOffset, line: cut.endLine },
      read,
      size: attempt(path, () => handle.stat()).pipe(Effect.map(({ size }) => size))
    }
  })
