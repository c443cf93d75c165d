/** An offset log in memory: gone with the process. */
import { Clock, Context, Effect, Layer } from "effect"
import { type LogBounds, LogId, type Offset, offsetOf } from "../../protocol/Log.ts"
import {
  type LogSlice,
  OffsetLog,
  type ReadLimits,
  type RecordRun,
  runBytes,
  sliceRun
} from "../OffsetLog.ts"
import { fitting, lastAtOrBelow } from "./taking.ts"

export class MemoryLogConfig extends Context.Tag("telemetry/MemoryLogConfig")<
  MemoryLogConfig,
  {
    /** Size at which a segment is closed and the next one begun: the step in which space is freed. */
    readonly segmentBytes: number
    /** Age at which it is closed however small it is: the step in which retention by age goes on. */
    readonly segmentMs: number
  }
>() {
  static readonly defaults = { segmentBytes: 16 * 1024 * 1024, segmentMs: Number.POSITIVE_INFINITY }
  static readonly layer = (
    config: Partial<typeof MemoryLogConfig.defaults> = {}
  ): Layer.Layer<MemoryLogConfig> =>
    Layer.succeed(MemoryLogConfig, { ...MemoryLogConfig.defaults, ...config })
}

interface Segment {
  readonly first: number
  next: number
  bytes: number
  /** When its oldest and its newest records were appended. */
  readonly oldestMs: number
  newestMs: number
  readonly runs: Array<RecordRun>
  /** Offset of the first record of each run, and when it was appended. */
  readonly firsts: Array<number>
  readonly appendedMs: Array<number>
}

const emptySegment = (first: number, nowMs: number): Segment => ({
  first,
  next: first,
  bytes: 0,
  oldestMs: nowMs,
  newestMs: nowMs,
  runs: [],
  firsts: [],
  appendedMs: []
})

const make = Effect.gen(function* () {
  const { segmentBytes, segmentMs } = yield* MemoryLogConfig
  let segments: Array<Segment> = [emptySegment(0, yield* Clock.currentTimeMillis)]

  const active = (): Segment => segments[segments.length - 1]!

  const bounds = (): LogBounds => ({
    oldest: offsetOf(segments[0]!.first),
    next: offsetOf(active().next),
    bytes: segments.reduce((bytes, segment) => bytes + segment.bytes, 0),
    segments: segments
      .filter((segment) => segment.next > segment.first)
      .map(({ next, bytes, newestMs }) => ({ next: offsetOf(next), bytes, newestMs }))
  })

  /** The segment that takes the next run, which is a new one where the active one is full or old. */
  const segmentFor = (nowMs: number): Segment => {
    const last = active()
    if (last.next === last.first && last.oldestMs !== nowMs) {
      segments[segments.length - 1] = emptySegment(last.first, nowMs)
    } else if (last.bytes >= segmentBytes || (last.bytes > 0 && nowMs - last.oldestMs >= segmentMs)) {
      segments.push(emptySegment(last.next, nowMs))
    }
    return active()
  }

  let appends = 0
  let appendedBytes = 0

  const append = (runs: ReadonlyArray<RecordRun>, nowMs: number): void => {
    if (runs.length > 0) appends++
    for (const run of runs) {
      const segment = segmentFor(nowMs)
      segment.newestMs = nowMs
      segment.runs.push(run)
      segment.firsts.push(segment.next)
      segment.appendedMs.push(nowMs)
      segment.next += run.payloads.length
      const bytes = runBytes(run)
      segment.bytes += bytes
      appendedBytes += bytes
    }
  }

  const read = (from: Offset, limits: ReadLimits): LogSlice => {
    const firstOffset = offsetOf(Math.max(from, segments[0]!.first))
    const runs: Array<RecordRun> = []
    let records = 0
    let bytes = 0
    let inSegment = lastAtOrBelow(
      segments.map((segment) => segment.first),
      firstOffset
    )
    let inRuns = lastAtOrBelow(segments[inSegment]!.firsts, firstOffset)
    while (inSegment < segments.length) {
      const { runs: stored, firsts } = segments[inSegment]!
      const run = stored[inRuns]
      if (run === undefined) {
        inSegment++
        inRuns = 0
        continue
      }
      const start = Math.max(0, firstOffset - firsts[inRuns]!)
      const fits = fitting(run, start, limits, records, bytes)
      if (fits.count > 0) runs.push(sliceRun(run, start, start + fits.count))
      records += fits.count
      bytes += fits.bytes
      if (start + fits.count < run.payloads.length) break
      inRuns++
    }
    return { firstOffset, runs }
  }

  const dropBefore = (offset: Offset): LogBounds => {
    const { next, newestMs } = active()
    const kept = segments.filter((segment) => segment.next > offset)
    segments = kept.length > 0 ? kept : [emptySegment(next, newestMs)]
    return bounds()
  }

  const offsetAt = (atMs: number): Offset => {
    for (const segment of segments) {
      if (segment.newestMs < atMs) continue
      const index = segment.appendedMs.findIndex((appendedMs) => appendedMs >= atMs)
      if (index !== -1) return offsetOf(segment.firsts[index]!)
    }
    return offsetOf(active().next)
  }

  return OffsetLog.of({
    logId: LogId.make(crypto.randomUUID()),
    append: (runs) => Effect.map(Clock.currentTimeMillis, (nowMs) => append(runs, nowMs)),
    read: (from, limits) => Effect.sync(() => read(from, limits)),
    dropBefore: (offset) => Effect.sync(() => dropBefore(offset)),
    readableEnd: () => offsetOf(active().next),
    // An append returns when its records may be read.
    onReadable: () => Effect.void,
    offsetAt: (atMs) => Effect.sync(() => offsetAt(atMs)),
    sync: Effect.void,
    bounds: Effect.sync(bounds),
    stats: Effect.sync(() => ({ problem: null, appends, appendedBytes, syncs: 0, recovery: null }))
  })
})

/** A log that lives as long as this layer. */
export const layerMemory: Layer.Layer<OffsetLog, never, MemoryLogConfig> = Layer.effect(OffsetLog, make)
