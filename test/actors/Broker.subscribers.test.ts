/** What the Broker decides about subscribers and their checkpoints, as stories. */
import { describe, it } from "@effect/vitest"
import { HashMap } from "effect"
import { expect } from "vitest"
import type { Resume } from "../../src/actors/broker/State.ts"
import { checkpointsMax, checkpointUnseenMsMax, seenIntervalMs } from "../../src/protocol/Limits.ts"
import { offsetOf, SubscriberId } from "../../src/protocol/Log.ts"
import {
  appended,
  broker,
  collector,
  committed,
  measure,
  opened,
  startMs,
  tick,
  ttlMs
} from "./BrokerStory.ts"

const forgotten = (...subscriberIds: readonly [SubscriberId, ...Array<SubscriberId>]) => ({
  type: "CheckpointsForgotten" as const,
  subscriberIds
})
const seen = (afterMs: number) => ({
  type: "SubscribersSeen" as const,
  subscriberIds: [collector] as const,
  atMs: startMs + afterMs
})

describe("a subscriber", () => {
  const subscribe = (subscription: number, resume: Resume = "always") => ({
    type: "Subscribe" as const,
    replyTo: subscription,
    subscription,
    subscriberId: collector,
    from: offsetOf(2),
    resume
  })
  const open = (subscription: number, start: number) => ({
    type: "openSubscription" as const,
    params: {
      replyTo: subscription,
      subscription,
      subscriberId: collector,
      start: offsetOf(start),
      clamped: false
    }
  })
  const commit = (subscription: number, offset: number) => ({
    type: "Commit" as const,
    replyTo: 9,
    subscription,
    subscriberId: collector,
    offset: offsetOf(offset)
  })

  it("that resumes gets a checkpoint where it starts, and starts at it from then on", () => {
    broker()
      .given(appended(0, 5))
      .when(subscribe(1))
      .then({ type: "record", params: { fact: opened(2) } })
      .when(opened(2))
      .then(open(1, 2))
      .given(committed(4))
      .when(subscribe(2))
      .then({ type: "endSubscription", params: { subscription: 1, reason: "lost" } }, open(2, 4))
  })

  it("that does not resume starts where it says, nearest to that what the log has", () => {
    broker()
      .given(appended(0, 5), committed(4))
      .when(subscribe(1, "never"))
      .then(open(1, 2))
      .when({ ...subscribe(1, "never"), from: offsetOf(9) })
      .then(
        { type: "endSubscription", params: { subscription: 1, reason: "lost" } },
        { type: "openSubscription", params: { ...open(1, 5).params, clamped: true } }
      )
  })

  it("that asks for the oldest by its offset gets what it asked for", () => {
    broker()
      .given(appended(0, 5))
      .when({ ...subscribe(1, "never"), from: offsetOf(0) })
      .then(open(1, 0))
  })

  it("is sent elsewhere by an operator, which ends its subscription; one without a checkpoint is not known", () => {
    const set = { type: "SetCheckpoint" as const, replyTo: 8, subscriberId: collector, to: offsetOf(1) }
    const fact = {
      type: "CheckpointSet" as const,
      subscriberId: collector,
      offset: offsetOf(1),
      atMs: startMs
    }
    broker()
      .given(appended(0, 5), subscribe(1), opened(2))
      .when(set)
      .then(
        { type: "endSubscription", params: { subscription: 1, reason: "checkpoint_set" } },
        { type: "record", params: { fact } }
      )
      .when(fact)
      .then({ type: "answerSetCheckpoint", params: { replyTo: 8, offset: offsetOf(1) } })
      .when(commit(1, 4))
      .then({ type: "refuseCommit", params: { replyTo: 9, reason: "not_holder" } })
      .when(subscribe(2))
      .then(open(2, 1))
    broker()
      .given(appended(0, 5), subscribe(1, "never"))
      .when(set)
      .then({ type: "refuseSetCheckpoint", params: { replyTo: 8, reason: "unknown_subscriber" } })
  })

  it("is told where what it asked for can't be made durable, and it has not happened", () => {
    const failed = { type: "JournalFailed" as const, problem: "no space" }
    const told = (replyTo: number) => ({
      type: "failAsked" as const,
      params: { replyTos: [replyTo], problem: "no space" }
    })
    const opening = broker().given(appended(0, 5), subscribe(1))
    opening
      .when(failed)
      .then(told(1))
      .when(commit(1, 3))
      .then({ type: "refuseCommit", params: { replyTo: 9, reason: "not_holder" } })
    const committing = broker().given(appended(0, 5), subscribe(1), opened(2), commit(1, 3))
    committing
      .when(failed)
      .then(told(9))
      .when(failed)
      .then()
      .when(commit(1, 3))
      .then({ type: "record", params: { fact: committed(3) } })
  })

  it("commits as long as it holds the subscription, and never lowers its checkpoint", () => {
    broker()
      .given(appended(0, 5), subscribe(1, "never"))
      .when(commit(1, 3))
      .then({ type: "record", params: { fact: committed(3) } })
      .when(committed(3))
      .then({ type: "answerCommit", params: { replyTo: 9, offset: offsetOf(3) } })
      .when(commit(1, 2))
      .then({ type: "answerCommit", params: { replyTo: 9, offset: offsetOf(3) } })
      .given(subscribe(2, "never"))
      .when(commit(1, 4))
      .then({ type: "refuseCommit", params: { replyTo: 9, reason: "not_holder" } })
  })

  it("starts at its checkpoint where it has one, and makes none where it has not, if it asks for that", () => {
    broker()
      .given(appended(0, 5))
      .when(subscribe(1, "if_known"))
      .then(open(1, 2))
      .given(committed(4))
      .when(subscribe(2, "if_known"))
      .then({ type: "endSubscription", params: { subscription: 1, reason: "lost" } }, open(2, 4))
  })

  it("that unsubscribes has no checkpoint any more, and its subscription ends", () => {
    const unsubscribe = (subscription: number) => ({
      type: "Unsubscribe" as const,
      replyTo: 8,
      subscription,
      subscriberId: collector
    })
    const answered = { type: "answerUnsubscribe" as const, params: { replyTo: 8 } }
    const ended = {
      type: "endSubscription" as const,
      params: { subscription: 1, reason: "lost" as const }
    }
    broker()
      .given(appended(0, 5), subscribe(1), opened(2))
      .when(unsubscribe(7))
      .then({ type: "refuseUnsubscribe", params: { replyTo: 8, reason: "not_holder" } })
      .when(unsubscribe(1))
      .then(ended, { type: "record", params: { fact: forgotten(collector) } })
      .when(forgotten(collector))
      .then(answered)
      .when(subscribe(2))
      .then({ type: "record", params: { fact: opened(2) } })
    broker().given(subscribe(1, "never")).when(unsubscribe(1)).then(ended, answered)
  })

  it("is noted to be there when it leaves, and from time to time while it stays", () => {
    const leave = { type: "Leave" as const, subscription: 1, subscriberId: collector }
    const staying = broker().given(appended(0, 5), subscribe(1), opened(2))
    staying
      .when(tick(seenIntervalMs - 1))
      .then(measure)
      .when(tick(seenIntervalMs))
      .then({ type: "record", params: { fact: seen(seenIntervalMs) } }, measure)
      .given(seen(seenIntervalMs))
      .when(tick(seenIntervalMs + 1))
      .then(measure)
      .when(leave)
      .then({ type: "record", params: { fact: seen(seenIntervalMs + 1) } })
    expect(HashMap.get(staying.snapshot.context.recoverable.checkpoints, collector)).toMatchObject({
      value: { offset: 2, seenMs: startMs + seenIntervalMs }
    })
  })

  it("that was away for a week is forgotten, and logged", () => {
    const gone = broker().given(appended(0, 5), committed(3))
    gone
      .when(tick(checkpointUnseenMsMax))
      .then(measure)
      .when(tick(checkpointUnseenMsMax + 1))
      .then(
        { type: "record", params: { fact: forgotten(collector) } },
        { type: "tellForgotten", params: { subscriberIds: [collector] } },
        measure
      )
    broker()
      .given(appended(0, 5), subscribe(1), opened(2))
      .when(tick(checkpointUnseenMsMax + 1))
      .then({ type: "record", params: { fact: seen(checkpointUnseenMsMax + 1) } }, measure)
  })
})

