/**
 * Acks and nacks of a connection. The acks that arrived together are one call for each subscription that they are for; what
 * comes while one is out becomes the next. What a call names is bounded, however many acks name it.
 */
import { Cause, Effect, Exit, Option } from "effect"
import type { Offset } from "../../protocol/Log.ts"
import { errorFrame, responseFrame } from "../../protocol/wire/Answers.ts"
import { ackedMessagesMax } from "../../protocol/wire/RequestDecoder.ts"
import type { AckRequest, NackRequest } from "../../protocol/wire/Requests.ts"
import { type WireErrorCode, wireErrors } from "../../protocol/wire/WireErrors.ts"
import type { AcknowledgeRefused, BrokerUnavailable, SubscriptionTakenOver } from "../Broker.ts"
import { OffsetSet } from "./OffsetSet.ts"
import type { Outbox, Slot } from "./Outbox.ts"
import type { Subscriber } from "./Subscriber.ts"
import { countError, type Surroundings } from "./Surroundings.ts"

type Refusal = AcknowledgeRefused | SubscriptionTakenOver | BrokerUnavailable
type Outcome = Exit.Exit<Offset, Refusal>

interface Acked {
  readonly slot: Slot
  readonly correlation: string
  readonly subscribers: ReadonlyArray<Subscriber>
}

/** Acks that are one call for each of their subscriptions. */
class Call {
  readonly acked: Array<Acked> = []
  readonly offsets = new Map<Subscriber, OffsetSet>()
  heldBytes = 0

  /** Whether it names so much that what comes is for the next one. */
  get isFull(): boolean {
    let size = 0
    for (const offsets of this.offsets.values()) size += offsets.size
    return size >= ackedMessagesMax
  }

  /** What of a subscription it names. */
  of(subscriber: Subscriber): OffsetSet {
    let offsets = this.offsets.get(subscriber)
    if (offsets === undefined) {
      offsets = new OffsetSet()
      this.offsets.set(subscriber, offsets)
    }
    return offsets
  }
}

export interface AcknowledgerOptions {
  readonly surroundings: Surroundings
  readonly outbox: Outbox
  readonly subscribers: ReadonlyMap<string, Subscriber>
  /** Those that others took over. */
  readonly lost: ReadonlySet<string>
  readonly onAnswered: (heldBytes: number) => void
  readonly onUnavailable: (problem: string) => void
}

export class Acknowledger {
  private calls: Array<Call> = []
  private isOut = false

  constructor(private readonly options: AcknowledgerOptions) {}

  get isDone(): boolean {
    return !this.isOut && this.calls.length === 0
  }

  ack(request: AckRequest, heldBytes: number): void {
    const { outbox } = this.options
    const { correlation, ranges, subscriberId } = request
    const subscribers = this.askedFor(subscriberId).filter(
      ({ wasSent }) => subscriberId !== undefined || ranges.some(([from]) => wasSent(from))
    )
    const named = subscriberId === undefined ? undefined : subscribers[0]
    const isBeyond = named !== undefined && ranges.some(([from, to]) => from < to && to > named.sentEnd())
    if (subscribers.length === 0 || isBeyond) {
      this.refuse(outbox.reserve(), correlation, isBeyond ? "beyond_delivered" : this.absenceOf(subscriberId))
      this.options.onAnswered(heldBytes)
      return
    }
    const call = this.callToFill()
    for (const subscriber of subscribers) {
      const offsets = call.of(subscriber)
      for (const [from, to] of ranges) {
        if (named !== undefined) offsets.add(from, to)
        else offsets.add(Math.max(from, subscriber.subscription.start), Math.min(to, subscriber.sentEnd()))
      }
    }
    const before = call.acked[call.acked.length - 1]?.slot
    const slot = before !== undefined && before === outbox.last ? before : outbox.reserve()
    call.acked.push({ slot, correlation, subscribers })
    call.heldBytes += heldBytes
  }

