/**
 * The file system, as the durable log and the journals need it: positional reads and writes, and syncs that say what failed.
 *
 * A service, so that a test can put a layer over it that fails as disks do. @effect/platform's FileSystem has neither
 * positional reads nor fdatasync, and opens no directory to sync it. An operation that was begun is waited for, also where its
 * fiber is interrupted: what it does to the file happens either way.
 */
import * as fs from "node:fs"
import { dirname } from "node:path"
import { Context, Effect, Layer, Schema } from "effect"
import { makeFolder } from "./Folders.ts"

/** An operation on a file failed; `code` is the operating system's (`ENOSPC`, `EIO`), or the name of what went wrong. */
export class FileFailed extends Schema.TaggedError<FileFailed>()("FileFailed", {
  path: Schema.String,
  /** What could not be done to it, as a participle: "written". */
  operation: Schema.String,
  code: Schema.String,
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `${this.path} can't be ${this.operation}: ${this.problem} (${this.code})`
  }
}

/** To read a file that is there, to read and write one, or to do so with a file made anew, empty. */
export type FileMode = "read" | "write" | "create"

export interface OpenFile {
  readonly path: string
  /** Bytes from a position on: as many as asked for, fewer only where the file ends. */
  readonly read: (position: number, length: number) => Effect.Effect<Buffer, FileFailed>
  /** Writes all of the bytes. Where it fails, any part of them may be in the file. */
  readonly write: (bytes: Uint8Array, position: number) => Effect.Effect<void, FileFailed>
  /** Returns once what was written is on the disk. One that failed says nothing of what a later one finds: never try again. */
  readonly datasync: Effect.Effect<void, FileFailed>
  readonly truncate: (length: number) => Effect.Effect<void, FileFailed>
  readonly size: Effect.Effect<number, FileFailed>
  readonly close: Effect.Effect<void>
}

export class Files extends Context.Tag("telemetry/Files")<
  Files,
  {
    readonly open: (path: string, mode: FileMode) => Effect.Effect<OpenFile, FileFailed>
    /** The whole of a small file. */
    readonly readAll: (path: string) => Effect.Effect<Buffer, FileFailed>
    readonly size: (path: string) => Effect.Effect<number, FileFailed>
    readonly copy: (from: string, to: string) => Effect.Effect<void, FileFailed>
    /** Gives a file another name, in place of a file that has it. */
    readonly rename: (from: string, to: string) => Effect.Effect<void, FileFailed>
    readonly remove: (path: string) => Effect.Effect<void, FileFailed>
    /** Makes a folder and those above it, where they are missing. */
    readonly makeDirectory: (path: string) => Effect.Effect<void, FileFailed>
    readonly list: (directory: string) => Effect.Effect<ReadonlyArray<string>, FileFailed>
    /** Returns once names that were given and taken in a folder are on the disk. */
    readonly syncDirectory: (path: string) => Effect.Effect<void, FileFailed>
  }
>() {}

/** What a file is called until it is whole; those of an interrupted attempt are to be removed. */
export const unfinishedExtension = ".new"

/**
 * Makes a file that is there whole or not at all, in place of one that has its name, by `fill`; answers it open to be
 * written on. Where it fails at the very end, the name may have been given already.
 */
export const makeWhole = <E, R>(
  path: string,
  fill: (file: OpenFile) => Effect.Effect<void, E, R>
): Effect.Effect<OpenFile, E | FileFailed, R | Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const unfinished = path + unfinishedExtension
    const file = yield* files.open(unfinished, "create")
    yield* fill(file).pipe(
      Effect.zipRight(file.datasync),
      Effect.zipRight(files.rename(unfinished, path)),
      Effect.zipRight(files.syncDirectory(dirname(path))),
      Effect.tapError(() => Effect.zipRight(file.close, Effect.ignore(files.remove(unfinished))))
    )
    return { ...file, path }
  }).pipe(Effect.uninterruptible)

type Callback<A> = (cause: NodeJS.ErrnoException | null, result: A) => void

/** Node's messages read "ENOSPC: no space left on device, write". */
const failure = (path: string, operation: string, cause: NodeJS.ErrnoException): FileFailed =>
  new FileFailed({
    path,
    operation,
    code: cause.code ?? cause.name,
    problem: /^\w+: (.*?), \w+/.exec(cause.message)?.[1] ?? cause.message,
    cause
  })

