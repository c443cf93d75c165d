/**
 * An offset log in files of a folder: what was appended is there after a restart, and after a crash.
 *
 * How much a crash can take is chosen by `fsync`:
 * - `always`: an append returns when its records are on the disk. Nothing that was acknowledged is lost, also when the power fails.
 * - `interval`: it returns when the operating system has them. Nothing is lost when the process is killed; when the power fails, or the
 *   machine stops, what was acknowledged in the last `fsyncIntervalMs` may be, and at most 8 MiB. Nobody reads a record before it is on the disk.
 * - `never`: as `interval`, but without a limit: all of the active segment may be lost with the power. A record can be read at once, and
 *   the offset of one that was lost is given to another. Segments are synced when they are closed; where that failed too, what the power
 *   takes of them is damage.
 *
 * Of an append that a crash interrupted, all or nothing is there. Segments are documented in `segments/format.ts`. One process has the
 * folder at a time.
 */
import { Context, Effect, Layer, Schedule } from "effect"
import { offsetOf } from "../../protocol/Log.ts"
import { lockDirectory } from "../DirectoryLock.ts"
import { type FileFailed, Files } from "../Files.ts"
import { AppendFailed, OffsetLog, ReadFailed, type RecordRun } from "../OffsetLog.ts"
import { LogDamaged, LogUnusable } from "./segments/LogDamaged.ts"
import { LogState } from "./segments/LogState.ts"
import { makeReading } from "./segments/reading.ts"
import { recover } from "./segments/recovery.ts"
import { makeRemoving } from "./segments/removing.ts"
import { findTime } from "./segments/times.ts"
import { Writer } from "./segments/Writer.ts"

export { LogDamaged, LogUnusable }

interface SegmentLogSettings {
  /** The folder, made where it is missing, that this process alone uses. */
  readonly directory: string
  /** Size at which a segment is closed and the next one begun: the step in which space is freed. */
  readonly segmentBytes: number
  /** Age at which it is closed however small it is: the step in which retention by age goes on. */
  readonly segmentMs: number
  /** When records are on the disk: before an append returns, soon after, or when the operating system likes. */
  readonly fsync: "always" | "interval" | "never"
  /** With `interval`, how long records wait for the disk at most. */
  readonly fsyncIntervalMs: number
  /** What becomes of a log whose files are damaged: it is not opened, or opened without what is lost. */
  readonly onDamage: "stop" | "quarantine"
  /** Size of the latest records that are kept in memory for who reads what is new. */
  readonly cacheBytes: number
}

export class SegmentLogConfig extends Context.Tag("telemetry/SegmentLogConfig")<
  SegmentLogConfig,
  SegmentLogSettings
>() {
  static readonly defaults: Omit<SegmentLogSettings, "directory"> = {
    segmentBytes: 640 * 1024 * 1024,
    segmentMs: 24 * 3_600_000,
    fsync: "always",
    fsyncIntervalMs: 1_000,
    onDamage: "stop",
    cacheBytes: 32 * 1024 * 1024
  }
  static readonly layer = (
    config: Partial<SegmentLogSettings> & Pick<SegmentLogSettings, "directory">
  ): Layer.Layer<SegmentLogConfig> =>
    Layer.succeed(SegmentLogConfig, { ...SegmentLogConfig.defaults, ...config })
}

/** Between two looks whether a log that could not append can again. */
const probeInterval = "1 second"

const lock = (directory: string) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => lockDirectory(directory, "log.lock"),
      catch: (cause) => new LogUnusable({ directory, problem: (cause as Error).message, cause })
    }),
    (held) => Effect.sync(() => held.close())
  )

const hasRecords = (runs: ReadonlyArray<RecordRun>): boolean => runs.some((run) => run.payloads.length > 0)

const appendFailed = (failed: FileFailed) => new AppendFailed({ problem: failed.message, cause: failed })
const readFailed = (failed: FileFailed) => new ReadFailed({ problem: failed.message, cause: failed })

const make = Effect.gen(function* () {
  const config = yield* SegmentLogConfig
  const { directory, fsync, fsyncIntervalMs } = config
  const files = yield* Files
  yield* lock(directory)
  const { identity, segments, file, recovery } = yield* Effect.catchTag(
    recover(config),
    "FileFailed",
    (cause) => new LogUnusable({ directory, problem: cause.message, cause })
  )
  const state = new LogState(directory, config, { identity, segments })
  const writer = new Writer(state, file, files)
  yield* Effect.addFinalizer(() => writer.close)
  const reading = yield* makeReading(() => state.segments, identity.salt)
  const remove = yield* makeRemoving(directory)

  if (fsync === "interval") {
    yield* state.isDirty.await.pipe(
      Effect.zipRight(Effect.sleep(fsyncIntervalMs)),
      Effect.zipRight(state.isDirty.close),
      Effect.zipRight(Effect.ignore(writer.sync)),
      Effect.forever,
      Effect.forkScoped
    )
  }
  yield* Effect.forkScoped(Effect.repeat(writer.probe, Schedule.spaced(probeInterval)))

  return OffsetLog.of({
    logId: identity.logId,
    append: (runs) => (hasRecords(runs) ? Effect.mapError(writer.append(runs), appendFailed) : Effect.void),
    read: (from, limits) =>
      Effect.suspend(() => {
        const start = Math.max(from, state.oldest)
        const end = state.readableEnd
        if (start >= end) return Effect.succeed({ firstOffset: offsetOf(start), runs: [] })
        const cached = state.cache.read(start, end, limits)
        return cached === undefined ? reading.read(start, limits) : Effect.succeed(cached)
      }),
    readableEnd: () => state.readableEnd,
    onReadable: (listener) =>
      Effect.acquireRelease(
        Effect.sync(() => state.listeners.add(listener)),
        () => Effect.sync(() => state.listeners.delete(listener))
      ),
    offsetAt: (atMs) =>
      findTime(state.segments, atMs, identity.salt).pipe(
        Effect.mapBoth({ onFailure: readFailed, onSuccess: (found) => offsetOf(found ?? state.readableEnd) }),
        Effect.provideService(Files, files)
      ),
    dropBefore: (offset) =>
      Effect.gen(function* () {
        yield* remove(state.dropBefore(offset))
        // Last, as it needs space.
        yield* writer.rollBefore(offset)
        yield* remove(state.dropBefore(offset))
        return state.bounds
      }),
    sync: Effect.mapError(writer.sync, appendFailed),
    bounds: Effect.sync(() => state.bounds),
    stats: Effect.sync(() => {
      const { problem, appends, appendedBytes, syncs } = state
      return { problem, appends, appendedBytes, syncs, recovery }
    })
  })
})

/** A log in a folder, with what is there already. Fails where the folder can't be used, and where files of it are damaged. */
export const layerSegments: Layer.Layer<OffsetLog, LogDamaged | LogUnusable, SegmentLogConfig | Files> =
  Layer.scoped(OffsetLog, make)
