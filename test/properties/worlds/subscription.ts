/**
 * A world for the Subscription machine: a log that grows and is dropped from, and a subscriber that acknowledges and
 * refuses as it likes. It keeps what became of every single message, which the machine does in ranges.
 */
import { FastCheck } from "effect"
import { expect } from "vitest"
import {
  type SubscriptionRequest,
  type SubscriptionSnapshot,
  subscriptionStepper
} from "../../../src/actors/Subscription.ts"
import type { SubscriptionLimits } from "../../../src/actors/subscription/State.ts"
import { type Offset, offsetOf } from "../../../src/protocol/Log.ts"
import { Play } from "./Play.ts"

const share = FastCheck.double({ min: 0, max: 1, noNaN: true })

/** Which messages of those that were delivered: shares of them, from the first that is not done on. */
const some = FastCheck.array(share, { minLength: 1, maxLength: 4 })

export const subscriptionHistory = FastCheck.record({
  limits: FastCheck.record({
    creditMessages: FastCheck.oneof(
      FastCheck.integer({ min: 1, max: 200 }),
      FastCheck.constant(Number.POSITIVE_INFINITY)
    ),
    creditBytes: FastCheck.constantFrom(1, 500, 100_000, Number.POSITIVE_INFINITY),
    deliveryMessagesMax: FastCheck.integer({ min: 1, max: 50 }),
    deliveryBytesMax: FastCheck.constantFrom(1, 300, 100_000),
    ackedRangesMax: FastCheck.constantFrom(1, 3, 10_000),
    refusedMax: FastCheck.constantFrom(1, 1_000),
    redeliveriesMax: FastCheck.nat(2),
    redeliveryDelayMs: FastCheck.constantFrom(1, 100)
  }),
  /** Bytes that the subscriber leaves untaken at most. */
  backlogBytes: FastCheck.constantFrom(1, 700, 1_000_000),
  start: FastCheck.nat(5),
  ops: FastCheck.array(
    FastCheck.oneof(
      FastCheck.record({
        op: FastCheck.constant("grow" as const),
        sizes: FastCheck.array(FastCheck.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 80 })
      }),
      FastCheck.record({
        op: FastCheck.constant("acknowledge below" as const),
        share: FastCheck.double({ min: 0, max: 1.2, noNaN: true })
      }),
      { weight: 3, arbitrary: FastCheck.record({ op: FastCheck.constant("acknowledge" as const), some }) },
      { weight: 3, arbitrary: FastCheck.record({ op: FastCheck.constant("refuse" as const), some }) },
      {
        weight: 2,
        arbitrary: FastCheck.record({ op: FastCheck.constant("wait" as const), ms: FastCheck.nat(120) })
      },
      FastCheck.record({ op: FastCheck.constant("drop" as const), share }),
      FastCheck.record({ op: FastCheck.constant("take" as const) })
    ),
    { maxLength: 40, size: "max" }
  )
})
type History = typeof subscriptionHistory extends FastCheck.Arbitrary<infer A> ? A : never

type SubscriptionCommand = ReturnType<typeof subscriptionStepper.initial>[1][number]

/** What became of a message that is no longer new. */
interface Fate {
  state: "out" | "waiting" | "done" | "gap" | "quarantined"
  deliveries: number
  refusals: number
}

export class SubscriptionWorld {
  readonly play: Play<SubscriptionSnapshot, SubscriptionRequest, SubscriptionCommand>
  private readonly sizes: Array<number>
  private readonly fates = new Map<number, Fate>()
  private readonly limits: SubscriptionLimits
  private oldest = 0
  /** Next to deliver as the subscriber knows it: what came so far, gaps included. */
  private cursor: number
  private readonly start: number
  private nextReply = 0
  private nowMs = 0
  private timerDueMs: number | undefined
  private untakenBytes = 0
  private readonly backlogBytes: number
  /** The answer to the latest acknowledgement or refusal: the offset that may be committed, or why not. */
  private answer: number | string | undefined

  constructor({ limits, start, backlogBytes }: Omit<History, "ops">) {
    this.limits = limits
    this.backlogBytes = backlogBytes
    this.sizes = Array.from({ length: start }, () => 1)
    this.start = this.cursor = start
    const at = offsetOf(start)
    this.play = new Play({
      stepper: subscriptionStepper,
      initial: subscriptionStepper.initial({ start: at, end: at, ...limits }),
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
        case "wait":
          this.wait(op.ms)
          break
        case "take":
          this.take()
          break
        case "acknowledge below":
          this.acknowledgeBelow(Math.floor(this.cursor * op.share))
          break
        case "acknowledge":
          this.acknowledge([...new Set(op.some.map((of) => this.delivered(of)))])
          break
        case "refuse":
          for (const of of op.some) this.refuse(this.delivered(of))
      }
      this.checkProgress()
    }
    return this
  }