const operate = <A>(
  path: string,
  operation: string,
  start: (callback: Callback<A>) => void
): Effect.Effect<A, FileFailed> =>
  Effect.uninterruptible(
    Effect.async<A, FileFailed>((resume) =>
      start((cause, result) =>
        resume(cause === null ? Effect.succeed(result) : Effect.fail(failure(path, operation, cause)))
      )
    )
  )

/** Calls `step` for the rest of so many bytes until all are done or none come any more; answers how many were. */
const inParts = (
  length: number,
  step: (done: number, callback: Callback<number>) => void,
  callback: Callback<number>
): void => {
  const goOn = (done: number): void =>
    step(done, (cause, count) => {
      if (cause !== null) callback(cause, done)
      else if (count === 0 || done + count === length) callback(null, done + count)
      else goOn(done + count)
    })
  if (length === 0) callback(null, 0)
  else goOn(0)
}

const openFile = (path: string, descriptor: number): OpenFile => ({
  path,
  read: (position, length) =>
    Effect.suspend(() => {
      // Not of the pool: views on it live as long as those who hold them, and must hold nothing else.
      const bytes = Buffer.allocUnsafeSlow(length)
      return operate<number>(path, "read", (callback) =>
        inParts(
          length,
          (done, next) => fs.read(descriptor, bytes, done, length - done, position + done, next),
          callback
        )
      ).pipe(Effect.map((count) => (count === length ? bytes : bytes.subarray(0, count))))
    }),
  write: (bytes, position) =>
    operate<number>(path, "written", (callback) =>
      inParts(
        bytes.length,
        (done, next) => fs.write(descriptor, bytes, done, bytes.length - done, position + done, next),
        callback
      )
    ).pipe(
      Effect.filterOrFail(
        (count) => count === bytes.length,
        (count) =>
          new FileFailed({
            path,
            operation: "written",
            code: "SHORT_WRITE",
            problem: `${count} of ${bytes.length} bytes were taken`
          })
      ),
      Effect.asVoid
    ),
  datasync: operate<void>(path, "synced", (callback) => fs.fdatasync(descriptor, (cause) => callback(cause))),
  truncate: (length) =>
    operate<void>(path, "cut", (callback) => fs.ftruncate(descriptor, length, (cause) => callback(cause))),
  size: Effect.map(
    operate<fs.Stats>(path, "measured", (callback) => fs.fstat(descriptor, callback)),
    ({ size }) => size
  ),
  close: Effect.ignore(
    operate<void>(path, "closed", (callback) => fs.close(descriptor, (cause) => callback(cause ?? null)))
  )
})

const flags = { read: "r", write: "r+", create: "w+" } as const

const open = (path: string, mode: FileMode): Effect.Effect<OpenFile, FileFailed> =>
  Effect.map(
    operate<number>(path, mode === "create" ? "made" : "opened", (callback) =>
      fs.open(path, flags[mode], callback)
    ),
    (descriptor) => openFile(path, descriptor)
  )

/** The files of this machine. */
export const layerNode: Layer.Layer<Files> = Layer.succeed(Files, {
  open,
  readAll: (path) => operate<Buffer>(path, "read", (callback) => fs.readFile(path, callback)),
  size: (path) =>
    Effect.map(
      operate<fs.Stats>(path, "measured", (callback) => fs.stat(path, callback)),
      ({ size }) => size
    ),
  copy: (from, to) =>
    operate<void>(from, "copied", (callback) =>
      fs.copyFile(from, to, fs.constants.COPYFILE_FICLONE, (cause) => callback(cause))
    ),
  rename: (from, to) =>
    operate<void>(from, "renamed", (callback) => fs.rename(from, to, (cause) => callback(cause))),
  remove: (path) => operate<void>(path, "removed", (callback) => fs.unlink(path, (cause) => callback(cause))),
  makeDirectory: (path) =>
    operate<void>(path, "made", (callback) => {
      try {
        makeFolder(path)
        callback(null)
      } catch (cause) {
        callback(cause as NodeJS.ErrnoException)
      }
    }),
  list: (directory) =>
    operate<Array<string>>(directory, "listed", (callback) => fs.readdir(directory, callback)),
  syncDirectory: (path) =>
    Effect.acquireUseRelease(
      operate<number>(path, "opened", (callback) => fs.open(path, "r", callback)),
      (descriptor) =>
        operate<void>(path, "synced", (callback) => fs.fsync(descriptor, (cause) => callback(cause))),
      (descriptor) => openFile(path, descriptor).close
    )
})