  /** Acknowledges what has come. */
  flush(): void {
    const call = this.isOut ? undefined : this.calls.shift()
    if (call === undefined) return
    const { acked, offsets, heldBytes } = call
    this.isOut = true
    const outcomes = new Map<Subscriber, Outcome>()
    for (const [subscriber, done] of offsets) {
      this.options.surroundings.run(subscriber.subscription.ack(done.toArray()), (outcome) => {
        outcomes.set(subscriber, outcome)
        if (outcomes.size < offsets.size) return
        this.isOut = false
        this.answer(acked, outcomes)
        this.options.onAnswered(heldBytes)
        this.flush()
      })
    }
  }

  private callToFill(): Call {
    const last = this.calls[this.calls.length - 1]
    if (last !== undefined && !last.isFull) return last
    const call = new Call()
    this.calls.push(call)
    return call
  }

  /** Refuses a message, of each subscription to which it was sent. */
  nack({ subscriberId, correlation, offset }: NackRequest, heldBytes: number): void {
    const { surroundings, outbox, onAnswered, onUnavailable } = this.options
    const slot = outbox.reserve()
    const subscribers = this.askedFor(subscriberId).filter(
      ({ wasSent }) => subscriberId !== undefined || wasSent(offset)
    )
    if (subscribers.length === 0) {
      this.refuse(slot, correlation, this.absenceOf(subscriberId))
      onAnswered(heldBytes)
      return
    }
    const nacks = Effect.forEach(subscribers, ({ subscription }) =>
      Effect.exit(subscription.nack(offset as Offset))
    )
    surroundings.run(nacks, (exit) => {
      if (Exit.isFailure(exit)) onUnavailable("it failed to refuse a message")
      // It is enough that the message was outstanding to one of them.
      else this.answerOne(slot, correlation, exit.value.find(Exit.isSuccess) ?? exit.value[0]!)
      outbox.flush()
      onAnswered(heldBytes)
    })
  }

  private askedFor(subscriberId: string | undefined): ReadonlyArray<Subscriber> {
    const { subscribers } = this.options
    if (subscriberId === undefined) return [...subscribers.values()]
    const subscriber = subscribers.get(subscriberId)
    return subscriber === undefined ? [] : [subscriber]
  }

  private absenceOf(subscriberId: string | undefined): WireErrorCode {
    return subscriberId !== undefined && this.options.lost.has(subscriberId) ? "taken_over" : "not_subscribed"
  }

  private refuse(slot: Slot, correlation: string, code: WireErrorCode): void {
    countError(this.options.surroundings.counters, code)
    this.options.outbox.settle(slot, errorFrame(correlation, code, wireErrors[code]))
  }

  private answer(acked: ReadonlyArray<Acked>, outcomes: ReadonlyMap<Subscriber, Outcome>): void {
    const { outbox } = this.options
    let text = ""
    for (const [index, { slot, correlation, subscribers }] of acked.entries()) {
      const its = subscribers.map((subscriber) => outcomes.get(subscriber)!)
      text += this.textOf(correlation, its.find(Exit.isFailure) ?? its[0]!)
      if (acked[index + 1]?.slot === slot) continue
      outbox.settle(slot, text)
      text = ""
    }
    outbox.flush()
  }

  private answerOne(slot: Slot, correlation: string, outcome: Outcome): void {
    this.options.outbox.settle(slot, this.textOf(correlation, outcome))
  }

  private textOf(correlation: string, outcome: Outcome): string {
    if (Exit.isSuccess(outcome)) return responseFrame(correlation, { offset: outcome.value })
    const { surroundings, onUnavailable } = this.options
    const refusal = Option.getOrUndefined(Cause.failureOption(outcome.cause))
    const code = codeOf(refusal)
    const problem = refusal?._tag === "BrokerUnavailable" ? refusal.problem : refusal?.message
    if (code === "unavailable") onUnavailable(problem ?? "it failed to acknowledge")
    countError(surroundings.counters, code)
    return errorFrame(correlation, code, problem ?? wireErrors[code])
  }
}

const codeOf = (refusal: Refusal | undefined): WireErrorCode => {
  switch (refusal?._tag) {
    case "AcknowledgeRefused":
      return refusal.reason
    case "SubscriptionTakenOver":
      return "taken_over"
    default:
      return "unavailable"
  }
}
