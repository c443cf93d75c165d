/** Subscribers: where a subscription starts, who holds it, checkpoints and how long they are kept. */
import { HashMap, Option } from "effect"
import { enqueueActions } from "xstate"
import { checkpointsMax } from "../../protocol/Limits.ts"
import type { Offset, StartFrom, SubscriberId } from "../../protocol/Log.ts"
import { longestAway } from "./Presence.ts"
import { handling } from "./Setup.ts"
import { type BrokerContext, holds, type Opening } from "./State.ts"

/** Where a subscription starts, and whether that is another place than the one asked for. */
const startOf = (from: StartFrom, oldest: Offset, next: Offset): Pick<Opening, "start" | "clamped"> => {
  if (from === "earliest") return { start: oldest, clamped: false }
  if (from === "latest") return { start: next, clamped: false }
  if (from < oldest) return { start: oldest, clamped: true }
  return from > next ? { start: next, clamped: true } : { start: from, clamped: false }
}

/** Room for one more checkpoint: there is, there is once this one is forgotten, or there is none. */
const roomForCheckpoint = ({ recoverable, volatile }: BrokerContext): "free" | "full" | SubscriberId =>
  HashMap.size(recoverable.checkpoints) < checkpointsMax
    ? "free"
    : Option.getOrElse(longestAway(recoverable.checkpoints, volatile), () => "full" as const)

/** What it takes to forget a checkpoint that makes room. */
const forgetting = (subscriberId: SubscriberId) =>
  [
    {
      type: "record",
      params: { fact: { type: "CheckpointsForgotten", subscriberIds: [subscriberId] } }
    },
    { type: "tellForgotten", params: { subscriberIds: [subscriberId] } }
  ] as const

