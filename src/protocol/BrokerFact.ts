/**
 * What can happen to a broker that has to survive a crash.
 *
 * `BatchesAppended` is journalled by the append itself: the header of every record in the log carries what it says. The
 * others stand in the broker's journal.
 */
import { Schema } from "effect"
import { Offset, Run, SubscriberId } from "./Log.ts"

/** When it happened, in milliseconds since 1970. */
const AtMs = Schema.Int

/** Records were appended, in this order, directly behind what was there. */
export const BatchesAppended = Schema.Struct({
  type: Schema.Literal("BatchesAppended"),
  runs: Schema.NonEmptyArray(Run)
})
export type BatchesAppended = typeof BatchesAppended.Type

/** A subscriber that resumes, and had no checkpoint, got one where it starts. */
export const SubscriptionOpened = Schema.Struct({
  type: Schema.Literal("SubscriptionOpened"),
  subscriberId: SubscriberId,
  offset: Offset,
  atMs: AtMs
})

/** A subscriber's work is done below `offset`. */
export const OffsetCommitted = Schema.Struct({
  type: Schema.Literal("OffsetCommitted"),
  subscriberId: SubscriberId,
  offset: Offset,
  atMs: AtMs
})

/** An operator has said that a subscriber, which has a checkpoint, goes on at `offset`, further on or back. */
export const CheckpointSet = Schema.Struct({
  type: Schema.Literal("CheckpointSet"),
  subscriberId: SubscriberId,
  offset: Offset,
  atMs: AtMs
})

/** These subscribers, which have checkpoints, were there at that time. */
export const SubscribersSeen = Schema.Struct({
  type: Schema.Literal("SubscribersSeen"),
  subscriberIds: Schema.NonEmptyArray(SubscriberId),
  atMs: AtMs
})

/** These subscribers have no checkpoint any more. */
export const CheckpointsForgotten = Schema.Struct({
  type: Schema.Literal("CheckpointsForgotten"),
  subscriberIds: Schema.NonEmptyArray(SubscriberId)
})

/** The facts that stand in the broker's journal. */
export const JournalledBrokerFact = Schema.Union(
  SubscriptionOpened,
  OffsetCommitted,
  CheckpointSet,
  SubscribersSeen,
  CheckpointsForgotten
)
export type JournalledBrokerFact = typeof JournalledBrokerFact.Type

export const BrokerFact = Schema.Union(BatchesAppended, ...JournalledBrokerFact.members)
export type BrokerFact = typeof BrokerFact.Type

const factTypes: ReadonlySet<string> = new Set(
  BrokerFact.members.map(({ fields }) => fields.type.literals[0])
)

/** Whether something that a broker stepped is a fact. */
export const isBrokerFact = (event: { readonly type: string }): event is BrokerFact =>
  factTypes.has(event.type)
