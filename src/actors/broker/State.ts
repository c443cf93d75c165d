/** What a Broker knows, and what it is asked. */
import { HashMap, Option, Schema } from "effect"
import {
  type LogBounds,
  Offset,
  offsetOf,
  type ProducerId,
  type StartFrom,
  SubscriberId
} from "../../protocol/Log.ts"
import type { PublishRun, SessionId, Settlement } from "./Admission.ts"
import { Producers } from "./Producers.ts"

/** Where a subscriber's work is done, and when it was last there, in milliseconds since 1970. */
export const Checkpoint = Schema.Struct({ offset: Offset, seenMs: Schema.Int })
export type Checkpoint = typeof Checkpoint.Type

export const Checkpoints = Schema.HashMap({ key: SubscriberId, value: Checkpoint })
export type Checkpoints = typeof Checkpoints.Type

/** What facts alone change, and what a snapshot in the broker's journal holds. */
export const BrokerState = Schema.Struct({
  nextOffset: Offset,
  producers: Producers,
  checkpoints: Checkpoints
})
export type BrokerState = typeof BrokerState.Type

/** A broker to which nothing has happened. */
export const emptyBrokerState: BrokerState = {
  nextOffset: offsetOf(0),
  producers: HashMap.empty(),
  checkpoints: HashMap.empty()
}

/** A subscription that is open: one per subscriber at a time. */
export type SubscriptionKey = number

/** What an operator decides about a broker. */
export interface BrokerPolicy {
  /** The most that the log holds. */
  readonly retentionBytes: number
  /** How old a record may get; `null` where age drops nothing. */
  readonly retentionMs: number | null
  /** Whether a full log waits for those who have a checkpoint, or drops its oldest records whoever has not read them. */
  readonly whenFull: "block" | "drop_oldest"
  /** How long a subscriber that is not there keeps the log from dropping what it has not committed. */
  readonly subscriberTtlMs: number
}

/** The subscription that a subscriber holds. */
export interface Holding {
  readonly subscription: SubscriptionKey
  readonly subscriberId: SubscriberId
}

export interface Opening extends Holding {
  readonly replyTo: number
  readonly start: Offset
  /** The place that was asked for is no longer, or not yet, in the log. */
  readonly clamped: boolean
}

export interface Volatile {
  readonly policy: BrokerPolicy
  /** The time as it was last told. */
  readonly nowMs: number
  readonly oldest: Offset
  /** Size of the log: as last measured, and what was appended since. */
  readonly logBytes: number
  readonly sessions: HashMap.HashMap<ProducerId, SessionId>
  readonly holders: HashMap.HashMap<SubscriberId, SubscriptionKey>
  /** Publishes for which there is no room, in the order in which they came. */
  readonly waiting: ReadonlyArray<PublishRun>
  /** Since when the first of them waits; `null` while none does. */
  readonly fullSinceMs: number | null
  /** Answered when the append that is under way is a fact. */
  readonly settlements: ReadonlyArray<Settlement>
  /** Answered when its checkpoint is a fact. */
  readonly opening: Opening | null
  readonly committing: { readonly replyTo: number; readonly offset: Offset } | null
  /** Answered when its checkpoint is forgotten. */
  readonly unsubscribing: { readonly replyTo: number } | null
}

export interface BrokerContext {
  readonly recoverable: BrokerState
  readonly volatile: Volatile
}

export interface BrokerInput {
  readonly policy: BrokerPolicy
  readonly nowMs: number
  readonly bounds: LogBounds
  readonly recoverable?: BrokerState
}

export type BrokerRequest =
  | { readonly type: "Publish"; readonly runs: ReadonlyArray<PublishRun> }
  | {
      readonly type: "Hello"
      readonly replyTo: number
      readonly session: SessionId
      readonly producerId: ProducerId
    }
  | ({
      readonly type: "Subscribe"
      readonly replyTo: number
      readonly from: StartFrom
      readonly resume: Resume
    } & Holding)
  | ({ readonly type: "Leave" } & Holding)
  | ({ readonly type: "Commit"; readonly replyTo: number; readonly offset: Offset } & Holding)
  | ({ readonly type: "Unsubscribe"; readonly replyTo: number } & Holding)
  | { readonly type: "LogMeasured"; readonly bounds: LogBounds }
  | { readonly type: "AppendFailed"; readonly problem: string }
  | { readonly type: "Tick"; readonly nowMs: number }

/**
 * Whether a subscription starts at its subscriber's checkpoint: never, where there is one, or always, in which case one is
 * made where there is none.
 */
export type Resume = "never" | "if_known" | "always"

export const initialContext = ({ policy, nowMs, bounds, recoverable }: BrokerInput): BrokerContext => ({
  recoverable: recoverable ?? emptyBrokerState,
  volatile: {
    policy,
    nowMs,
    oldest: bounds.oldest,
    logBytes: bounds.bytes,
    sessions: HashMap.empty(),
    holders: HashMap.empty(),
    waiting: [],
    fullSinceMs: null,
    settlements: [],
    opening: null,
    committing: null,
    unsubscribing: null
  }
})

/** Whether a subscription is still the one of its subscriber. */
export const holds = ({ holders }: Volatile, { subscriberId, subscription }: Holding): boolean =>
  Option.contains(HashMap.get(holders, subscriberId), subscription)
