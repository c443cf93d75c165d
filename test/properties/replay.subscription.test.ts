/** A subscription over any history. It has no facts; what it promises is where and how far it delivers. */
import { describe, expect, it } from "@effect/vitest"
import { SubscriptionWorld, subscriptionHistory } from "./worlds/subscription.ts"

const options = { fastCheck: { numRuns: 300 } }

describe("the Subscription, over any history,", () => {
  it.prop(
    "has nothing to recover, delivers each message once and in order but for gaps it tells, within its credit",
    { history: subscriptionHistory },
    ({ history }) => {
      // What was acknowledged in any order, refused, quarantined and missed is checked as it happens.
      const { play } = new SubscriptionWorld(history).run(history.ops)
      expect(play.facts).toEqual([])
      expect(play.snapshot.context.recoverable).toBeNull()
    },
    options
  )

  it.prop(
    "delivers to the end of the log as long as the subscriber acknowledges, and then everything is done",
    { history: subscriptionHistory },
    ({ history }) => {
      const world = new SubscriptionWorld(history).run(history.ops).settle()
      expect(world.missing).toBe(0)
      expect(world.isAllDone).toBe(true)
    },
    options
  )
})
