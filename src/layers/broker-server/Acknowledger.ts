/**
 * Acks and nacks of a connection. The acks that arrived together are one call for each subscription that they are for; what
 * comes while one is out becomes the next. A call names each offset once, however many acks do.
 */
import { Cause, Effect, Exit, Option } from "effect"
import type { Offset } from "../../protocol/Log.ts"
import { errorFrame, responseFrame } from "../../protocol/wire/Answers.ts"
import { ackedMessagesMax } from "../../protocol/wire/RequestDecoder.ts"
import type { AckRequest, NackRequest } from "../../protocol/wire/Requests.ts"
import { type WireErrorCode, wireErrors } from "../../protocol/wire/WireErrors.ts"
import type { AcknowledgeRefused, BrokerUnavailable, Subscription, SubscriptionTakenOver } from "../Broker.ts"
import { orEnded, SubscriptionEnded } from "./Ended.ts"
import { OffsetSet } from "./OffsetSet.ts"
import type { Outbox, Slot } from "./Outbox.ts"
import type { Subscriber } from "./Subscriber.ts"
import { countError, type Surroundings } from "./Surroundings.ts"

type Refusal = AcknowledgeRefused | SubscriptionTakenOver | SubscriptionEnded | BrokerUnavailable
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
  /** Who waits for it to be answered. */
  readonly waiting: Array<() => void> = []
  heldBytes = 0

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
  private out: Call | undefined
  private nacksOut = 0

  constructor(private readonly options: AcknowledgerOptions) {}

  get isDone(): boolean {
    return this.out === undefined && this.calls.length === 0 && this.nacksOut === 0
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
    const call = this.out === undefined ? this.calls.shift() : undefined
    if (call === undefined) return
    this.out = call
    const { surroundings, subscribers } = this.options
    const outcomes = new Map<Subscriber, Outcome>()
    const settle = (subscriber: Subscriber, outcome: Outcome): void => {
      outcomes.set(subscriber, outcome)
      if (outcomes.size < call.offsets.size) return
      this.out = undefined
      this.answer(call.acked, outcomes)
      this.options.onAnswered(call.heldBytes)
      for (const begin of call.waiting) begin()
      this.flush()
    }
    for (const [subscriber, done] of call.offsets) {
      const { id, subscription } = subscriber
      if (subscribers.get(id) !== subscriber) settle(subscriber, Exit.fail(new SubscriptionEnded()))
      else {
        const acknowledged = orEnded(
          surroundings.broker,
          acknowledge(subscription, done.parts(ackedMessagesMax))
        )
        surroundings.run(acknowledged, (outcome) => settle(subscriber, outcome))
      }
    }
  }

  /** Begins something once the acks that came before it are answered. */
  whenAnswered(begin: () => void): void {
    this.flush()
    const last = this.calls[this.calls.length - 1] ?? this.out
    if (last === undefined) begin()
    else last.waiting.push(begin)
  }

  /** The call for what comes: another one where somebody waits for what the last one names. */
  private callToFill(): Call {
    const last = this.calls[this.calls.length - 1]
    if (last !== undefined && last.waiting.length === 0) return last
    const call = new Call()
    this.calls.push(call)
    return call
  }

  /** Refuses a message, of each subscription to which it was sent. */
  nack({ subscriberId, correlation, offset }: NackRequest, heldBytes: number): void {
    const { surroundings, outbox, onAnswered, onUnavailable } = this.options
    const { broker } = surroundings
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
      Effect.exit(orEnded(broker, subscription.nack(offset as Offset)))
    )
    this.nacksOut++
    this.whenAnswered(() =>
      surroundings.run(nacks, (exit) => {
        this.nacksOut--
        if (Exit.isFailure(exit)) onUnavailable("it failed to refuse a message")
        else {
          // It is enough that the message was outstanding to one of them.
          const outcome = exit.value.find(Exit.isSuccess) ?? exit.value[0]!
          outbox.settle(slot, this.textOf(correlation, outcome, subscribers[0]!.id))
        }
        outbox.flush()
        onAnswered(heldBytes)
      })
    )
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
      const refused = subscribers.find((subscriber) => Exit.isFailure(outcomes.get(subscriber)!))
      const told = refused ?? subscribers[0]!
      text += this.textOf(correlation, outcomes.get(told)!, told.id)
      if (acked[index + 1]?.slot === slot) continue
      outbox.settle(slot, text)
      text = ""
    }
    outbox.flush()
  }

  private textOf(correlation: string, outcome: Outcome, subscriberId: string): string {
    if (Exit.isSuccess(outcome)) return responseFrame(correlation, { offset: outcome.value })
    const { surroundings, onUnavailable } = this.options
    const refusal = Option.getOrUndefined(Cause.failureOption(outcome.cause))
    const code = refusal?._tag === "SubscriptionEnded" ? this.absenceOf(subscriberId) : codeOf(refusal)
    const problem = refusal?._tag === "BrokerUnavailable" ? refusal.problem : refusal?.message
    if (code === "unavailable") onUnavailable(problem ?? "it failed to acknowledge")
    countError(surroundings.counters, code)
    return errorFrame(correlation, code, problem || wireErrors[code])
  }
}

/** Acknowledges one part after the other; answers as the last one is. */
const acknowledge = (
  subscription: Subscription,
  parts: Iterator<ReadonlyArray<Offset>, void>
): Effect.Effect<Offset, Exclude<Refusal, SubscriptionEnded>> => {
  const from = (part: ReadonlyArray<Offset>): ReturnType<typeof acknowledge> =>
    Effect.flatMap(subscription.ack(part), (offset) => {
      const next = parts.next()
      return next.done === true ? Effect.succeed(offset) : from(next.value)
    })
  return Effect.suspend(() => from(parts.next().value ?? []))
}

const codeOf = (refusal: Exclude<Refusal, SubscriptionEnded> | undefined): WireErrorCode => {
  switch (refusal?._tag) {
    case "AcknowledgeRefused":
      return refusal.reason
    case "SubscriptionTakenOver":
      return "taken_over"
    default:
      return "unavailable"
  }
}
