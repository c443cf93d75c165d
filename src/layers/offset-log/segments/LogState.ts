/** What of a log its parts share: the segments, the latest appends, who listens, and figures. */
import { Effect } from "effect"
import { type LogBounds, type Offset, offsetOf } from "../../../protocol/Log.ts"
import type { RecordRun } from "../../OffsetLog.ts"
import type { BatchHeader, LogIdentity } from "./format.ts"
import type { Segment } from "./Segment.ts"
import { TailCache } from "./TailCache.ts"

export interface LogSettings {
  readonly segmentBytes: number
  readonly segmentMs: number
  readonly fsync: "always" | "interval" | "never"
  readonly cacheBytes: number
}

export class LogState {
  readonly directory: string
  readonly identity: LogIdentity
  readonly config: LogSettings
  readonly cache: TailCache
  /** In order; the last one is active. Another list whenever one is begun, replaced or dropped. */
  segments: ReadonlyArray<Segment>
  readonly listeners = new Set<(end: Offset) => void>()
  /** Open while something waits to be synced. */
  readonly isDirty = Effect.unsafeMakeLatch(false)
  problem: string | null = null
  appends = 0
  appendedBytes = 0
  syncs = 0

  constructor(
    directory: string,
    config: LogSettings,
    { identity, segments }: { readonly identity: LogIdentity; readonly segments: ReadonlyArray<Segment> }
  ) {
    this.directory = directory
    this.config = config
    this.identity = identity
    this.segments = segments
    this.cache = new TailCache(config.cacheBytes)
  }

  get active(): Segment {
    return this.segments[this.segments.length - 1]!
  }

  get readableEnd(): Offset {
    return offsetOf(this.active.committed.next)
  }

  get oldest(): number {
    return (this.segments.find(({ end }) => end.records > 0) ?? this.active).firstOffset
  }

  /** Goes on with a segment, in place of one that begins where it does. */
  begin(segment: Segment): void {
    this.segments = [...this.segments.filter(({ base }) => base < segment.base), segment]
  }

  took(runs: ReadonlyArray<RecordRun>, { firstOffset, records, countedBytes }: BatchHeader): void {
    this.appends++
    this.appendedBytes += countedBytes
    this.cache.add(firstOffset, { runs, next: firstOffset + records, bytes: countedBytes })
  }

  /** Takes out the closed segments that lie wholly below an offset. */
  dropBefore(offset: number): ReadonlyArray<Segment> {
    const kept = this.segments.findIndex(
      (segment) => segment.end.next > offset || segment === this.segments.at(-1)
    )
    const dropped = this.segments.slice(0, kept)
    this.segments = this.segments.slice(kept)
    this.cache.dropBefore(this.oldest)
    return dropped
  }

  tellReadable(): void {
    for (const listener of this.listeners) listener(this.readableEnd)
  }

  get bounds(): LogBounds {
    const held = this.segments.filter(({ end }) => end.records > 0)
    return {
      oldest: offsetOf(this.oldest),
      next: offsetOf(this.active.end.next),
      bytes: held.reduce((bytes, { end }) => bytes + end.bytes, 0),
      segments: held.map(({ end: { next, bytes, newestMs } }) => ({ next: offsetOf(next), bytes, newestMs }))
    }
  }
}
