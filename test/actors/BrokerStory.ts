/** What stories of the Broker are told with. */
import { brokerStepper } from "../../src/actors/Broker.ts"
import type { PublishOutcome, PublishRun } from "../../src/actors/broker/Admission.ts"
import type { BrokerPolicy } from "../../src/actors/broker/State.ts"
import type { BrokerFact } from "../../src/protocol/BrokerFact.ts"
import {
  type LogBounds,
  type LogSegment,
  offsetOf,
  type PlacedRun,
  ProducerId,
  type SourcePosition,
  SubscriberId,
  sequenceOf
} from "../../src/protocol/Log.ts"
import { Story } from "./Story.ts"

export const streamer = ProducerId.make("streamer")
export const collector = SubscriberId.make("collector")
const emptyLog: LogBounds = { oldest: offsetOf(0), next: offsetOf(0), bytes: 0, segments: [] }

export const startMs = 1_000_000
export const ttlMs = 500_000

export const broker = (policy: Partial<BrokerPolicy> = {}) =>
  new Story(
    brokerStepper,
    brokerStepper.initial({
      policy: {
        retentionBytes: 1_000,
        retentionMs: null,
        whenFull: "block",
        subscriberTtlMs: ttlMs,
        ...policy
      },
      nowMs: startMs,
      bounds: emptyLog
    })
  )
export const tick = (afterMs: number) => ({ type: "Tick" as const, nowMs: startMs + afterMs })

export const group = { name: "group" }
export const run = (count: number, more: Partial<PublishRun> = {}): PublishRun => ({
  group,
  index: 0,
  session: 1,
  count,
  bytes: 10 * count,
  producer: null,
  whenFull: "wait",
  ...more
})
export const numbered = (firstSequence: number, count: number, more: Partial<PublishRun> = {}) =>
  run(count, { producer: { id: streamer, firstSequence }, ...more })
export const publish = (...runs: ReadonlyArray<PublishRun>) => ({ type: "Publish" as const, runs })

export const appended = (firstOffset: number, count: number, firstSequence?: number): BrokerFact => ({
  type: "BatchesAppended",
  runs: [
    {
      firstOffset: offsetOf(firstOffset),
      count,
      bytes: 10 * count,
      producer:
        firstSequence === undefined
          ? null
          : {
              id: streamer,
              firstSequence: sequenceOf(firstSequence),
              lastPosition: `row ${firstSequence + count - 1}` as SourcePosition
            }
    }
  ]
})
export const committed = (offset: number, atMs = startMs): BrokerFact => ({
  type: "OffsetCommitted",
  subscriberId: collector,
  offset: offsetOf(offset),
  atMs
})

/** Records that were in the log already, or were not, and the offset of the first of them. */
export const duplicates = (count: number, firstOffset: number | null): PlacedRun => ({
  count,
  firstOffset: firstOffset === null ? null : offsetOf(firstOffset),
  isDuplicate: true
})
export const fresh = (count: number, firstOffset: number): PlacedRun => ({
  count,
  firstOffset: offsetOf(firstOffset),
  isDuplicate: false
})
export const accepted = (...placed: ReadonlyArray<PlacedRun>): PublishOutcome => ({
  _tag: "Accepted",
  placed
})
export const settle = (...outcomes: ReadonlyArray<PublishOutcome>) => ({
  type: "settlePublishes" as const,
  params: { settlements: outcomes.map((outcome, index) => ({ group, index, outcome })) }
})
export const append = (firstOffset: number, skip = 0, index = 0) => ({
  type: "appendBatches" as const,
  params: { takes: [{ group, index, skip, firstOffset: offsetOf(firstOffset) }] }
})
export const wake = (end: number) => ({ type: "wakeSubscriptions" as const, params: { end: offsetOf(end) } })
export const measure = { type: "measureLog" as const, params: undefined }

export const opened = (offset: number): BrokerFact => ({
  type: "SubscriptionOpened",
  subscriberId: collector,
  offset: offsetOf(offset),
  atMs: startMs
})
/** A log of so many records and bytes in each segment, and when its newest record was appended. */
export const logOf = (...segments: ReadonlyArray<LogSegment>): LogBounds => ({
  oldest: offsetOf(0),
  next: segments[segments.length - 1]!.next,
  bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
  segments
})
export const segment = (next: number, bytes: number, newestMs: number): LogSegment => ({
  next: offsetOf(next),
  bytes,
  newestMs
})
