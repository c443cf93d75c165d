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
      ackedRangesMax: 10,
      refusedMax: 10,
      redeliveriesMax: 1,
      redeliveryDelayMs: 1_000,
      ...limits
    })
  )

const deliver = (from: number, messagesMax: number, bytesMax: number) => ({
  type: "deliver" as const,
  params: { from: offsetOf(from), messagesMax, bytesMax }
})
const delivered = (from: number, to: number, bytes: number, hasBacklog = false) => ({
  type: "RangeDelivered" as const,
  from: offsetOf(from),
  to: offsetOf(to),
  bytes,
  hasBacklog
})
const grew = (end: number) => ({ type: "LogGrew" as const, end: offsetOf(end) })
const acknowledgeBelow = (below: number) => ({
  type: "AcknowledgeBelow" as const,
  replyTo: 7,
  below: offsetOf(below)
})
const acknowledge = (...offsets: ReadonlyArray<number>) => ({
  type: "Acknowledge" as const,
  replyTo: 7,
  offsets: offsets.map(offsetOf)
})
const refuse = (offset: number, nowMs = 0) => ({
  type: "Refuse" as const,
  replyTo: 7,
  offset: offsetOf(offset),
  nowMs
})
const fired = (nowMs: number) => ({ type: "TimerFired" as const, timer: "redeliver" as const, nowMs })
const redeliver = (offset: number) => ({ type: "redeliver" as const, params: { offset: offsetOf(offset) } })
const redelivered = (offset: number) => ({
  type: "Redelivered" as const,
  offset: offsetOf(offset),
  bytes: 10,
  hasBacklog: false
})
const arm = (delayMs: number) => ({
  type: "armTimer" as const,
  params: { timer: "redeliver" as const, delayMs }
})
const refused = (
  reason: "beyond_delivered" | "not_outstanding" | "too_many_ahead" | "subscription_ended"
) => ({
  type: "refuseAcknowledge" as const,
  params: { replyTo: 7, reason }
})
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
      .when(acknowledgeBelow(2))
      .then(allow(2), deliver(5, 2, 400))
  })

  it("waits for credit in bytes, and lets one message through that is larger than all of it", () => {
    subscription(0, 20, { creditBytes: 100 })
      .then(deliver(0, 4, 100))
      .when(delivered(0, 1, 5_000))
      .then()
      .when(acknowledgeBelow(0))
      .then(allow(0))
      .when(acknowledgeBelow(1))
      .then(allow(1), deliver(1, 4, 100))
  })

  it("waits, whatever its credit, while the subscriber has not taken what was passed on to it", () => {
    const infinite = { creditMessages: Number.POSITIVE_INFINITY, creditBytes: Number.POSITIVE_INFINITY }
    subscription(0, 20, infinite)
      .given(delivered(0, 4, 40))
      .when(delivered(4, 8, 40, true))
      .then()
      .given(refuse(0))
      .when(fired(1_000))
      .then()
      .when({ type: "BacklogTaken" })
      .then(redeliver(0))
      .when(redelivered(0))
      .then(deliver(8, 4, 400))
  })

  it("tells the gap where what it was to deliver has been dropped, and goes on behind it", () => {
    subscription(0, 20)
      .when({ type: "RangeMissing", oldest: offsetOf(8) })
      .then({ type: "tellGap", params: { from: offsetOf(0), to: offsetOf(8) } }, deliver(8, 4, 400))
      .when(acknowledgeBelow(8))
      .then(allow(8))
  })

  it("knows by a gap how far the log has grown at least, so that it goes on before it is told", () => {
    subscription(0, 4)
      .given({ type: "RangeMissing", oldest: offsetOf(8) })
      .when(grew(9))
      .then(deliver(8, 4, 400))
    subscription(0, 4)
      .when({ type: "RangeMissing", oldest: offsetOf(8) })
      .then({ type: "tellGap", params: { from: offsetOf(0), to: offsetOf(8) } })
      .when(grew(4))
      .then()
  })

  it("refuses an acknowledgement of what was not delivered", () => {
    subscription(0, 20)
      .given(delivered(0, 4, 40))
      .when(acknowledgeBelow(5))
      .then(refused("beyond_delivered"))
  })

  it("once closed delivers nothing and refuses every acknowledgement", () => {
    subscription(0, 20)
      .when({ type: "Close" })
      .then({ type: "endDelivery", params: undefined })
      .when(grew(30))
      .then()
      .when(delivered(0, 4, 40))
      .then()
      .when(acknowledgeBelow(0))
      .then(refused("subscription_ended"))
  })
})

describe("a message that is acknowledged alone", () => {
  it("moves the checkpoint once all before it are done, in whatever order that happens", () => {
    subscription(0, 4)
      .given(delivered(0, 4, 40))
      .when(acknowledge(1, 3))
      .then(allow(0))
      .when(acknowledge(0))
      .then(allow(2))
      .when(acknowledge(0, 1, 3))
      .then(allow(2))
      .when(acknowledge(2))
      .then(allow(4))
  })

  it("gives its credit back, also where those before it are out", () => {
    subscription(0, 20, { creditMessages: 4 })
      .given(delivered(0, 4, 40))
      .when(acknowledge(3, 1))
      .then(allow(0), deliver(4, 2, 400))
  })

  it("is refused where it was not delivered, or would stand apart from too many others", () => {
    subscription(0, 20, { creditMessages: 8, deliveryMessagesMax: 8, ackedRangesMax: 2 })
      .given(delivered(0, 8, 80))
      .when(acknowledge(0, 8))
      .then(refused("beyond_delivered"))
      .given(acknowledge(1), acknowledge(3))
      .when(acknowledge(5))
      .then(refused("too_many_ahead"))
      .when(acknowledge(2))
      .then(allow(0))
  })

  it("lets nothing more be delivered while too many stand apart", () => {
    subscription(0, 20, { creditMessages: 8, deliveryMessagesMax: 8, ackedRangesMax: 1 })
      .given(delivered(0, 8, 80))
      .when(acknowledge(1))
      .then(allow(0))
      .when(acknowledge(0))
      .then(allow(2), deliver(8, 2, 400))
  })
})