describe("as many checkpoints as there may be", () => {
  const others = Array.from({ length: checkpointsMax }, (_, n) => SubscriberId.make(`subscriber-${n}`))
  const crowded = () =>
    broker().given(
      ...others.map((subscriberId, n) => ({
        type: "OffsetCommitted" as const,
        subscriberId,
        offset: offsetOf(0),
        atMs: n === 6 ? startMs - 1 : startMs
      }))
    )
  const subscribe = {
    type: "Subscribe" as const,
    replyTo: 1,
    subscription: 1,
    subscriberId: collector,
    from: "earliest" as const,
    resume: "always" as const
  }
  const commit = {
    type: "Commit" as const,
    replyTo: 2,
    subscription: 1,
    subscriberId: collector,
    offset: offsetOf(1)
  }

  it("leave no room for one more while each may still come back for what it holds", () => {
    crowded()
      .when(subscribe)
      .then({ type: "refuseSubscribe", params: { replyTo: 1, reason: "too_many_checkpoints" } })
      .when({ ...subscribe, subscriberId: others[0]! })
      .then({
        type: "openSubscription",
        params: { replyTo: 1, subscription: 1, subscriberId: others[0]!, start: offsetOf(0), clamped: false }
      })
      .given(appended(0, 2), { ...subscribe, resume: "never" })
      .when(commit)
      .then({ type: "refuseCommit", params: { replyTo: 2, reason: "too_many_checkpoints" } })
  })

  it("lose the one that was away for longest, once it holds nothing back any more", () => {
    const longest = others[6]!
    crowded()
      .given(tick(ttlMs))
      .when(subscribe)
      .then(
        { type: "record", params: { fact: forgotten(longest) } },
        { type: "tellForgotten", params: { subscriberIds: [longest] } },
        {
          type: "record",
          params: {
            fact: {
              type: "SubscriptionOpened",
              subscriberId: collector,
              offset: offsetOf(0),
              atMs: startMs + ttlMs
            }
          }
        }
      )
  })
})