export const subscribers = handling({
  on: {
    Subscribe: {
      actions: enqueueActions(({ context, event, enqueue }) => {
        const { recoverable, volatile } = context
        const { subscriberId, subscription, replyTo, resume } = event
        const checkpoint = Option.getOrUndefined(HashMap.get(recoverable.checkpoints, subscriberId))
        const opens = resume === "always" && checkpoint === undefined
        const room = opens ? roomForCheckpoint(context) : "free"
        if (room === "full") {
          enqueue({ type: "refuseSubscribe", params: { replyTo, reason: "too_many_checkpoints" } })
          return
        }
        const holder = Option.getOrUndefined(HashMap.get(volatile.holders, subscriberId))
        if (holder !== undefined)
          enqueue({ type: "endSubscription", params: { subscription: holder, reason: "lost" } })
        // A checkpoint below the oldest record is where it starts all the same: the subscription tells the gap.
        const place =
          resume !== "never" && checkpoint !== undefined
            ? { start: checkpoint.offset, clamped: false }
            : startOf(event.from, volatile.oldest, recoverable.nextOffset)
        const opening = { replyTo, subscription, subscriberId, ...place }
        const holders = HashMap.set(volatile.holders, subscriberId, subscription)
        enqueue.assign({ volatile: { ...volatile, holders, opening: opens ? opening : null } })
        if (!opens) {
          enqueue({ type: "openSubscription", params: opening })
          return
        }
        if (room !== "free") for (const command of forgetting(room)) enqueue(command)
        const { nowMs: atMs } = volatile
        enqueue({
          type: "record",
          params: { fact: { type: "SubscriptionOpened", subscriberId, offset: place.start, atMs } }
        })
      })
    },
    Leave: {
      guard: ({ context: { volatile }, event }) => holds(volatile, event),
      actions: enqueueActions(({ context: { recoverable, volatile }, event: { subscriberId }, enqueue }) => {
        enqueue.assign({
          volatile: { ...volatile, holders: HashMap.remove(volatile.holders, subscriberId) }
        })
        const { nowMs: atMs } = volatile
        const seenMs = HashMap.get(recoverable.checkpoints, subscriberId).pipe(
          Option.match({ onNone: () => atMs, onSome: (checkpoint) => checkpoint.seenMs })
        )
        if (seenMs === atMs) return
        enqueue({
          type: "record",
          params: { fact: { type: "SubscribersSeen", subscriberIds: [subscriberId], atMs } }
        })
      })
    },
    Commit: {
      actions: enqueueActions(({ context, event, enqueue }) => {
        const { recoverable, volatile } = context
        const { replyTo, subscriberId, offset } = event
        if (!holds(volatile, event)) {
          enqueue({ type: "refuseCommit", params: { replyTo, reason: "not_holder" } })
          return
        }
        const checkpoint = Option.getOrUndefined(HashMap.get(recoverable.checkpoints, subscriberId))
        if (checkpoint !== undefined && offset <= checkpoint.offset) {
          enqueue({ type: "answerCommit", params: { replyTo, offset: checkpoint.offset } })
          return
        }
        const room = checkpoint === undefined ? roomForCheckpoint(context) : "free"
        if (room === "full") {
          enqueue({ type: "refuseCommit", params: { replyTo, reason: "too_many_checkpoints" } })
          return
        }
        if (room !== "free") for (const command of forgetting(room)) enqueue(command)
        const { nowMs: atMs } = volatile
        enqueue.assign({ volatile: { ...volatile, committing: { replyTo, offset } } })
        enqueue({ type: "record", params: { fact: { type: "OffsetCommitted", subscriberId, offset, atMs } } })
      })
    },
    Unsubscribe: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
        const { replyTo, subscriberId, subscription } = event
        if (!holds(volatile, event)) {
          enqueue({ type: "refuseUnsubscribe", params: { replyTo, reason: "not_holder" } })
          return
        }
        const isKept = HashMap.has(recoverable.checkpoints, subscriberId)
        const holders = HashMap.remove(volatile.holders, subscriberId)
        enqueue.assign({ volatile: { ...volatile, holders, unsubscribing: isKept ? { replyTo } : null } })
        enqueue({ type: "endSubscription", params: { subscription, reason: "lost" } })
        if (isKept) {
          enqueue({
            type: "record",
            params: { fact: { type: "CheckpointsForgotten", subscriberIds: [subscriberId] } }
          })
        } else enqueue({ type: "answerUnsubscribe", params: { replyTo } })
      })
    },

    SetCheckpoint: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
        const { replyTo, subscriberId, to } = event
        if (!HashMap.has(recoverable.checkpoints, subscriberId)) {
          enqueue({ type: "refuseSetCheckpoint", params: { replyTo, reason: "unknown_subscriber" } })
          return
        }
        const { start: offset } = startOf(to, volatile.oldest, recoverable.nextOffset)
        const holder = Option.getOrUndefined(HashMap.get(volatile.holders, subscriberId))
        if (holder !== undefined) {
          enqueue({
            type: "endSubscription",
            params: { subscription: holder, reason: "checkpoint_set" }
          })
        }
        const holders = HashMap.remove(volatile.holders, subscriberId)
        const { nowMs: atMs } = volatile
        enqueue.assign({ volatile: { ...volatile, holders, setting: { replyTo, offset } } })
        enqueue({ type: "record", params: { fact: { type: "CheckpointSet", subscriberId, offset, atMs } } })
      })
    },

    CheckpointSet: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
        const { subscriberId, offset, atMs: seenMs } = event
        const checkpoints = HashMap.set(recoverable.checkpoints, subscriberId, { offset, seenMs })
        enqueue.assign({
          recoverable: { ...recoverable, checkpoints },
          volatile: { ...volatile, setting: null }
        })
        if (volatile.setting !== null) enqueue({ type: "answerSetCheckpoint", params: volatile.setting })
        if (volatile.waiting.length > 0) enqueue({ type: "measureLog", params: undefined })
      })
    },
    JournalFailed: {
      actions: enqueueActions(({ context: { volatile }, event: { problem }, enqueue }) => {
        const { opening, committing, unsubscribing, setting } = volatile
        const replyTos = [opening, committing, unsubscribing, setting].flatMap((asked) =>
          asked === null ? [] : [asked.replyTo]
        )
        const holders =
          opening === null ? volatile.holders : HashMap.remove(volatile.holders, opening.subscriberId)
        const nobody = { opening: null, committing: null, unsubscribing: null, setting: null }
        enqueue.assign({ volatile: { ...volatile, ...nobody, holders } })
        if (replyTos.length > 0) enqueue({ type: "failAsked", params: { replyTos, problem } })
      })
    },

    SubscriptionOpened: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
        const { subscriberId, offset, atMs: seenMs } = event
        const checkpoints = HashMap.set(recoverable.checkpoints, subscriberId, { offset, seenMs })
        enqueue.assign({
          recoverable: { ...recoverable, checkpoints },
          volatile: { ...volatile, opening: null }
        })
        if (volatile.opening !== null) enqueue({ type: "openSubscription", params: volatile.opening })
      })
    },
    OffsetCommitted: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
        const { subscriberId, offset, atMs: seenMs } = event
        const checkpoints = HashMap.set(recoverable.checkpoints, subscriberId, { offset, seenMs })
        enqueue.assign({
          recoverable: { ...recoverable, checkpoints },
          volatile: { ...volatile, committing: null }
        })
        if (volatile.committing !== null) enqueue({ type: "answerCommit", params: volatile.committing })
        if (volatile.waiting.length > 0) enqueue({ type: "measureLog", params: undefined })
      })
    },
    SubscribersSeen: {
      actions: enqueueActions(({ context: { recoverable }, event: { subscriberIds, atMs }, enqueue }) => {
        const checkpoints = HashMap.mutate(recoverable.checkpoints, (table) => {
          for (const subscriberId of subscriberIds) {
            HashMap.modify(table, subscriberId, ({ offset }) => ({ offset, seenMs: atMs }))
          }
        })
        enqueue.assign({ recoverable: { ...recoverable, checkpoints } })
      })
    },
    CheckpointsForgotten: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
        const checkpoints = HashMap.removeMany(recoverable.checkpoints, event.subscriberIds)
        enqueue.assign({
          recoverable: { ...recoverable, checkpoints },
          volatile: { ...volatile, unsubscribing: null }
        })
        if (volatile.unsubscribing === null) return
        enqueue({ type: "answerUnsubscribe", params: volatile.unsubscribing })
        if (volatile.waiting.length > 0) enqueue({ type: "measureLog", params: undefined })
      })
    }
  }
})
