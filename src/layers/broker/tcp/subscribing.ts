/** A subscription over a connection of its own. */
import { Effect, Schema } from "effect"
import { ackedRangesMax, deliveryBytesMax } from "../../../protocol/Limits.ts"
import { Offset, type StartFrom } from "../../../protocol/Log.ts"
import type { ErrorAnswer, ResponseAnswer } from "../../../protocol/wire/AnswerDecoder.ts"
import type { OffsetRange } from "../../../protocol/wire/Requests.ts"
import {
  AcknowledgeRefused,
  type Broker,
  type BrokerUnavailable,
  type Delivery,
  type SubscribeOptions,
  SubscribeRefused,
  type Subscription,
  SubscriptionTakenOver
} from "../../Broker.ts"
import * as Deliveries from "../Deliveries.ts"
import type { BrokerClientConfig } from "./Config.ts"
import { ask, connect, textOf, unavailable } from "./connecting.ts"
import { type Link, type LinkListener, wordsOf } from "./Link.ts"
import { decodeStats } from "./stats.ts"

const Opened = Schema.Struct({ start: Offset, clamped: Schema.optional(Schema.Boolean) })
const decodeOpened = Schema.decodeUnknown(Schema.parseJson(Opened))

/** How a place is written: -2 earliest, -1 latest. */
export const placeOf = (from: StartFrom): number => (from === "earliest" ? -2 : from === "latest" ? -1 : from)

/** Credit as it is written: what is infinite is not told. */
const creditOf = (credit: number): number | undefined =>
  Number.isFinite(credit) ? Math.min(credit, Number.MAX_SAFE_INTEGER) : undefined

/** Takes in what is delivered, and tells the connection when whoever takes it is behind. */
const listenerOf = (subscriberId: string, behind: (isBehind: boolean) => void) => {
  const delivered = Deliveries.make(deliveryBytesMax, () => behind(false))
  /** Messages of one chunk that follow each other are one delivery. */
  let together: Array<Uint8Array> = []
  let firstOffset = 0
  let bytes = 0
  let lostTo: SubscriptionTakenOver | BrokerUnavailable | undefined
  const end = (reason: SubscriptionTakenOver | BrokerUnavailable) => {
    lostTo ??= reason
    delivered.end(reason)
  }
  const offer = (delivery: Delivery, size: number) => {
    if (delivered.offer(delivery, size)) behind(true)
  }
  const chunkEnd = () => {
    if (together.length === 0) return
    const payloads = together
    together = []
    offer({ _tag: "Messages", firstOffset: firstOffset as Offset, payloads }, bytes)
    bytes = 0
  }
  const add = (offset: number, payloads: ReadonlyArray<Uint8Array>) => {
    if (offset !== firstOffset + together.length) chunkEnd()
    if (together.length === 0) firstOffset = offset
    for (const payload of payloads) {
      together.push(payload)
      bytes += payload.length
    }
  }
  const listener: LinkListener = {
    messages: (messages) => add(messages.firstOffset, messages.payloads),
    message: ({ offset, payload }) => add(offset, [payload]),
    gap: ({ from, to }) => {
      chunkEnd()
      offer({ _tag: "Gap", from: from as Offset, to: to as Offset }, 0)
    },
    told: (error) => {
      chunkEnd()
      if (error.code === "taken_over") end(new SubscriptionTakenOver({ subscriberId }))
      else if (error.subscriberId !== undefined) end(unavailable(wordsOf(error)))
    },
    chunkEnd,
    ended: (problem) => {
      chunkEnd()
      delivered.end(unavailable(problem))
    }
  }
  // An end that the broker has not told of yet is none that keeps the subscriber from coming again.
  return { listener, delivered, end, lostTo: () => lostTo ?? unavailable("the subscription has ended") }
}

const acknowledgeReasons: ReadonlySet<string> = new Set(AcknowledgeRefused.fields.reason.literals)

/** What is refused of a subscription that was opened, by the name of its reason; `lostTo` is why it may have ended. */
const refusal = (
  answer: ErrorAnswer,
  subscriberId: string,
  lostTo: SubscriptionTakenOver | BrokerUnavailable,
  offset: number
) => {
  if (answer.code === "taken_over") return new SubscriptionTakenOver({ subscriberId })
  if (acknowledgeReasons.has(answer.code)) {
    return new AcknowledgeRefused({ offset, reason: answer.code as AcknowledgeRefused["reason"] })
  }
  return answer.code === "subscriber_not_found" || answer.code === "not_subscribed"
    ? lostTo
    : unavailable(wordsOf(answer))
}