  /** Acknowledges all that comes, however often it comes again, until nothing more does. */
  settle(): this {
    for (;;) {
      this.take()
      const out = [...this.fates].filter(([, { state }]) => state === "out").map(([offset]) => offset)
      if (out.length > 0) this.acknowledgeBelow(this.doneBelow() + 1)
      else if (this.timerDueMs !== undefined) this.wait(this.timerDueMs - this.nowMs)
      else return this
    }
  }

  /** Offsets below which all is done, as the contract says it: acknowledged, quarantined, or told as a gap. */
  doneBelow(): number {
    for (let offset = this.start; offset < this.cursor; offset++) {
      if (["out", "waiting"].includes(this.fates.get(offset)!.state)) return offset
    }
    return this.cursor
  }

  get missing(): number {
    return this.sizes.length - this.cursor
  }

  /** Whether every message of the log is done in the end. */
  get isAllDone(): boolean {
    return this.doneBelow() === this.sizes.length
  }

  private delivered(share: number): number {
    return Math.min(this.cursor, this.doneBelow() + Math.floor((this.cursor - this.doneBelow()) * share))
  }

  private ask(request: (replyTo: number) => SubscriptionRequest): number | string {
    this.answer = undefined
    this.play.request(request(this.nextReply++))
    const { answer } = this
    if (answer === undefined) throw new Error("not answered")
    return answer
  }

  private acknowledgeBelow(below: number): void {
    // What was done to it comes first: the answer may let more be delivered.
    if (below <= this.cursor) {
      for (const [offset, fate] of this.fates) {
        if (offset < below && ["out", "waiting"].includes(fate.state)) fate.state = "done"
      }
    }
    const isRefused = below > this.cursor
    const answer = this.ask((replyTo) => ({ type: "AcknowledgeBelow", replyTo, below: offsetOf(below) }))
    expect(answer).toBe(isRefused ? "beyond_delivered" : below)
  }

  private acknowledge(offsets: ReadonlyArray<number>): void {
    const isRefused = offsets.some((offset) => offset >= this.cursor)
    const before = offsets.map((offset) => this.fates.get(offset)?.state)
    const done = () => {
      for (const offset of offsets) {
        const fate = this.fates.get(offset)
        if (fate !== undefined && ["out", "waiting"].includes(fate.state)) fate.state = "done"
      }
    }
    if (!isRefused) done()
    const expected = this.doneBelow()
    const answer = this.ask((replyTo) => ({ type: "Acknowledge", replyTo, offsets: offsets.map(offsetOf) }))
    if (answer === "too_many_ahead") {
      for (const [index, offset] of offsets.entries()) {
        const fate = this.fates.get(offset)
        if (fate !== undefined) fate.state = before[index]!
      }
      expect(this.limits.ackedRangesMax).toBeLessThan(10_000)
    } else expect(answer).toBe(isRefused ? "beyond_delivered" : expected)
  }

  private refuse(offset: number): void {
    const fate = this.fates.get(offset)
    const isOut = fate?.state === "out"
    const { redeliveriesMax } = this.limits
    const refusals = fate?.refusals ?? 0
    if (isOut) {
      fate.refusals++
      fate.state = fate.refusals > redeliveriesMax ? "quarantined" : "waiting"
    }
    const expected = this.doneBelow()
    const answer = this.ask((replyTo) => ({
      type: "Refuse",
      replyTo,
      offset: offsetOf(offset),
      nowMs: this.nowMs
    }))
    if (answer === "too_many_ahead") {
      fate!.refusals = refusals
      fate!.state = "out"
      const { ackedRangesMax, refusedMax } = this.limits
      expect(Math.min(ackedRangesMax, refusedMax)).toBeLessThan(1_000)
    } else expect(answer).toBe(isOut ? expected : "not_outstanding")
  }

  private wait(ms: number): void {
    const untilMs = this.nowMs + ms
    while (this.timerDueMs !== undefined && this.timerDueMs <= untilMs) {
      this.nowMs = this.timerDueMs
      this.timerDueMs = undefined
      this.play.request({ type: "TimerFired", timer: "redeliver", nowMs: this.nowMs })
    }
    this.nowMs = untilMs
  }

