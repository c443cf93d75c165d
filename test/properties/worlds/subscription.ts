/** A world for the Subscription machine: a log that grows and is dropped from, and a subscriber that acknowledges as it likes. */
import { FastCheck } from "effect"
import { expect } from "vitest"
import {
  type SubscriptionRequest,
  type SubscriptionSnapshot,
  subscriptionStepper
} from "../../../src/actors/Subscription.ts"
import { offsetOf } from "../../../src/protocol/Log.ts"
import { Play } from "./Play.ts"

export const subscriptionHistory = FastCheck.record({
  limits: FastCheck.record({
    creditMessages: FastCheck.integer({ min: 1, max: 200 }),
    creditBytes: FastCheck.constantFrom(1, 500, 100_000),
    deliveryMessagesMax: FastCheck.integer({ min: 1, max: 50 }),
    deliveryBytesMax: FastCheck.constantFrom(1, 300, 100_000)
  }),
  start: FastCheck.nat(5),
  ops: FastCheck.array(
    FastCheck.oneof(
      FastCheck.record({
        op: FastCheck.constant("grow" as const),
        sizes: FastCheck.array(FastCheck.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 80 })
      }),
      FastCheck.record({
        op: FastCheck.constant("acknowledge" as const),
        share: FastCheck.double({ min: 0, max: 1.2, noNaN: true })
      }),
      FastCheck.record({
        op: FastCheck.constant("drop" as const),
        share: FastCheck.double({ min: 0, max: 1, noNaN: true })
      })
    ),
    { maxLength: 30, size: "max" }
  )
})
type History = typeof subscriptionHistory extends FastCheck.Arbitrary<infer A> ? A : never

type SubscriptionCommand = ReturnType<typeof subscriptionStepper.initial>[1][number]

export class SubscriptionWorld {
  readonly play: Play<SubscriptionSnapshot, SubscriptionRequest, SubscriptionCommand>
  private readonly sizes: Array<number>
  private oldest = 0
  /** Next to deliver as the subscriber knows it: what came so far, gaps included. */
  private delivered: number
  private acknowledged: number
  private nextReply = 0

  constructor(private readonly history: Pick<History, "limits" | "start">) {
    this.sizes = Array.from({ length: history.start }, () => 1)
    this.delivered = this.acknowledged = history.start
    const start = offsetOf(history.start)
    this.play = new Play({
      stepper: subscriptionStepper,
      initial: subscriptionStepper.initial({ start, end: start, ...history.limits }),
      isFact: () => false,
      handle: (command) => this.handle(command)
    }).start()
  }

  run(ops: History["ops"]): this {
    for (const op of ops) {
      switch (op.op) {
        case "grow":
          this.sizes.push(...op.sizes)
          this.play.request({ type: "LogGrew", end: offsetOf(this.sizes.length) })
          break
        case "drop":
          this.oldest = Math.max(this.oldest, Math.floor(this.sizes.length * op.share))
          break
        case "acknowledge":
          this.acknowledge(Math.floor(this.delivered * op.share))
      }
      this.checkProgress()
    }
    return this
  }

  acknowledge(below: number): void {
    const replyTo = this.nextReply++
    if (below <= this.delivered) this.acknowledged = Math.max(this.acknowledged, below)
    this.play.request({ type: "Acknowledge", replyTo, below: offsetOf(below) })
  }

  /** Acknowledges all that comes until nothing more does. */
  settle(): this {
    while (this.acknowledged < this.delivered) this.acknowledge(this.delivered)
    return this
  }

  get missing(): number {
    return this.sizes.length - this.delivered
  }

  /** Where everything is acknowledged, there is credit; where there is credit, nothing is left to deliver. */
  private checkProgress(): void {
    if (this.acknowledged === this.delivered) expect(this.missing).toBe(0)
  }

  private unackedBytes(): number {
    return this.sizes
      .slice(Math.max(this.oldest, this.acknowledged), this.delivered)
      .reduce((a, b) => a + b, 0)
  }

  private handle(command: SubscriptionCommand): ReadonlyArray<SubscriptionRequest> {
    switch (command.type) {
      case "deliver":
        return [this.deliver(command.params)]
      case "tellGap":
        expect(command.params.from).toBe(this.delivered)
        this.delivered = command.params.to
        return []
      case "allowCommit":
        expect(command.params.offset).toBeLessThanOrEqual(this.delivered)
        return []
      case "refuseAcknowledge":
        expect(command.params.reason).toBe("beyond_delivered")
        return []
      case "endDelivery":
        return []
    }
  }

  private deliver({
    from,
    messagesMax,
    bytesMax
  }: Extract<SubscriptionCommand, { type: "deliver" }>["params"]): SubscriptionRequest {
    const { creditMessages, creditBytes } = this.history.limits
    expect(from, "deliveries follow each other").toBe(this.delivered)
    expect(this.unackedBytes(), "nothing is delivered beyond the credit").toBeLessThan(creditBytes)
    if (this.oldest > from) return { type: "RangeMissing", oldest: offsetOf(this.oldest) }
    let bytes = 0
    let to: number = from
    while (to < this.sizes.length && to - from < messagesMax) {
      if (to > from && bytes + this.sizes[to]! > bytesMax) break
      bytes += this.sizes[to++]!
    }
    expect(to).toBeGreaterThan(from)
    this.delivered = to
    expect(to - Math.max(this.acknowledged, this.oldest)).toBeLessThanOrEqual(creditMessages)
    return { type: "RangeDelivered", from, to: offsetOf(to), bytes }
  }
}
