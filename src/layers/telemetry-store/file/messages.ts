/**
 * What the store and its database threads say to each other.
 *
 * Samples travel as columns, which are moved and not copied, and a series as a number that both sides know: only the first
 * message that has one tells which series it is.
 */
import type { TimeNs } from "../../../protocol/Time.ts"
import type { GpuFilter, SampleFilter, SampleOrder, WindowQuery } from "../../TelemetryStore.ts"

/** What a thread is started for. */
export interface ThreadOptions {
  readonly role: "writer" | "reader"
  readonly directory: string
}

/** A series, as its `seriesKey`, and the number that stands for it. */
export type NumberedSeries = readonly [number: number, key: string]

/** Samples as columns: the i-th of each is of the i-th sample. */
export interface Columns {
  readonly series: Int32Array
  readonly times: BigInt64Array
  readonly values: Float64Array
  /** Series whose numbers were not told before. */
  readonly newSeries: ReadonlyArray<NumberedSeries>
  /** Numbers told before this message stand for nothing any more. */
  readonly isForgetful: boolean
}

/** The memory of columns, which a message with them moves to the other side. */
export const buffersOf = ({ series, times, values }: Columns): Array<ArrayBuffer> =>
  [series, times, values].map(({ buffer }) => buffer as ArrayBuffer)

/** Where a page begins; a series is its `seriesKey`. */
export type PageStart =
  | { readonly offset: number }
  | { readonly after: { readonly series: string; readonly timeNs: TimeNs } }

/** Each request and what is answered. Nothing before `oldestNs` is retained. */
export interface Requests {
  readonly write: { request: { columns: Columns }; answer: undefined }
  /** Answered by a thread that can reach the file. */
  readonly ping: { request: undefined; answer: undefined }
  /** Deletes a bounded number of what is too old; whether more is left. */
  readonly expire: { request: { oldestNs: TimeNs }; answer: boolean }
  readonly page: {
    request: { oldestNs: TimeNs; filter: SampleFilter; order: SampleOrder; limit: number; start: PageStart }
    answer: Columns
  }
  readonly newest: { request: { oldestNs: TimeNs; filter: SampleFilter }; answer: TimeNs | undefined }
  readonly windows: {
    request: { oldestNs: TimeNs; query: WindowQuery; samplesMax: number }
    answer: WindowSlice
  }
  readonly gpus: {
    request: { oldestNs: TimeNs; filter: GpuFilter & { readonly uuid?: string } }
    answer: GpuColumns
  }
  readonly metricNames: {
    request: { oldestNs: TimeNs; uuid: string | undefined }
    answer: ReadonlyArray<string>
  }
  readonly stats: { request: { oldestNs: TimeNs }; answer: StatsRow }
}

/** Some of a query's windows, as columns, and where the rest of its range is. */
export interface WindowSlice {
  /** Metrics and groups that values are of. */
  readonly names: ReadonlyArray<readonly [metricName: string, group: string]>
  /** Starts of windows, each with how many values it has. */
  readonly windows: ReadonlyArray<readonly [startNs: TimeNs, valueCount: number]>
  /** Of each value, the index of its names. */
  readonly named: Int32Array
  readonly values: Float64Array
  readonly rest: { readonly startNs: TimeNs; readonly endNs: TimeNs } | undefined
}

/** GPUs: the series of the newest sample of each, the time of its oldest sample, and that of its newest. */
export interface GpuColumns extends Columns {
  readonly lastSeen: BigInt64Array
}

/** Figures at one moment. */
export interface StatsRow {
  readonly gpus: number
  readonly samples: number
  /** Ever thrown out of this file. */
  readonly evicted: number
  readonly oldestNs: TimeNs | undefined
  readonly newestNs: TimeNs | undefined
}

export type RequestKind = keyof Requests

export type RequestMessage = {
  readonly [Kind in RequestKind]: {
    readonly id: number
    readonly kind: Kind
    readonly request: Requests[Kind]["request"]
  }
}[RequestKind]

/** Said to a thread that is to close what it has open and end. */
export const closeMessage = "close"

export type ReplyMessage =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly problem: string }

/** The first thing that a thread says. */
export type StartMessage = { readonly opened: true } | { readonly problem: string }
