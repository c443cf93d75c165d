/**
 * Journals in files of a folder: what was appended is there after a restart, and after a crash.
 *
 * A journal is one file, which a snapshot replaces by another. What was never finished is cut off when a journal is opened; damage before
 * that fails. An append that the disk refuses is not in the journal, and when it is a sync that failed, the next append writes all of the journal into a
 * new file. One process has the folder at a time.
 */
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { Context, Effect, Layer, type Scope } from "effect"
import { lockDirectory } from "../DirectoryLock.ts"
import { type FileFailed, Files, makeWhole, type OpenFile, unfinishedExtension } from "../Files.ts"
import { Journal, JournalFailed, type OpenJournal } from "../Journal.ts"
import { type Content, decode, encodeBatch, encodeFileHeader, fileHeaderBytes } from "./files/format.ts"

interface FileJournalSettings {
  /** The folder, made where it is missing, that this process alone uses. */
  readonly directory: string
  /**
   * Whether an append returns when its entries are on the disk (`always`), or when the operating system has them, which has them on
   * the disk a second later (`interval`) or when it likes (`never`). Snapshots always are.
   */
  readonly fsync: "always" | "interval" | "never"
}

export class FileJournalConfig extends Context.Tag("telemetry/FileJournalConfig")<
  FileJournalConfig,
  FileJournalSettings
>() {
  static readonly layer = (
    config: Partial<FileJournalSettings> & Pick<FileJournalSettings, "directory">
  ): Layer.Layer<FileJournalConfig> => Layer.succeed(FileJournalConfig, { fsync: "always", ...config })
}

/** How long entries that nobody waits for are kept from the disk. */
const syncInterval = "1 second"

const failing = (journal: string) =>
  Effect.mapError((cause: FileFailed) => new JournalFailed({ journal, problem: cause.message, cause }))

/** Files of journals, by the journal's name as it stands in theirs. */
const generationOf = (encodedName: string, file: string): number | undefined => {
  const prefix = `${encodedName}.`
  const rest = file.startsWith(prefix) ? file.slice(prefix.length) : ""
  return /^\d+$/.test(rest) ? Number(rest) : undefined
}

/** A journal's file, open to be written, and what is known of it. */
interface Generation {
  readonly number: number
  readonly file: OpenFile
  readonly salt: number
  end: number
  /** Position up to which it is known to be on the disk. */
  synced: number
  endsWithMark: boolean
}

const pathOf = (directory: string, name: string, generation: number): string =>
  join(directory, `${encodeURIComponent(name)}.${generation}`)

/** Makes a file that holds all of a journal. */
const makeGeneration = (path: string, number: number, content: Content) =>
  Effect.gen(function* () {
    const salt = randomBytes(4).readUInt32LE()
    const position = fileHeaderBytes
    const bytes = Buffer.concat([
      encodeFileHeader(salt),
      encodeBatch(content, { salt, position, durableBefore: position })
    ])
    const file = yield* makeWhole(path, (file) => file.write(bytes, 0))
    const isEmpty = content.snapshot === undefined && content.entries.length === 0
    return { number, file, salt, end: bytes.length, synced: bytes.length, endsWithMark: isEmpty }
  })

/** Opens a journal's file, without what was never finished. */
const openGeneration = (journal: string, path: string, number: number) =>
  Effect.gen(function* () {
    const files = yield* Files
    const bytes = yield* failing(journal)(files.readAll(path))
    const decoded = decode(bytes)
    if (typeof decoded === "string") {
      return yield* new JournalFailed({ journal, problem: `${path} is damaged at byte 0: ${decoded}` })
    }
    const { content, salt, end, endsWithMark, isDamaged } = decoded
    if (isDamaged) {
      const problem = `${path} is damaged at byte ${end}: what is there is not what was written`
      return yield* new JournalFailed({ journal, problem })
    }
    const file = yield* failing(journal)(files.open(path, "write"))
    if (end < bytes.length) {
      yield* failing(journal)(file.truncate(end))
      yield* Effect.logWarning(
        `${path}: cut off ${bytes.length - end} bytes at the end that were never finished`
      )
    }
    // What a process wrote that was killed is there, but who reads it now may rely on it.
    yield* failing(journal)(file.datasync)
    const generation: Generation = { number, file, salt, end, synced: end, endsWithMark }
    return { content, generation }
  })