describe("a message that is refused", () => {
  it("comes again after a while, delays no later one, and takes no credit while it waits", () => {
    subscription(0, 20, { creditMessages: 4 })
      .given(delivered(0, 4, 40))
      .when(refuse(1))
      .then(arm(1_000), allow(0), deliver(4, 1, 400))
      .given(delivered(4, 5, 10))
      .when(acknowledge(0, 2))
      .then(allow(1), deliver(5, 2, 400))
      .given(delivered(5, 7, 20))
      .when(fired(1_000))
      .then()
      .when(acknowledge(3))
      .then(allow(1), redeliver(1))
      .when(redelivered(1))
      .then()
      .when(acknowledge(1))
      .then(allow(4), deliver(7, 1, 400))
  })

  it("is quarantined where it is refused too often, and then counts as done", () => {
    subscription(0, 4)
      .given(delivered(0, 4, 40), refuse(0))
      .when(fired(1_000))
      .then(redeliver(0))
      .given(redelivered(0))
      .when(refuse(0))
      .then({ type: "quarantine", params: { offset: offsetOf(0), deliveries: 2 } }, allow(1))
      .when(refuse(0))
      .then(refused("not_outstanding"))
  })

  it("waits for its own time", () => {
    subscription(0, 4)
      .given(delivered(0, 4, 40), refuse(2))
      .when(refuse(1, 400))
      .then(allow(0))
      .when(refuse(1, 500))
      .then(refused("not_outstanding"))
      .when(fired(1_000))
      .then(arm(400), redeliver(2))
      .given(redelivered(2))
      .when(fired(1_400))
      .then(redeliver(1))
  })

  it("is told as a gap where the log has dropped it meanwhile, and counts as done", () => {
    subscription(0, 4)
      .given(delivered(0, 4, 40), refuse(0), fired(1_000))
      .when({ type: "RedeliveryMissing", offset: offsetOf(0) })
      .then({ type: "tellGap", params: { from: offsetOf(0), to: offsetOf(1) } })
      .when(acknowledge(1))
      .then(allow(2))
  })

  it("is done with where everything below a later offset is", () => {
    subscription(0, 4)
      .given(delivered(0, 4, 40), refuse(1))
      .when(acknowledgeBelow(3))
      .then(allow(3))
      .when(fired(1_000))
      .then()
  })

  it("is not taken where too many are to come again already", () => {
    subscription(0, 8, { creditMessages: 8, deliveryMessagesMax: 8, refusedMax: 1 })
      .given(delivered(0, 8, 80), refuse(0))
      .when(refuse(1))
      .then(refused("too_many_ahead"))
      .when(acknowledge(0))
      .then(allow(1))
      .when(refuse(1))
      .then(arm(1_000), allow(1))
  })

  it("is not taken where it would stand apart from too many others", () => {
    subscription(0, 8, { creditMessages: 8, deliveryMessagesMax: 8, ackedRangesMax: 1 })
      .given(delivered(0, 8, 80))
      .when(refuse(1))
      .then(refused("too_many_ahead"))
      .when(refuse(0))
      .then(arm(1_000), allow(0))
  })
  it("is followed by the next that is due where the log has dropped it", () => {
    subscription(0, 4)
      .given(delivered(0, 4, 40), refuse(0), refuse(1), fired(1_000))
      .when({ type: "RedeliveryMissing", offset: offsetOf(0) })
      .then({ type: "tellGap", params: { from: offsetOf(0), to: offsetOf(1) } }, redeliver(1))
  })
  it("has the timer armed for the next of several", () => {
    subscription(0, 4)
      .given(delivered(0, 4, 40), refuse(0), refuse(1, 300), refuse(2, 600))
      .when(fired(1_000))
      .then(arm(300), redeliver(0))
  })
})

describe("a delivery", () => {
  it("gives its bytes back, where it is large, without what came behind it", () => {
    subscription(0, 20, { creditMessages: 20, creditBytes: 70_000, deliveryBytesMax: 70_000 })
      .given(delivered(0, 4, 69_990))
      .when(delivered(4, 5, 10))
      .then()
      .when(acknowledgeBelow(4))
      .then(allow(4), deliver(5, 4, 69_990))
  })
  it("gives its bytes back by itself where a gap sets it apart", () => {
    subscription(0, 20, { creditBytes: 50 })
      .given(delivered(0, 4, 40), { type: "RangeMissing", oldest: offsetOf(8) })
      .when(delivered(8, 9, 10))
      .then()
      .when(acknowledgeBelow(4))
      .then(allow(4), deliver(9, 4, 40))
  })
})
