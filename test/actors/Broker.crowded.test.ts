/** What a Broker decides where as many subscribers as there may be have a checkpoint. */
import { describe, expect, it } from "@effect/vitest"
import { checkpointsMax } from "../../src/protocol/Limits.ts"
import { offsetOf, SubscriberId } from "../../src/protocol/Log.ts"
import { appended, broker, collector, committed, startMs, tick, ttlMs } from "./BrokerStory.ts"

const others = Array.from({ length: checkpointsMax }, (_, n) => SubscriberId.make(`subscriber-${n}`))

/** All of them were there lately, but for one. */
const crowded = (seenMs = startMs) =>
  broker().given(
    ...others.map((subscriberId, n) => ({
      type: "OffsetCommitted" as const,
      subscriberId,
      offset: offsetOf(0),
      atMs: n === 6 ? seenMs : startMs + 1
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

describe("a subscriber that needs a checkpoint where there are as many as there may be", () => {
  it("takes the place of the one that was away for longest, once that holds nothing back", () => {
    crowded()
      .given(tick(ttlMs - 1))
      .when(subscribe)
      .then({ type: "refuseSubscribe", params: { replyTo: 1, reason: "too_many_checkpoints" } })
    expect(crowded().given(tick(ttlMs)).commandsOf(subscribe)[0]).toMatchObject({
      params: { fact: { subscriberIds: [others[6]] } }
    })
  })

  it("takes that place with its first commit too", () => {
    crowded()
      .given(appended(0, 2), { ...subscribe, resume: "never" }, tick(ttlMs))
      .when({
        type: "Commit",
        replyTo: 2,
        subscription: 1,
        subscriberId: collector,
        offset: offsetOf(1)
      })
      .then(
        { type: "record", params: { fact: { type: "CheckpointsForgotten", subscriberIds: [others[6]!] } } },
        { type: "tellForgotten", params: { subscriberIds: [others[6]!] } },
        { type: "record", params: { fact: committed(1, startMs + ttlMs) } }
      )
  })

  it("needs none where it has one already", () => {
    const holding = { subscription: 1, subscriberId: others[0]! }
    crowded()
      .given(appended(0, 2), { ...subscribe, ...holding })
      .when({ type: "Commit", replyTo: 2, ...holding, offset: offsetOf(1) })
      .then({
        type: "record",
        params: {
          fact: {
            type: "OffsetCommitted",
            subscriberId: others[0]!,
            offset: offsetOf(1),
            atMs: startMs
          }
        }
      })
  })
})
