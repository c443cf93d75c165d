/**
 * Appends to the active segment, closes it and begins the next, and knows what to do when the disk fails.
 *
 * A write that failed is undone, and the next one tries again. A sync that failed is final for its file: nobody knows what of it the
 * disk has. Such a segment ends where it was last on the disk, a new one begins there, and what was acknowledged since is written
 * into that.
 */
import { Clock, Effect } from "effect"
import { FileFailed, Files, makeWhole, type OpenFile } from "../../Files.ts"
import type { RecordRun } from "../../OffsetLog.ts"
import { type BatchHeader, encodeBatch, encodeFileHeader, encodeMark, fileHeaderBytes } from "./format.ts"
import { writeIndex } from "./index-file.ts"
import type { LogState } from "./LogState.ts"
import { makeSegmentFile } from "./recovery.ts"
import { type Extent, Segment, segmentPath } from "./Segment.ts"

/** Bytes that are not on the disk yet at which an append waits for them to be. */
export const unsyncedBytesMax = 8 * 1024 * 1024
/** What is written, at least and at most, to see whether a disk takes it again. */
const probeBytesMin = 64 * 1024
const probeBytesMax = 16 * 1024 * 1024
/** Memory for encoding that is kept; larger batches have their own. */
const memoryBytesMax = 16 * 1024 * 1024

/** What was acknowledged and is not on the disk yet. */
interface Unsynced {
  readonly runs: ReadonlyArray<RecordRun>
  readonly appendedMs: number
}

export class Writer {
  private readonly state: LogState
  private file: OpenFile
  /** Position up to which the active segment is known to be on the disk. */
  private synced: number
  /** Whether the active segment must not be written any more. */
  private isBroken = false
  private unsynced: Array<Unsynced> = []
  private unsyncedBytes = 0
  private refusedBytes = 0
  private memory = Buffer.alloc(0)
  /** One appends, closes or replaces at a time; one syncs at a time, as a failure is told only once. */
  private readonly lock = Effect.unsafeMakeSemaphore(1)
  private readonly syncLock = Effect.unsafeMakeSemaphore(1)
  private readonly files: Files["Type"]

  constructor(state: LogState, file: OpenFile, files: Files["Type"]) {
    this.state = state
    this.file = file
    this.synced = state.active.end.position
    this.files = files
  }

  private exclusively<A, E>(effect: Effect.Effect<A, E, Files>): Effect.Effect<A, E> {
    return this.lock.withPermits(1)(Effect.uninterruptible(Effect.provideService(effect, Files, this.files)))
  }

  /** Appends records, at least one. */
  append(runs: ReadonlyArray<RecordRun>): Effect.Effect<void, FileFailed> {
    const noticed = Effect.tapBoth(this.appendNow(runs), {
      onFailure: (failed) => Effect.sync(() => this.fail(failed)),
      onSuccess: () =>
        Effect.sync(() => {
          if (!this.isBroken) this.state.problem = null
        })
    })
    return this.exclusively(noticed)
  }

  private fail(failed: FileFailed): void {
    this.state.problem = failed.message
  }

  private appendNow(runs: ReadonlyArray<RecordRun>): Effect.Effect<void, FileFailed, Files> {
    const self = this
    return Effect.gen(function* () {
      const nowMs = Math.max(0, Math.floor(yield* Clock.currentTimeMillis))
      if (self.isBroken) yield* self.replace
      else if (self.isDue(nowMs)) yield* self.roll
      const { active } = self.state
      const batch = self.encode(runs, { segment: active, appendedMs: nowMs, durableBefore: self.synced })
      self.refusedBytes = batch.bytes.length
      const undo = self.cutBack(active.end.position)
      yield* Effect.tapError(self.file.write(batch.bytes, active.end.position), () => undo)
      if (self.state.config.fsync === "always") {
        yield* Effect.tapError(self.file.datasync, () => {
          self.isBroken = true
          return undo
        })
        self.synced = active.end.position + batch.bytes.length
        self.state.syncs++
      }
      self.adopt(runs, batch.header)
      if (self.unsyncedBytes >= unsyncedBytesMax) yield* Effect.ignore(self.syncNow)
    })
  }

