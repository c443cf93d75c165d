/** A subscription over any history. It has no facts; what it promises is where and how far it delivers. */
import { describe, expect, it } from "@effect/vitest"
import { SubscriptionWorld, subscriptionHistory } from "./worlds/subscription.ts"

describe("the Subscription, over any history,", () => {
  it.prop(
    "has nothing to recover, delivers each message once and in order but for gaps it tells, within its credit",
    { history: subscriptionHistory },
    ({ history }) => {
      const { play } = new SubscriptionWorld(history).run(history.ops)
      expect(play.facts).toEqual([])
      expect(play.snapshot.context.recoverable).toBeNull()
    },
    { fastCheck: { numRuns: 200 } }
  )

  it.prop(
    "delivers to the end of the log as long as the subscriber acknowledges",
    { history: subscriptionHistory },
    ({ history }) => {
      expect(new SubscriptionWorld(history).run(history.ops).settle().missing).toBe(0)
    },
    { fastCheck: { numRuns: 200 } }
  )
})
