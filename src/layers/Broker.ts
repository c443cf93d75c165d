/**
 * The broker, as streamers and collectors see it: publish, hello, subscribe, commit, ack, nack, stats.
 *
 * What it stands on (in this process, or a connection to another one) shows only in `BrokerUnavailable`.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { Resume } from "../actors/broker/State.ts"
import {
  type LogId,
  type Offset,
  PlacedRun,
  type ProducerId,
  type Sequence,
  type SourcePosition,
  type StartFrom,
  type SubscriberId
} from "../protocol/Log.ts"
import type { LogStats } from "./OffsetLog.ts"

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
 * - `log_full`: there is no room, and it was not to wait.
 * - `log_failed`: the log could not make it durable.
 */
export class PublishRefused extends Schema.TaggedError<PublishRefused>()("PublishRefused", {
  reason: Schema.Literal("fenced", "sequence_gap", "too_large", "log_full", "log_failed"),
  problem: Schema.String,
  /** Where the records are that came before the first refused one. */
  placed: Schema.Array(PlacedRun)
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

/** A subscriber's checkpoint can't be set: it has none. */
export class SetCheckpointRefused extends Schema.TaggedError<SetCheckpointRefused>()("SetCheckpointRefused", {
  subscriberId: Schema.String,
  reason: Schema.Literal("unknown_subscriber")
}) {
  override get message(): string {
    return `${this.subscriberId} has no checkpoint`
  }
}

/** A subscription can't be opened. */
export class SubscribeRefused extends Schema.TaggedError<SubscribeRefused>()("SubscribeRefused", {
  subscriberId: Schema.String,
  reason: Schema.Literal("too_many_checkpoints")
}) {
  override get message(): string {
    return `${this.subscriberId} can't subscribe: as many subscribers as there may be have a checkpoint`
  }
}

/**
 * The broker refuses a commit, an ack or a nack. It changed nothing.
 *
 * - `beyond_delivered`: it was not delivered to this subscription yet.
 * - `not_outstanding`: it is not with the subscriber (any more), so that it can't be refused.
 * - `too_many_ahead`: so many messages stand acknowledged ahead of one that is not that no more are remembered.
 * - `too_many_checkpoints`: the subscriber has no checkpoint, and as many as there may be have one.
 */
export class AcknowledgeRefused extends Schema.TaggedError<AcknowledgeRefused>()("AcknowledgeRefused", {
  offset: Schema.Number,
  reason: Schema.Literal("beyond_delivered", "not_outstanding", "too_many_ahead", "too_many_checkpoints")
}) {
  override get message(): string {
    return `offset ${this.offset}: ${refusals[this.reason]}`
  }
}

const refusals = {
  beyond_delivered: "was not delivered yet",
  not_outstanding: "is not with the subscriber",
  too_many_ahead: "too many messages are acknowledged ahead of one that is not",
  too_many_checkpoints: "as many subscribers as there may be have a checkpoint"
}

/** Payloads under sequences that follow each other, and the source position behind each. */
export interface NumberedPayloads {
  readonly firstSequence: Sequence
  readonly payloads: ReadonlyArray<Uint8Array>
  readonly positions: ReadonlyArray<SourcePosition | null>
  /** It waits, unless this says otherwise. */
  readonly whenFull?: WhenFull
}

export interface PublishReceipt {
  /** Leading records that were in the log already. */
  readonly duplicates: number
  /** Offset of the first record; null where it is a duplicate whose offset is no longer remembered. */
  readonly firstOffset: Offset | null
  /** Where all of them are, in their order. */
  readonly placed: ReadonlyArray<PlacedRun>
}

/** What a publish does for which the log has no room: it waits, or is refused (`log_full`). */
export type WhenFull = "wait" | "refuse"

/** Publishes payloads of one producer. Calls are appended in the order in which they are made. */
export type PublishNumbered = (
  numbered: NumberedPayloads
) => Effect.Effect<PublishReceipt, PublishRefused | BrokerUnavailable>

/** A producer's connection. The latest one for a producer is the only one that can publish for it. */
export interface ProducerSession {
  readonly logId: LogId
  /** The producer's last sequence in the log and the position it carried; null where the log does not know it. */
  readonly lastSequence: Sequence | null
  readonly lastPosition: SourcePosition | null
  /** Returns when all are in the log, as durable as it makes them. */
  readonly publish: PublishNumbered
}

/** Messages in the order of the log, or a gap: what retention dropped before this subscription read it. */
export type Delivery =
  | { readonly _tag: "Messages"; readonly firstOffset: Offset; readonly payloads: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Gap"; readonly from: Offset; readonly to: Offset }

export interface SubscribeOptions {
  readonly subscriberId: SubscriberId
  /** Where to start where there is no checkpoint to resume from. */
  readonly from: StartFrom
  /**
   * Whether it starts at the subscriber's checkpoint: never, where there is one, or always, in which case one is made at the
   * start where there is none.
   */
  readonly resume: Resume
  /** Messages that are not done, and their bytes, beyond which delivery waits. Infinite where it never does. */
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
  ) => Effect.Effect<Offset, AcknowledgeRefused | SubscriptionTakenOver | BrokerUnavailable>
  /**
   * These messages are done, in any order. Returns when the offset below which everything is done is the checkpoint, and
   * answers it. One that was done before changes nothing.
   */
  readonly ack: (
    offsets: ReadonlyArray<Offset>
  ) => Effect.Effect<Offset, AcknowledgeRefused | SubscriptionTakenOver | BrokerUnavailable>
  /**
   * This message could not be processed: it comes again after a while, without delaying later ones, some times at most;
   * then it is quarantined (`Rejects`, as `nacked`) and counts as done. Answers the checkpoint.
   */
  readonly nack: (
    offset: Offset
  ) => Effect.Effect<Offset, AcknowledgeRefused | SubscriptionTakenOver | BrokerUnavailable>
  /** Ends the subscription and forgets its subscriber's checkpoint. */
  readonly unsubscribe: Effect.Effect<void, SubscriptionTakenOver | BrokerUnavailable>
}

/** A subscription that is open. */
export interface SubscriberStats {
  readonly subscriberId: SubscriberId
  /** Next to deliver. */
  readonly currentOffset: Offset
  readonly checkpoint: Offset | null
  /** Messages that retention dropped before this subscription read them. */
  readonly messagesMissed: number
}

/** A checkpoint, whether or not its subscriber is there. */
export interface CheckpointStats {
  readonly subscriberId: SubscriberId
  readonly offset: Offset
  readonly isConnected: boolean
  /** When it was last seen, in ms since 1970. */
  readonly seenMs: number
  /**
   * For how long it still keeps the log from dropping what it has not committed: `null` where it does not (any more),
   * infinite while it is connected.
   */
  readonly holdsBackForMs: number | null
}

export interface BrokerStats {
  readonly logId: LogId
  /** What the log tells of its own work. */
  readonly log: LogStats
  readonly oldestOffset: Offset
  readonly nextOffset: Offset
  readonly logBytes: number
  /** Records for which there is no room yet. */
  readonly waitingRecords: number
  /** For how long the first of them has been waiting, by the second; `null` while none does. */
  readonly fullForMs: number | null
  readonly producers: ReadonlyArray<{ readonly producerId: ProducerId; readonly lastSequence: Sequence }>
  readonly subscribers: ReadonlyArray<SubscriberStats>
  /** In ascending order of their offsets: whoever holds the log back stands first. */
  readonly checkpoints: ReadonlyArray<CheckpointStats>
  /** What was told as gaps since the process started. */
  readonly gaps: { readonly count: number; readonly messages: number }
}

export class Broker extends Context.Tag("telemetry/Broker")<
  Broker,
  {
    /** Publishes without a producer: nothing tells a second publish of the same payload from the first. */
    readonly publish: (
      payloads: ReadonlyArray<Uint8Array>,
      whenFull?: WhenFull
    ) => Effect.Effect<PublishReceipt, PublishRefused | BrokerUnavailable>
    /** Opens a producer's session, and fences whoever had one before. It ends with the scope. */
    readonly hello: (producerId: ProducerId) => Effect.Effect<ProducerSession, BrokerUnavailable, Scope.Scope>
    /**
     * Opens a session for a producer that does not say hello: it learns nothing of what the log knows and fences nobody, and a
     * later hello fences it.
     */
    readonly join: (
      producerId: ProducerId
    ) => Effect.Effect<Pick<ProducerSession, "publish">, BrokerUnavailable, Scope.Scope>
    /** Opens a subscription until the scope closes, and takes it over from whoever has it. */
    readonly subscribe: (
      options: SubscribeOptions
    ) => Effect.Effect<Subscription, SubscribeRefused | BrokerUnavailable, Scope.Scope>
    /**
     * Sets a subscriber's checkpoint, forwards or back, to a place of the log or to what was appended from a time on (ms since
     * 1970), and answers where it is now: the nearest place that is in the log. Where it is subscribed, its deliveries end
     * with `BrokerUnavailable`, so that it subscribes again and resumes there.
     */
    readonly setCheckpoint: (
      subscriberId: SubscriberId,
      to: StartFrom | { readonly atMs: number }
    ) => Effect.Effect<Offset, SetCheckpointRefused | BrokerUnavailable>
    readonly stats: Effect.Effect<BrokerStats, BrokerUnavailable>
  }
>() {}
