/** What can happen to a collector that decides what it may commit. Kept in a bounded trace; the broker has its checkpoint. */
import { Schema } from "effect"
import { Offset } from "./Log.ts"

/** The broker opened the subscription; delivery starts at `offset`. */
export const SubscriptionStarted = Schema.Struct({
  type: Schema.Literal("SubscriptionStarted"),
  offset: Offset
})

/** The store acknowledged every sample of these messages, or refused them for good and they are in quarantine. */
export const BatchPersisted = Schema.Struct({
  type: Schema.Literal("BatchPersisted"),
  from: Offset,
  to: Offset
})

/** Retention dropped these messages before they were delivered. */
export const GapNoted = Schema.Struct({ type: Schema.Literal("GapNoted"), from: Offset, to: Offset })

/** The broker made `offset` the checkpoint. */
export const CheckpointCommitted = Schema.Struct({
  type: Schema.Literal("CheckpointCommitted"),
  offset: Offset
})

export const CollectorFact = Schema.Union(SubscriptionStarted, BatchPersisted, GapNoted, CheckpointCommitted)
export type CollectorFact = typeof CollectorFact.Type
