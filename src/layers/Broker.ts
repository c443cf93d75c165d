/**
 * The broker, as streamers and collectors see it: publish, hello, subscribe, commit, stats.
 *
 * What it stands on (in this process, or a connection to another one) shows only in `BrokerUnavailable`.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type {
  LogId,
  Offset,
  ProducerId,
  Sequence,
  SourcePosition,
  StartFrom,
  SubscriberId
} from "../protocol/Log.ts"

/** The broker can't be reached, or has stopped. What was asked may or may not have been done. */
export class BrokerUnavailable extends Schema.TaggedError<BrokerUnavailable>()("BrokerUnavailable", {
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `broker: ${this.problem}`
  }
}

/**
 * The broker refuses a publish. Records before the first refused one may have been appended; none behind it was.
 *
 * - `fenced`: another session said hello for this producer since; this one can publish no more.
 * - `sequence_gap`: the sequence does not follow the producer's last one.
 * - `too_large`: the record is larger than all that the log may hold.
 * - `log_failed`: the log could not make it durable.
 */
export class PublishRefused extends Schema.TaggedError<PublishRefused>()("PublishRefused", {
  reason: Schema.Literal("fenced", "sequence_gap", "too_large", "log_failed"),
  problem: Schema.String
}) {
  override get message(): string {
    return `publish refused: ${this.problem}`
  }
}

/** Somebody else subscribed under the same id. */
export class SubscriptionTakenOver extends Schema.TaggedError<SubscriptionTakenOver>()(
  "SubscriptionTakenOver",
  {
    subscriberId: Schema.String
  }
) {
  override get message(): string {
    return `another subscriber took over ${this.subscriberId}`
  }
}

/** A commit of what was never delivered to this subscription. */
export class CommitRefused extends Schema.TaggedError<CommitRefused>()("CommitRefused", {
  offset: Schema.Number
}) {
  override get message(): string {
    return `offset ${this.offset} was not delivered yet`
  }
}

/** Payloads under sequences that follow each other, and the source position behind each. */
export interface NumberedPayloads {
  readonly firstSequence: Sequence
  readonly payloads: ReadonlyArray<Uint8Array>
  readonly positions: ReadonlyArray<SourcePosition | null>
}

export interface PublishReceipt {
  /** Leading records that were in the log already. */
  readonly duplicates: number
  /** Offset of the first record; null where it is a duplicate whose offset is no longer remembered. */
  readonly firstOffset: Offset | null
}

/** A producer's connection. The latest one for a producer is the only one that can publish for it. */
export interface ProducerSession {
  readonly logId: LogId
  /** The producer's last sequence in the log and the position it carried; null where the log does not know it. */
  readonly lastSequence: Sequence | null
  readonly lastPosition: SourcePosition | null
  /**
   * Returns when all are in the log, as durable as it makes them; waits while the log is full. Calls are appended in the
   * order in which they are made.
   */
  readonly publish: (
    numbered: NumberedPayloads
  ) => Effect.Effect<PublishReceipt, PublishRefused | BrokerUnavailable>
}

/** Messages in the order of the log, or a gap: what retention dropped before this subscription read it. */
export type Delivery =
  | { readonly _tag: "Messages"; readonly firstOffset: Offset; readonly payloads: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Gap"; readonly from: Offset; readonly to: Offset }

export interface SubscribeOptions {
  readonly subscriberId: SubscriberId
  /** Where to start where there is no checkpoint to resume from. */
  readonly from: StartFrom
  /** Start at the subscriber's checkpoint, and make one at the start where there is none. */
  readonly resume: boolean
  /** Uncommitted messages, and their bytes, beyond which delivery waits. */
  readonly creditMessages: number
  readonly creditBytes: number
}

export interface Subscription {
  readonly logId: LogId
  readonly start: Offset
  /** The place that was asked for is not in the log; `start` is the nearest that is. */
  readonly clamped: boolean
  /** All that was delivered since the last call, waiting for something to be. */
  readonly deliveries: Effect.Effect<ReadonlyArray<Delivery>, SubscriptionTakenOver | BrokerUnavailable>
  /** Everything below `offset` is done: returns when that is the checkpoint. Never lowers it; answers what it is. */
  readonly commit: (
    offset: Offset
  ) => Effect.Effect<Offset, CommitRefused | SubscriptionTakenOver | BrokerUnavailable>
}

export interface BrokerStats {
  readonly logId: LogId
  readonly oldestOffset: Offset
  readonly nextOffset: Offset
  readonly logBytes: number
  /** Records for which there is no room yet. */
  readonly waitingRecords: number
  readonly producers: number
  readonly subscribers: ReadonlyArray<{
    readonly subscriberId: SubscriberId
    /** Next to deliver. */
    readonly currentOffset: Offset
    readonly checkpoint: Offset | null
  }>
}

export class Broker extends Context.Tag("telemetry/Broker")<
  Broker,
  {
    /** Publishes without a producer: nothing tells a second publish of the same payload from the first. */
    readonly publish: (
      payloads: ReadonlyArray<Uint8Array>
    ) => Effect.Effect<PublishReceipt, PublishRefused | BrokerUnavailable>
    /** Opens a producer's session, and fences whoever had one before. */
    readonly hello: (producerId: ProducerId) => Effect.Effect<ProducerSession, BrokerUnavailable>
    /** Opens a subscription until the scope closes, and takes it over from whoever has it. */
    readonly subscribe: (
      options: SubscribeOptions
    ) => Effect.Effect<Subscription, BrokerUnavailable, Scope.Scope>
    readonly stats: Effect.Effect<BrokerStats, BrokerUnavailable>
  }
>() {}