  /** The batch of some runs at the end of a segment, in memory that the next one uses again. */
  private encode(
    runs: ReadonlyArray<RecordRun>,
    place: { readonly segment: Segment; readonly appendedMs: number; readonly durableBefore: number }
  ) {
    const { segment, ...times } = place
    return encodeBatch(runs, {
      ...times,
      salt: this.state.identity.salt,
      base: segment.base,
      position: segment.end.position,
      firstOffset: segment.end.next,
      memory: (bytes) => {
        if (bytes > memoryBytesMax) return Buffer.allocUnsafeSlow(bytes)
        if (this.memory.length < bytes) {
          this.memory = Buffer.allocUnsafeSlow(Math.min(memoryBytesMax, Math.max(bytes * 2, 64 * 1024)))
        }
        return this.memory
      }
    })
  }

  /** Takes in what was written. */
  private adopt(runs: ReadonlyArray<RecordRun>, header: BatchHeader): void {
    const { state } = this
    const { active } = state
    active.add(header)
    state.took(runs, header)
    if (state.config.fsync !== "interval") active.committed = active.end
    else {
      this.unsynced.push({ runs, appendedMs: header.appendedMs })
      this.unsyncedBytes += header.bodyBytes
      state.isDirty.unsafeOpen()
    }
  }

  /** Takes back what a failed write or sync may have left in the file. */
  private cutBack(position: number): Effect.Effect<void> {
    return Effect.catchAll(this.file.truncate(position), () =>
      Effect.sync(() => {
        this.isBroken = true
      })
    )
  }

  private isDue(nowMs: number): boolean {
    const { active, config } = this.state
    const { bytes, records, oldestMs } = active.end
    return records > 0 && (bytes >= config.segmentBytes || nowMs - oldestMs >= config.segmentMs)
  }

  /** Has everything that was acknowledged on the disk, and tells who waits for that. */
  get sync(): Effect.Effect<void, FileFailed> {
    const replaceBroken = Effect.suspend(() => (this.isBroken ? this.replace : Effect.void))
    return Effect.suspend(() =>
      this.isBroken ? this.exclusively(replaceBroken) : Effect.uninterruptible(this.syncNow)
    )
  }

  private get syncNow(): Effect.Effect<void, FileFailed> {
    return this.syncLock.withPermits(1)(Effect.suspend(() => this.syncOnce()))
  }

  private syncOnce(): Effect.Effect<void, FileFailed> {
    const { active } = this.state
    const { end } = active
    if (this.isBroken) {
      const problem = this.state.problem ?? "what was written to it was not taken back"
      return Effect.fail(new FileFailed({ path: active.path, operation: "synced", code: "BROKEN", problem }))
    }
    if (this.synced === end.position) return Effect.void
    const count = this.unsynced.length
    const bytes = this.unsyncedBytes
    return Effect.matchEffect(this.file.datasync, {
      onFailure: (failed) => {
        this.isBroken = true
        this.fail(failed)
        return Effect.fail(failed)
      },
      onSuccess: () =>
        Effect.sync(() => {
          this.state.syncs++
          this.synced = end.position
          this.unsynced.splice(0, count)
          this.unsyncedBytes -= bytes
          this.commit(active, end)
        })
    })
  }

  private commit(segment: Segment, end: Extent): void {
    if (segment.committed.next >= end.next) return
    segment.committed = end
    this.state.tellReadable()
  }

  /** Closes the active segment and begins the next. */
  private get roll(): Effect.Effect<void, FileFailed, Files> {
    const self = this
    return Effect.gen(function* () {
      const { state } = self
      const closed = state.active
      const synced = yield* Effect.either(self.syncNow)
      if (synced._tag === "Left" && state.config.fsync !== "never") return yield* self.replace
      // Its name may have been given although it failed: nothing may be written before that any more.
      self.isBroken = true
      const file = yield* makeSegmentFile(state.directory, closed.end.next, state.identity)
      yield* self.file.close
      self.begin(file, new Segment(state.directory, closed.end.next))
      if (synced._tag === "Right") yield* writeIndex(closed, state.identity.salt)
      else yield* Effect.logWarning(`${closed.path} was closed, and may not be on the disk whole`)
    })
  }

