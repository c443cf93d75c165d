/**
 * Acks and nacks of a connection. The acks that arrived together are one call for each subscription that they are for; what
 * comes while one is out becomes the next.
 */
import { Cause, Effect, Exit, Option } from "effect"
import type { Offset } from "../../protocol/Log.ts"
import { errorFrame, responseFrame } from "../../protocol/wire/Answers.ts"
import type { AckRequest, NackRequest } from "../../protocol/wire/Requests.ts"
import { type WireErrorCode, wireErrors } from "../../protocol/wire/WireErrors.ts"
import type { AcknowledgeRefused, BrokerUnavailable, SubscriptionTakenOver } from "../Broker.ts"
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
  private acked: Array<Acked> = []
  private offsets = new Map<Subscriber, Array<Offset>>()
  private heldBytes = 0
  private isOut = false

  constructor(private readonly options: AcknowledgerOptions) {}

  get isDone(): boolean {
    return !this.isOut && this.acked.length === 0
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
    for (const subscriber of subscribers) {
      let offsets = this.offsets.get(subscriber)
      if (offsets === undefined) {
        offsets = []
        this.offsets.set(subscriber, offsets)
      }
      for (const [from, to] of ranges) {
        for (let offset = from; offset < to; offset++) {
          if (named !== undefined || subscriber.wasSent(offset)) offsets.push(offset as Offset)
        }
      }
    }
    const before = this.acked[this.acked.length - 1]?.slot
    const slot = before !== undefined && before === outbox.last ? before : outbox.reserve()
    this.acked.push({ slot, correlation, subscribers })
    this.heldBytes += heldBytes
  }

  /** Acknowledges what has come. */
  flush(): void {
    if (this.isOut || this.acked.length === 0) return
    const { acked, offsets, heldBytes } = this
    this.acked = []
    this.offsets = new Map()
    this.heldBytes = 0
    this.isOut = true
    const outcomes = new Map<Subscriber, Outcome>()
    for (const [subscriber, done] of offsets) {
      this.options.surroundings.run(subscriber.subscription.ack(done), (outcome) => {
        outcomes.set(subscriber, outcome)
        if (outcomes.size < offsets.size) return
        this.isOut = false
        this.answer(acked, outcomes)
        this.options.onAnswered(heldBytes)
        this.flush()
      })
    }
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
