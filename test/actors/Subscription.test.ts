/** What a Subscription decides, as stories. */
import { describe, it } from "@effect/vitest"
import { type SubscriptionInput, subscriptionStepper } from "../../src/actors/Subscription.ts"
import { offsetOf } from "../../src/protocol/Log.ts"
import { Story } from "./Story.ts"

const subscription = (start: number, end: number, limits: Partial<SubscriptionInput> = {}) =>
  new Story(
    subscriptionStepper,
    subscriptionStepper.initial({
      start: offsetOf(start),
      end: offsetOf(end),
      creditMessages: 10,
      creditBytes: 1_000,
      deliveryMessagesMax: 4,
      deliveryBytesMax: 400,
      ...limits
    })
  )

const deliver = (from: number, messagesMax: number, bytesMax: number) => ({
  type: "deliver" as const,
  params: { from: offsetOf(from), messagesMax, bytesMax }
})
const delivered = (from: number, to: number, bytes: number) => ({
  type: "RangeDelivered" as const,
  from: offsetOf(from),
  to: offsetOf(to),
  bytes
})
const grew = (end: number) => ({ type: "LogGrew" as const, end: offsetOf(end) })
const acknowledge = (below: number) => ({ type: "Acknowledge" as const, replyTo: 7, below: offsetOf(below) })
const allow = (offset: number) => ({
  type: "allowCommit" as const,
  params: { replyTo: 7, offset: offsetOf(offset) }
})

describe("a subscription", () => {
  it("delivers from its start to the end of the log, a delivery at a time, and again when the log has grown", () => {
    subscription(2, 7)
      .then(deliver(2, 4, 400))
      .when(delivered(2, 6, 40))
      .then(deliver(6, 4, 400))
      .when(delivered(6, 7, 10))
      .then()
      .when(grew(9))
      .then(deliver(7, 4, 400))
  })

  it("delivers nothing where it is at the end", () => {
    subscription(3, 3).then()
  })

  it("waits for credit in messages, and goes on with what is acknowledged", () => {
    subscription(0, 20, { creditMessages: 5 })
      .given(delivered(0, 4, 40))
      .when(delivered(4, 5, 10))
      .then()
      .when(grew(30))
      .then()
      .when(acknowledge(2))
      .then(allow(2), deliver(5, 2, 400))
  })

  it("waits for credit in bytes, and lets one message through that is larger than all of it", () => {
    subscription(0, 20, { creditBytes: 100 })
      .then(deliver(0, 4, 100))
      .when(delivered(0, 1, 5_000))
      .then()
      .when(acknowledge(0))
      .then(allow(0))
      .when(acknowledge(1))
      .then(allow(1), deliver(1, 4, 100))
  })

  it("tells the gap where what it was to deliver has been dropped, and goes on behind it", () => {
    subscription(0, 20)
      .when({ type: "RangeMissing", oldest: offsetOf(8) })
      .then({ type: "tellGap", params: { from: offsetOf(0), to: offsetOf(8) } }, deliver(8, 4, 400))
      .when(acknowledge(8))
      .then(allow(8))
  })

  it("refuses an acknowledgement of what was not delivered", () => {
    subscription(0, 20)
      .given(delivered(0, 4, 40))
      .when(acknowledge(5))
      .then({ type: "refuseAcknowledge", params: { replyTo: 7, reason: "beyond_delivered" } })
  })

  it("once closed delivers nothing and refuses every acknowledgement", () => {
    subscription(0, 20)
      .when({ type: "Close" })
      .then({ type: "endDelivery", params: undefined })
      .when(grew(30))
      .then()
      .when(delivered(0, 4, 40))
      .then()
      .when(acknowledge(0))
      .then({ type: "refuseAcknowledge", params: { replyTo: 7, reason: "subscription_ended" } })
  })
})
