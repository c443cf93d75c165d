/**
 * Where samples are kept and asked for.
 *
 * A sample's identity is its series and its time: writing it again replaces its value, so that a redelivery is harmless.
 * Every answer is over the global order of `compareSamples`, whatever the store stands on.
 */
import { Context, type Effect, type Option, Schema, type Stream } from "effect"
import type { Sample } from "../protocol/Sample.ts"
import { compareSeries } from "../protocol/Series.ts"
import type { TimeNs } from "../protocol/Time.ts"
import type { Aggregate, Grouping, WindowPlace } from "../protocol/Window.ts"

/** The store can't be reached or can't answer now; the same call may succeed later. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  store: Schema.String,
  problem: Schema.String,
  /** How long the store itself asked to be left alone, in milliseconds. */
  retryAfterMs: Schema.optional(Schema.Number),
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `${this.store}: ${this.problem}`
  }
}

/** The store refuses what it was given; the same write will never succeed as a whole, parts of it may. */
export class WriteRefused extends Schema.TaggedError<WriteRefused>()("WriteRefused", {
  store: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.store}: ${this.problem}`
  }
}

/** What became of the samples of a write. */
export interface WriteReport {
  /** Samples that are in the store because of this write, those that replaced an equal identity included. */
  readonly stored: number
  /** Samples, by index, that the store will not keep because they are older than its retention. */
  readonly olderThanRetention: ReadonlyArray<number>
  /** Samples, by index, that the store has no way to hold as they are, and why; the others are not held up by them. */
  readonly refused?: ReadonlyArray<{ readonly index: number; readonly problem: string }>
}

/** Which samples; an absent field does not restrict. Times are inclusive. */
export interface SampleFilter {
  readonly uuid?: string
  readonly metricName?: string
  readonly hostname?: string
  readonly gpuId?: number
  readonly startNs?: TimeNs
  readonly endNs?: TimeNs
}

export type SampleOrder = "asc" | "desc"

export interface SampleQuery extends SampleFilter {
  readonly order: SampleOrder
}

/** A slice of a query's result: `limit` samples behind the first `offset`, or behind the sample `after`. */
export interface Page {
  readonly limit: number
  readonly start: { readonly offset: number } | { readonly after: Pick<Sample, "series" | "timeNs"> }
}

/** Windows of a result: aligned to the Unix epoch, in nanoseconds, cut at the filter's start and end. */
export interface WindowQuery extends SampleQuery {
  readonly windowNs: TimeNs
  readonly aggregate: Aggregate
  readonly groupBy: Grouping
}

/**
 * The value of one metric and group in one window that holds samples of it. The order of these is by start, metric and group
 * (UTF-8), or its exact reverse.
 */
export interface WindowValue extends WindowPlace {
  readonly value: number
}

/** A GPU as its newest sample describes it, and the times of its oldest and newest retained sample. */
export interface Gpu {
  readonly uuid: string
  readonly gpuId: number | undefined
  readonly device: string
  readonly modelName: string
  readonly hostname: string
  readonly firstSeenNs: TimeNs
  readonly lastSeenNs: TimeNs
}

export interface GpuFilter {
  readonly hostname?: string
  readonly modelName?: string
}

export interface StoreStats {
  readonly gpus: number
  /** Samples stored now. */
  readonly samples: number
  /** Samples that a bound of the store has thrown out since the process started. */
  readonly evicted: number
  /** Times of the oldest and the newest sample; absent while empty. */
  readonly oldestNs?: TimeNs
  readonly newestNs?: TimeNs
}

export class TelemetryStore extends Context.Tag("telemetry/TelemetryStore")<
  TelemetryStore,
  {
    /** What it stands on, for people: `memory`. */
    readonly description: string
    /** Returns once every sample is stored or reported. A failed write may have stored some of them. */
    readonly write: (
      samples: ReadonlyArray<Sample>
    ) => Effect.Effect<WriteReport, StoreUnavailable | WriteRefused>
    readonly page: (query: SampleQuery, page: Page) => Effect.Effect<ReadonlyArray<Sample>, StoreUnavailable>
    /** The whole result in chunks, in constant memory. What is written meanwhile may or may not be in it. */
    readonly samples: (query: SampleQuery) => Stream.Stream<ReadonlyArray<Sample>, StoreUnavailable>
    /**
     * The windows of a query that hold samples, in chunks, in constant memory but for one window. Equal in every store up
     * to the rounding of a sum.
     */
    readonly windows: (query: WindowQuery) => Stream.Stream<ReadonlyArray<WindowValue>, StoreUnavailable>
    /** Ascending by uuid (UTF-8). */
    readonly gpus: (filter: GpuFilter) => Effect.Effect<ReadonlyArray<Gpu>, StoreUnavailable>
    readonly gpu: (uuid: string) => Effect.Effect<Option.Option<Gpu>, StoreUnavailable>
    /** Ascending (UTF-8); of one GPU or of all. */
    readonly metricNames: (
      uuid: Option.Option<string>
    ) => Effect.Effect<ReadonlyArray<string>, StoreUnavailable>
    readonly stats: Effect.Effect<StoreStats, StoreUnavailable>
    /** Succeeds while the store can answer. */
    readonly ready: Effect.Effect<void, StoreUnavailable>
  }
>() {}

/** The ascending global order: time, then `compareSeries`. */
export const compareSamples = (
  a: Pick<Sample, "series" | "timeNs">,
  b: Pick<Sample, "series" | "timeNs">
): number => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : compareSeries(a.series, b.series))
