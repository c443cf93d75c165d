/** What a connection does for requests that concern itself, or a subscriber: each is answered by one effect. */
import { Effect } from "effect"
import { offsetOf, type ProducerId, type StartFrom, type SubscriberId } from "../../protocol/Log.ts"
import { parseTime } from "../../protocol/Time.ts"
import { errorFrame, responseFrame } from "../../protocol/wire/Answers.ts"
import {
  type CommitRequest,
  type HelloRequest,
  protocolVersion,
  type Request,
  type SetOffsetRequest,
  type SubscribeRequest,
  type UnsubscribeRequest
} from "../../protocol/wire/Requests.ts"
import { type WireErrorCode, wireErrors } from "../../protocol/wire/WireErrors.ts"
import type { BrokerUnavailable, SubscriptionTakenOver } from "../Broker.ts"
import { statisticsOf } from "../BrokerStatistics.ts"
import { orEnded } from "./Ended.ts"
import type { Slot } from "./Outbox.ts"
import type { Peer } from "./Peer.ts"
import * as Subscriber from "./Subscriber.ts"
import { countError } from "./Surroundings.ts"

export type Controlled = Exclude<Request, { readonly type: "publish" | "ack" | "nack" | "ping" }>

/** The text of an answer. */
type Answer = Effect.Effect<string, BrokerUnavailable>

/** Does what is asked, and makes the answer, which is to stand in `slot`. */
export const answer = (peer: Peer, request: Controlled, slot: Slot): Answer => {
  switch (request.type) {
    case "hello":
      return hello(peer, request)
    case "subscribe":
      return subscribe(peer, request, slot)
    case "unsubscribe":
      return unsubscribe(peer, request)
    case "commit":
      return commit(peer, request)
    case "set_offset":
      return setOffset(peer, request)
    default:
      return stats(peer, request.correlation)
  }
}

const refusal = (
  { surroundings }: Peer,
  correlation: string,
  code: WireErrorCode,
  error: string = wireErrors[code]
): string => {
  countError(surroundings.counters, code)
  return errorFrame(correlation, code, error)
}

const hello = (peer: Peer, { correlation, producerId, binary }: HelloRequest): Answer => {
  const { broker } = peer.surroundings
  const ours = { version: protocolVersion, ...(binary ? { binary } : {}) }
  if (producerId === undefined) {
    return Effect.map(broker.stats, ({ logId }) =>
      responseFrame(correlation, { payload: { log_id: logId, ...ours } })
    )
  }
  return Effect.map(
    peer.extend(broker.hello(producerId as ProducerId)),
    ({ logId, lastSequence, lastPosition, publish }) => {
      peer.helloSession = publish
      const known = lastSequence === null ? {} : { sequence: lastSequence }
      const position = lastPosition === null ? {} : { position: lastPosition }
      return responseFrame(correlation, { payload: { log_id: logId, ...ours, ...known, ...position } })
    }
  )
}

const startFrom = (offset: number): StartFrom =>
  offset === -2 ? "earliest" : offset === -1 ? "latest" : offsetOf(offset)

const subscribe = (peer: Peer, request: SubscribeRequest, slot: Slot): Answer =>
  Effect.gen(function* () {
    const { surroundings, subscribers, connection, hello } = peer
    const { correlation, offset } = request
    const { config, counters } = surroundings
    const subscriberId = request.subscriberId as SubscriberId
    const before = subscribers.get(subscriberId)
    if (before !== undefined) yield* leave(peer, before)
    if (subscribers.size >= config.subscriptionsPerConnectionMax) {
      return refusal(peer, correlation, "too_many_subscriptions")
    }
    const credit = hello === undefined ? config.legacyMaxInFlight || undefined : hello.maxInFlight
    const opened = yield* Effect.either(
      Subscriber.open(
        {
          surroundings,
          outbox: connection.outbox,
          number: peer.subscriptionsOpened++,
          form: hello === undefined ? "legacy" : hello.binary ? "binary" : "named",
          scope: peer.scope
        },
        {
          subscriberId,
          from: startFrom(offset),
          // An old collector that always asks for latest goes on where its acks ended.
          resume: request.resume ? "always" : hello === undefined && offset === -1 ? "if_known" : "never",
          creditMessages: request.maxInFlight ?? credit ?? Number.POSITIVE_INFINITY,
          creditBytes: request.maxInFlightBytes ?? hello?.maxInFlightBytes ?? Number.POSITIVE_INFINITY
        }
      )
    )
    if (opened._tag === "Left") {
      if (opened.left._tag === "BrokerUnavailable") return yield* opened.left
      return refusal(peer, correlation, opened.left.reason, opened.left.message)
    }
    const subscriber = opened.right
    subscribers.set(subscriberId, subscriber)
    peer.lost.delete(subscriberId)
    counters.subscriptions++
    // No message goes ahead of the answer.
    slot.onSent = () => subscriber.start((reason) => onEnded(peer, subscriber, reason))
    const { start, clamped, logId } = subscriber.subscription
    return responseFrame(correlation, {
      ...(clamped ? { clamped } : {}),
      ...(hello === undefined
        ? {}
        : { payload: { start, clamped, log_id: logId, subscription: subscriber.number } })
    })
  })

