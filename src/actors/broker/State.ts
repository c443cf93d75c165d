/** What a Broker knows, and what it is asked. */
import { HashMap, Option, Schema } from "effect"
import type { BatchesAppended } from "../../protocol/BrokerFact.ts"
import {
  type LogBounds,
  Offset,
  offsetOf,
  type ProducerId,
  type StartFrom,
  SubscriberId
} from "../../protocol/Log.ts"
import type { GroupHandle, Publisher, PublishRun, SessionId, Settlement } from "./Admission.ts"
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
  /** When this broker started: before, nobody could be seen. */
  readonly startedMs: number
  /** Who publishes for which producer, of those that said hello. */
  readonly publishers: HashMap.HashMap<ProducerId, Publisher>
  /** The latest session of a publisher that was forgotten, of too many; -1 before any was. */
  readonly forgottenSession: SessionId
  readonly holders: HashMap.HashMap<SubscriberId, SubscriptionKey>
  /** Publishes for which there is no room, in the order in which they came. */
  readonly waiting: ReadonlyArray<PublishRun>
  /** Since when the first of them waits; `null` while none does. */
  readonly fullSinceMs: number | null
  /** Answered when the append that is under way is a fact. */
  readonly settlements: ReadonlyArray<Settlement>
  /** The runs of which that append is. */
  readonly taken: ReadonlyArray<PublishRun>
  /** Hellos of producers of which that append has records: what they are told shows when it has ended. */
  readonly greetings: ReadonlyArray<{ readonly replyTo: number; readonly producerId: ProducerId }>
  /** The end of the log as it was last measured: what lies below is in `logBytes`. */
  readonly measuredEnd: Offset
  /** What lies below stands in a snapshot. */
  readonly savedEnd: Offset
  /** Answered when its checkpoint is a fact. */
  readonly opening: Opening | null
  readonly committing: { readonly replyTo: number; readonly offset: Offset } | null
  /** Answered when its checkpoint is forgotten. */
  readonly unsubscribing: { readonly replyTo: number } | null
  /** Answered when its checkpoint is set. */
  readonly setting: { readonly replyTo: number; readonly offset: Offset } | null
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
  /** What lies below stands in a snapshot already. */
  readonly savedEnd?: Offset
}

export type BrokerRequest =
  | { readonly type: "Publish"; readonly runs: ReadonlyArray<PublishRun> }
  /** Nobody waits for this group any more: what of it has no room yet does not come. */
  | { readonly type: "Withdraw"; readonly group: GroupHandle }
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
  | {
      readonly type: "SetCheckpoint"
      readonly replyTo: number
      readonly subscriberId: SubscriberId
      readonly to: StartFrom
    }
  | { readonly type: "LogMeasured"; readonly bounds: LogBounds }
  | { readonly type: "Appended"; readonly runs: BatchesAppended["runs"] }
  | { readonly type: "AppendFailed"; readonly problem: string }
  /** The snapshot that was to be saved is not, and nothing was dropped. */
  | { readonly type: "SaveFailed" }
  /** The facts of the last request could not be made durable. */
  | { readonly type: "JournalFailed"; readonly problem: string }
  | { readonly type: "Tick"; readonly nowMs: number }

/**
 * Whether a subscription starts at its subscriber's checkpoint: never, where there is one, or always, in which case one is
 * made where there is none.
 */
export type Resume = "never" | "if_known" | "always"

export const initialContext = ({
  policy,
  nowMs,
  bounds,
  recoverable,
  savedEnd
}: BrokerInput): BrokerContext => ({
  recoverable: recoverable ?? emptyBrokerState,
  volatile: {
    policy,
    nowMs,
    oldest: bounds.oldest,
    logBytes: bounds.bytes,
    startedMs: nowMs,
    publishers: HashMap.empty(),
    forgottenSession: -1,
    holders: HashMap.empty(),
    waiting: [],
    fullSinceMs: null,
    settlements: [],
    taken: [],
    greetings: [],
    measuredEnd: bounds.next,
    savedEnd: savedEnd ?? offsetOf(0),
    opening: null,
    committing: null,
    unsubscribing: null,
    setting: null
  }
})

/** Whether a subscription is still the one of its subscriber. */
export const holds = ({ holders }: Volatile, { subscriberId, subscription }: Holding): boolean =>
  Option.contains(HashMap.get(holders, subscriberId), subscription)
