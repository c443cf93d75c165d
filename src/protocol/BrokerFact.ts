/**
 * What can happen to a broker that has to survive a crash.
 *
 * `BatchesAppended` is journalled by the append itself: the header of every record in the log carries what it says. The
 * others stand in the broker's journal.
 */
import { Schema } from "effect"
import { Offset, Run, SubscriberId } from "./Log.ts"

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
  offset: Offset
})

/** A subscriber's work is done below `offset`. */
export const OffsetCommitted = Schema.Struct({
  type: Schema.Literal("OffsetCommitted"),
  subscriberId: SubscriberId,
  offset: Offset
})

/** The facts that stand in the broker's journal. */
export const JournalledBrokerFact = Schema.Union(SubscriptionOpened, OffsetCommitted)
export type JournalledBrokerFact = typeof JournalledBrokerFact.Type

export const BrokerFact = Schema.Union(BatchesAppended, SubscriptionOpened, OffsetCommitted)
export type BrokerFact = typeof BrokerFact.Type