  private begin(file: OpenFile, segment: Segment): void {
    this.file = file
    this.synced = segment.end.position
    this.isBroken = false
    this.unsynced = []
    this.unsyncedBytes = 0
    this.state.problem = null
    this.state.begin(segment)
  }

  /** Ends a segment that must not be written any more where it was last on the disk, and goes on in a new one. */
  private get replace(): Effect.Effect<void, FileFailed, Files> {
    return this.syncLock.withPermits(1)(Effect.suspend(() => this.replaceNow()))
  }

  private replaceNow(): Effect.Effect<void, FileFailed, Files> {
    const self = this
    return Effect.gen(function* () {
      const { state } = self
      const { directory, identity, active: ended } = state
      const base = ended.committed.next
      // What may be read of the segment ended is not on the disk otherwise.
      if (state.config.fsync === "never") yield* Effect.ignore(self.file.datasync)
      const segment = new Segment(directory, base)
      const file = yield* makeWhole(segmentPath(directory, base), (file) =>
        Effect.gen(function* () {
          yield* file.write(encodeFileHeader({ ...identity, base }), 0)
          for (const { runs, appendedMs } of self.unsynced) {
            const batch = self.encode(runs, { segment, appendedMs, durableBefore: fileHeaderBytes })
            yield* file.write(batch.bytes, segment.end.position)
            segment.add(batch.header)
          }
        })
      )
      state.syncs++
      if (base > ended.base) {
        ended.cutTo(ended.committed)
        yield* Effect.ignore(self.file.truncate(ended.end.position))
        yield* writeIndex(ended, identity.salt)
      }
      yield* self.file.close
      segment.committed = segment.end
      self.begin(file, segment)
      state.tellReadable()
      yield* Effect.logWarning(`appending goes on in ${segment.path}, after ${ended.path} failed`)
    })
  }

  /** Where the log can't append, finds out whether it can again, by writing and syncing. */
  get probe(): Effect.Effect<void> {
    const attempt = Effect.suspend(() => {
      if (this.state.problem === null) return Effect.void
      return this.isBroken ? this.replace : this.syncLock.withPermits(1)(this.tryWriting)
    })
    return Effect.catchAll(this.exclusively(attempt), (failed) => Effect.sync(() => this.fail(failed)))
  }

  private get tryWriting(): Effect.Effect<void, FileFailed> {
    const self = this
    return Effect.gen(function* () {
      const { position } = self.state.active.end
      const bytes = Buffer.alloc(Math.min(Math.max(self.refusedBytes, probeBytesMin), probeBytesMax))
      const undo = self.cutBack(position)
      yield* Effect.tapError(self.file.write(bytes, position), () => undo)
      yield* Effect.tapError(self.file.datasync, () => {
        self.isBroken = true
        return undo
      })
      yield* undo
      if (!self.isBroken) self.state.problem = null
    })
  }

  /** Closes the active segment where it has records, so that it can be dropped. */
  rollBefore(offset: number): Effect.Effect<void> {
    const rolling = Effect.suspend(() => {
      const { records, next } = this.state.active.end
      if (records === 0 || next > offset) return Effect.void
      return this.isBroken ? this.replace : this.roll
    })
    return Effect.catchAll(this.exclusively(rolling), (failed) =>
      Effect.logWarning(`the active segment of the log can't be dropped: ${failed.message}`)
    )
  }

  /** Has everything on the disk, and a mark behind it that says so. */
  get close(): Effect.Effect<void> {
    const self = this
    const closing = Effect.gen(function* () {
      const { state } = self
      if (self.isBroken) yield* self.replace
      yield* self.syncNow
      const { active, identity } = state
      if (active.endsWithMark || active.end.records === 0) return
      const { position, next } = active.end
      const place = { salt: identity.salt, base: active.base }
      const nowMs = Math.max(0, Math.floor(yield* Clock.currentTimeMillis))
      yield* self.file.write(encodeMark(place, { nextOffset: next, nowMs, position }), position)
      yield* self.file.datasync
    })
    return Effect.catchAll(this.exclusively(closing), (failed) =>
      Effect.logWarning(`the log was not closed cleanly: ${failed.message}`)
    ).pipe(Effect.ensuring(Effect.suspend(() => this.file.close)))
  }
}