  private take(): void {
    const hadBacklog = this.untakenBytes >= this.backlogBytes
    this.untakenBytes = 0
    if (hadBacklog) this.play.request({ type: "BacklogTaken" })
  }

  /** Passes some bytes on; answers whether that makes a backlog. */
  private pass(bytes: number): { readonly bytes: number; readonly hasBacklog: boolean } {
    expect(this.untakenBytes, "nothing is passed on behind a backlog").toBeLessThan(this.backlogBytes)
    this.untakenBytes += bytes
    return { bytes, hasBacklog: this.untakenBytes >= this.backlogBytes }
  }

  private count(state: Fate["state"]): number {
    return [...this.fates.values()].filter((fate) => fate.state === state).length
  }

  /** Where nothing is with the subscriber there is credit; where there is, nothing is left to deliver. */
  private checkProgress(): void {
    const apart = this.count("waiting")
    if (this.count("out") > 0 || this.untakenBytes >= this.backlogBytes) return
    if (apart <= this.limits.ackedRangesMax) expect(this.missing).toBe(0)
    if (apart > 0) expect(this.timerDueMs, "what waits has its time").toBeDefined()
  }

  /** Bytes that are out for sure; with what is done of a delivery, those of its rest may count as well. */
  private outBytes(): number {
    let bytes = 0
    for (const [offset, { state }] of this.fates) if (state === "out") bytes += this.sizes[offset]!
    return bytes
  }

  private handle(command: SubscriptionCommand): ReadonlyArray<SubscriptionRequest> {
    switch (command.type) {
      case "deliver":
        return [this.deliver(command.params)]
      case "redeliver":
        return [this.redeliver(command.params.offset)]
      case "tellGap": {
        const { from, to } = command.params
        expect(to, "a gap is of what was dropped").toBeLessThanOrEqual(this.oldest)
        for (let offset: number = from; offset < to; offset++) {
          this.fates.set(offset, { deliveries: 0, refusals: 0, ...this.fates.get(offset), state: "gap" })
        }
        if (from === this.cursor) this.cursor = to
        else expect(to, "of what came before, only one that was to come again").toBe(from + 1)
        return []
      }
      case "allowCommit":
        this.answer = command.params.offset
        return []
      case "refuseAcknowledge":
        this.answer = command.params.reason
        return []
      case "quarantine": {
        const fate = this.fates.get(command.params.offset)!
        expect(fate.refusals, "only what was refused too often").toBe(this.limits.redeliveriesMax + 1)
        expect(fate.deliveries).toBe(command.params.deliveries)
        return []
      }
      case "armTimer":
        this.timerDueMs = this.nowMs + command.params.delayMs
        return []
      case "endDelivery":
        return []
    }
  }

  private expectCredit(messages: number): void {
    const { creditMessages, creditBytes } = this.limits
    expect(this.outBytes(), "nothing is delivered beyond the credit").toBeLessThan(creditBytes)
    expect(this.count("out") + messages).toBeLessThanOrEqual(creditMessages)
  }

  private redeliver(offset: Offset): SubscriptionRequest {
    const fate = this.fates.get(offset)!
    expect(fate.state, "what comes again was refused").toBe("waiting")
    this.expectCredit(1)
    if (this.oldest > offset) return { type: "RedeliveryMissing", offset }
    fate.state = "out"
    fate.deliveries++
    return { type: "Redelivered", offset, ...this.pass(this.sizes[offset]!) }
  }

  private deliver({
    from,
    messagesMax,
    bytesMax
  }: Extract<SubscriptionCommand, { type: "deliver" }>["params"]): SubscriptionRequest {
    expect(from, "deliveries follow each other").toBe(this.cursor)
    if (this.oldest > from) return { type: "RangeMissing", oldest: offsetOf(this.oldest) }
    let bytes = 0
    let to: number = from
    while (to < this.sizes.length && to - from < messagesMax) {
      if (to > from && bytes + this.sizes[to]! > bytesMax) break
      bytes += this.sizes[to++]!
    }
    expect(to).toBeGreaterThan(from)
    this.expectCredit(to - from)
    for (let offset: number = from; offset < to; offset++) {
      this.fates.set(offset, { state: "out", deliveries: 1, refusals: 0 })
    }
    this.cursor = to
    return { type: "RangeDelivered", from, to: offsetOf(to), ...this.pass(bytes) }
  }
}