/** Ends a subscription on the side of the server. */
const leave = ({ subscribers, surroundings }: Peer, subscriber: Subscriber.Subscriber): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (subscribers.get(subscriber.id) === subscriber) {
      subscribers.delete(subscriber.id)
      surroundings.counters.subscriptions--
    }
    return subscriber.close
  })

/** The broker ended a subscription. */
const onEnded = (
  peer: Peer,
  subscriber: Subscriber.Subscriber,
  reason: SubscriptionTakenOver | BrokerUnavailable
): void => {
  peer.surroundings.run(leave(peer, subscriber), () => {})
  if (reason._tag === "SubscriptionTakenOver") {
    if (peer.lost.size < peer.surroundings.config.subscriptionsPerConnectionMax) peer.lost.add(subscriber.id)
    peer.tell("taken_over", reason.message, subscriber.id)
    // A peer that knows what that means subscribes again; an old one does so when its connection ends.
  } else if (peer.saidHello) peer.tell("unavailable", reason.problem, subscriber.id)
  else peer.connection.fail("unavailable", { problem: reason.problem, subscriber_id: subscriber.id })
}

/** How a subscription is refused to whoever does not have it. */
const absence = (peer: Peer, subscriberId: string, otherwise: WireErrorCode): WireErrorCode =>
  peer.saidHello && peer.lost.has(subscriberId) ? "taken_over" : otherwise

const unsubscribe = (peer: Peer, { correlation, subscriberId }: UnsubscribeRequest): Answer => {
  const subscriber = peer.subscribers.get(subscriberId)
  const refused = Effect.sync(() =>
    refusal(peer, correlation, absence(peer, subscriberId, "subscriber_not_found"))
  )
  if (subscriber === undefined) return refused
  // The broker ends deliveries before it answers, which would look like a takeover.
  subscriber.silence()
  return orEnded(peer.surroundings.broker, subscriber.subscription.unsubscribe).pipe(
    Effect.as(responseFrame(correlation)),
    Effect.catchTags({ SubscriptionTakenOver: () => refused, SubscriptionEnded: () => refused }),
    Effect.ensuring(leave(peer, subscriber))
  )
}

const commit = (peer: Peer, { correlation, subscriberId, offset }: CommitRequest): Answer => {
  const subscriber = peer.subscribers.get(subscriberId)
  if (subscriber === undefined) {
    return Effect.sync(() => refusal(peer, correlation, absence(peer, subscriberId, "not_subscribed")))
  }
  const committed = orEnded(peer.surroundings.broker, subscriber.subscription.commit(offsetOf(offset)))
  return committed.pipe(
    Effect.map((checkpoint) => responseFrame(correlation, { offset: checkpoint })),
    Effect.catchTags({
      AcknowledgeRefused: ({ reason, message }) =>
        Effect.sync(() => refusal(peer, correlation, reason, message)),
      SubscriptionTakenOver: ({ message }) =>
        Effect.sync(() => refusal(peer, correlation, "taken_over", message)),
      SubscriptionEnded: () =>
        Effect.sync(() => refusal(peer, correlation, absence(peer, subscriberId, "not_subscribed")))
    })
  )
}

const nanosPerMs = 1_000_000n

const setOffset = (peer: Peer, { correlation, subscriberId, to }: SetOffsetRequest): Answer => {
  const time = "time" in to ? parseTime(to.time) : undefined
  if ("time" in to && time === undefined) {
    return Effect.sync(() => refusal(peer, correlation, "bad_request", "time has to be RFC 3339"))
  }
  // From that time on: the next whole millisecond.
  const target =
    "offset" in to ? startFrom(to.offset) : { atMs: Number((time! + nanosPerMs - 1n) / nanosPerMs) }
  return peer.surroundings.broker.setCheckpoint(subscriberId as SubscriberId, target).pipe(
    Effect.map((offset) => responseFrame(correlation, { offset })),
    Effect.catchTag("SetCheckpointRefused", ({ message }) =>
      Effect.sync(() => refusal(peer, correlation, "set_checkpoint_refused", message))
    )
  )
}

const stats = ({ surroundings: { broker, rejects } }: Peer, correlation: string): Answer =>
  Effect.zipWith(broker.stats, rejects.byReason, (figures, byReason) =>
    responseFrame(correlation, {
      payload: {
        ...statisticsOf(figures),
        rejects: Object.fromEntries(byReason.map(({ reason, count }) => [reason, count]))
      }
    })
  )