/** Finds the file of a journal, and removes those that it replaced. */
const recover = (directory: string, name: string) =>
  Effect.gen(function* () {
    const files = yield* Files
    const names = yield* failing(name)(files.list(directory))
    const encoded = encodeURIComponent(name)
    const generations = names.flatMap((file) => generationOf(encoded, file) ?? []).sort((a, b) => a - b)
    const newest = generations.pop()
    const unfinished = names.filter(
      (file) => generationOf(encoded, file.replace(unfinishedExtension, "")) !== undefined
    )
    const stale = [
      ...generations.map((generation) => pathOf(directory, name, generation)),
      ...unfinished.filter((file) => file.endsWith(unfinishedExtension)).map((file) => join(directory, file))
    ]
    if (newest !== undefined) {
      const opened = yield* openGeneration(name, pathOf(directory, name, newest), newest)
      yield* Effect.forEach(stale, (path) => Effect.ignore(files.remove(path)))
      return opened
    }
    const content: Content = { snapshot: undefined, entries: [] }
    const generation = yield* failing(name)(makeGeneration(pathOf(directory, name, 1), 1, content))
    return { content, generation }
  })

type Settings = FileJournalSettings & { readonly name: string }

class OpenFileJournal {
  private readonly settings: Settings
  private readonly files: Files["Type"]
  private generation: Generation
  /** All of it is kept, so that it can be written anew. */
  private snapshot: string | undefined
  private entries: Array<string>
  /** Whether the file must not be written any more. */
  private isBroken = false
  private lastGeneration: number
  private readonly turn = Effect.unsafeMakeSemaphore(1)
  readonly isDirty = Effect.unsafeMakeLatch(false)

  constructor(
    settings: Settings,
    files: Files["Type"],
    { content, generation }: { readonly content: Content; readonly generation: Generation }
  ) {
    this.settings = settings
    this.files = files
    this.generation = generation
    this.lastGeneration = generation.number
    this.snapshot = content.snapshot
    this.entries = [...content.entries]
  }

  readonly content = Effect.sync((): Content => ({ snapshot: this.snapshot, entries: [...this.entries] }))

  readonly append: OpenJournal<string, string>["append"] = (entries, { sync = true } = {}) => {
    if (entries.length === 0) return Effect.void
    const waits = sync && this.settings.fsync === "always"
    return this.exclusively(Effect.suspend(() => this.appendNow(entries, waits)))
  }

  readonly replace = (snapshot: string): Effect.Effect<void, JournalFailed> =>
    this.exclusively(Effect.suspend(() => this.rewrite({ snapshot, entries: [] })))

  private exclusively(effect: Effect.Effect<void, FileFailed, Files>): Effect.Effect<void, JournalFailed> {
    return effect.pipe(
      Effect.provideService(Files, this.files),
      Effect.uninterruptible,
      this.turn.withPermits(1),
      failing(this.settings.name)
    )
  }

  private appendNow(entries: ReadonlyArray<string>, waits: boolean): Effect.Effect<void, FileFailed, Files> {
    const self = this
    return Effect.gen(function* () {
      if (self.isBroken) {
        return yield* self.rewrite({ snapshot: self.snapshot, entries: [...self.entries, ...entries] })
      }
      yield* self.write({ snapshot: undefined, entries }, waits)
      for (const entry of entries) self.entries.push(entry)
      if (!waits) self.isDirty.unsafeOpen()
    })
  }