/** Offsets as ranges, in ascending order. */
const rangesOf = (offsets: ReadonlyArray<Offset>): ReadonlyArray<OffsetRange> => {
  const ranges: Array<[number, number]> = []
  for (const offset of [...offsets].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last !== undefined && offset <= last[1]) last[1] = Math.max(last[1], offset + 1)
    else ranges.push([offset, offset + 1])
  }
  return ranges
}

/** Offsets in parts that one request may name: one part where there are none. */
const chunked = (offsets: ReadonlyArray<Offset>): ReadonlyArray<ReadonlyArray<Offset>> =>
  offsets.length <= ackedRangesMax
    ? [offsets]
    : [offsets.slice(0, ackedRangesMax), ...chunked(offsets.slice(ackedRangesMax))]

/** The wire says only always or never: where a subscriber may be known, the broker is asked whether it is. */
const isResuming = (link: Link, { resume, subscriberId }: SubscribeOptions) =>
  resume !== "if_known"
    ? Effect.succeed(resume === "always")
    : Effect.flatMap(ask(link, { type: "get_stats" }), (answer) =>
        answer.type === "error"
          ? Effect.fail(unavailable(wordsOf(answer)))
          : Effect.map(decodeStats(answer), ({ checkpoints }) =>
              checkpoints.some((checkpoint) => checkpoint.subscriberId === subscriberId)
            )
      )

export const makeSubscribe =
  (config: BrokerClientConfig["Type"]): Broker["Type"]["subscribe"] =>
  (options) =>
    Effect.gen(function* () {
      const { subscriberId, from, creditMessages, creditBytes } = options
      let opened: Link | undefined
      const { listener, delivered, end, lostTo } = listenerOf(subscriberId, (isBehind) =>
        opened?.setBehind(isBehind)
      )
      const { link, welcome } = yield* connect(config, {}, listener)
      opened = link
      const answer = yield* ask(link, {
        type: "subscribe",
        subscriberId,
        offset: placeOf(from),
        resume: yield* isResuming(link, options),
        maxInFlight: creditOf(creditMessages),
        maxInFlightBytes: creditOf(creditBytes)
      })
      if (answer.type === "error") {
        return yield* answer.code === "too_many_checkpoints"
          ? new SubscribeRefused({ subscriberId, reason: answer.code })
          : unavailable(wordsOf(answer))
      }
      const { start, clamped = false } = yield* Effect.mapError(decodeOpened(textOf(answer)), () =>
        unavailable("the broker's answer to subscribe can't be read")
      )
      const settle = (
        offset: Offset,
        asked: Effect.Effect<ResponseAnswer | ErrorAnswer, BrokerUnavailable>
      ): Effect.Effect<Offset, AcknowledgeRefused | SubscriptionTakenOver | BrokerUnavailable> =>
        Effect.flatMap(asked, (answer) =>
          answer.type === "error"
            ? Effect.fail(refusal(answer, subscriberId, lostTo(), offset))
            : Effect.succeed((answer.offset ?? 0) as Offset)
        )
      return {
        logId: welcome.log_id,
        start,
        clamped,
        deliveries: delivered.take,
        commit: (offset) => settle(offset, ask(link, { type: "commit", subscriberId, offset })),
        ack: (offsets) => {
          const [first, ...others] = chunked(offsets).map((some) =>
            settle(
              some[some.length - 1] ?? start,
              ask(link, { type: "ack", subscriberId, ranges: rangesOf(some) })
            )
          )
          return others.reduce((before, next) => Effect.zipRight(before, next), first!)
        },
        nack: (offset) => settle(offset, ask(link, { type: "nack", subscriberId, offset })),
        unsubscribe: Effect.flatMap(ask(link, { type: "unsubscribe", subscriberId }), (answer) => {
          if (answer.type === "response") {
            end(new SubscriptionTakenOver({ subscriberId }))
            return Effect.void
          }
          const refused = refusal(answer, subscriberId, lostTo(), start)
          return Effect.fail(refused._tag === "AcknowledgeRefused" ? unavailable(refused.message) : refused)
        })
      } satisfies Subscription
    })