  /** Writes a batch; where that fails, nothing of it is left. */
  private write(content: Content, waits: boolean): Effect.Effect<void, FileFailed> {
    const self = this
    return Effect.gen(function* () {
      const { file, salt, end, synced } = self.generation
      const bytes = encodeBatch(content, { salt, position: end, durableBefore: synced })
      const undo = Effect.catchAll(file.truncate(end), () =>
        Effect.sync(() => {
          self.isBroken = true
        })
      )
      yield* Effect.tapError(file.write(bytes, end), () => undo)
      if (waits) yield* Effect.tapError(self.datasync, () => undo)
      self.generation.end = end + bytes.length
      self.generation.endsWithMark = content.entries.length === 0
      if (waits) self.generation.synced = self.generation.end
    })
  }

  /** Nobody knows what the disk has after one that failed. */
  private get datasync(): Effect.Effect<void, FileFailed> {
    return Effect.tapError(this.generation.file.datasync, () =>
      Effect.sync(() => {
        this.isBroken = true
      })
    )
  }

  /** Goes on in a new file, that holds all of the journal. */
  private rewrite(content: Content): Effect.Effect<void, FileFailed, Files> {
    const self = this
    return Effect.gen(function* () {
      const { directory, name } = self.settings
      const replaced = self.generation
      const number = ++self.lastGeneration
      // Its name may have been given although it failed: nothing may be written to the other any more.
      self.isBroken = true
      self.generation = yield* makeGeneration(pathOf(directory, name, number), number, content)
      self.isBroken = false
      self.snapshot = content.snapshot
      self.entries = [...content.entries]
      yield* replaced.file.close
      yield* Effect.ignore(self.files.remove(replaced.file.path))
    })
  }

  /** Has on the disk what nobody waited for. */
  get sync(): Effect.Effect<void, JournalFailed> {
    return this.exclusively(
      Effect.suspend(() => {
        const { generation } = this
        if (this.isBroken) return this.rewrite({ snapshot: this.snapshot, entries: this.entries })
        if (generation.synced === generation.end) return Effect.void
        return Effect.map(this.datasync, () => {
          generation.synced = generation.end
        })
      })
    )
  }

  /** Has all of it on the disk, and a mark behind it that says so. */
  get close(): Effect.Effect<void> {
    const self = this
    const closing = Effect.gen(function* () {
      yield* self.sync
      if (self.generation.endsWithMark) return
      yield* self.exclusively(self.write({ snapshot: undefined, entries: [] }, true))
    })
    return closing.pipe(
      Effect.catchAll((failed) => Effect.logWarning(`not closed cleanly: ${failed.message}`)),
      Effect.ensuring(Effect.suspend(() => this.generation.file.close))
    )
  }
}

const open = (
  settings: Settings
): Effect.Effect<OpenJournal<string, string>, JournalFailed, Files | Scope.Scope> =>
  Effect.gen(function* () {
    const recovered = yield* recover(settings.directory, settings.name)
    const journal = new OpenFileJournal(settings, yield* Files, recovered)
    yield* Effect.addFinalizer(() => journal.close)
    if (settings.fsync !== "never") {
      yield* journal.isDirty.await.pipe(
        Effect.zipRight(Effect.sleep(syncInterval)),
        Effect.zipRight(journal.isDirty.close),
        Effect.zipRight(Effect.catchAll(journal.sync, (failed) => Effect.logWarning(failed.message))),
        Effect.forever,
        Effect.forkScoped
      )
    }
    return { content: journal.content, append: journal.append, snapshot: journal.replace }
  })

const make = Effect.gen(function* () {
  const config = yield* FileJournalConfig
  const { directory } = config
  const files = yield* Files
  yield* Effect.acquireRelease(
    Effect.try({
      try: () => lockDirectory(directory, "journal.lock"),
      catch: (cause) => {
        const problem = `the folder ${directory} can't be used: ${(cause as Error).message}`
        return new JournalFailed({ journal: "of any name", problem, cause })
      }
    }),
    (lock) => Effect.sync(() => lock.close())
  )
  return Journal.of({
    open: (name) => Effect.provideService(open({ ...config, name }), Files, files)
  })
})

/** Journals in a folder, with what is there already. Fails where the folder can't be used. */
export const layerFiles: Layer.Layer<Journal, JournalFailed, FileJournalConfig | Files> = Layer.scoped(
  Journal,
  make
)
