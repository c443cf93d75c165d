/** Subscribing to the Broker actor in this process: the Subscription says what is done, the Broker keeps it. */
import { Clock, Effect } from "effect"
import type { BrokerSnapshot } from "../../actors/Broker.ts"
import type { BrokerRequest } from "../../actors/broker/State.ts"
import type { SubscriptionRequest } from "../../actors/Subscription.ts"
import type { RefusedAcknowledgement } from "../../actors/subscription/State.ts"
import type { BrokerFact } from "../../protocol/BrokerFact.ts"
import type { LogId, Offset } from "../../protocol/Log.ts"
import {
  AcknowledgeRefused,
  type Broker,
  type SubscribeOptions,
  SubscribeRefused,
  type Subscription,
  SubscriptionTakenOver
} from "../Broker.ts"
import type { Actor, ActorStopped } from "../Interpreter.ts"
import { orUnavailable } from "./publishing.ts"
import type { OpenSubscription, Subscriptions } from "./subscriptions.ts"

/** What the Broker answers a subscription. */
export type Opened = Pick<Subscription, "start" | "clamped">
type RefusedCommit = "not_holder" | "too_many_checkpoints"

type BrokerActor = Actor<BrokerSnapshot, BrokerRequest | BrokerFact>

/** How subscriptions of one broker are opened. */
export const makeSubscribe =
  (actor: BrokerActor, subscriptions: Subscriptions, logId: LogId): Broker["Type"]["subscribe"] =>
  (options: SubscribeOptions) =>
    Effect.gen(function* () {
      const { subscriberId, from, resume } = options
      const [subscription, entry] = yield* subscriptions.register(options)
      const holding = { subscription, subscriberId }
      yield* Effect.addFinalizer(() => Effect.sync(() => actor.send({ type: "Leave", ...holding })))
      const opened = yield* actor
        .ask<Opened, "too_many_checkpoints">((replyTo) => ({
          type: "Subscribe",
          replyTo,
          ...holding,
          from,
          resume
        }))
        .pipe(
          Effect.mapError((error) =>
            error === "too_many_checkpoints" ? new SubscribeRefused({ subscriberId, reason: error }) : error
          )
        )

      /** What the subscription finds done becomes the checkpoint. `offset` is what a refusal names. */
      const acknowledge = (offset: Offset, request: (replyTo: number) => SubscriptionRequest) =>
        entry.actor!.ask<Offset, RefusedAcknowledgement>(request).pipe(
          Effect.flatMap((below) =>
            actor.ask<Offset, RefusedCommit>((replyTo) => ({
              type: "Commit",
              replyTo,
              ...holding,
              offset: below
            }))
          ),
          Effect.mapError((error) => refusal(offset, entry, error)),
          orUnavailable
        )
      return {
        logId,
        ...opened,
        deliveries: entry.delivered.take,
        commit: (below) => acknowledge(below, (replyTo) => ({ type: "AcknowledgeBelow", replyTo, below })),
        ack: (offsets) =>
          acknowledge(offsets[offsets.length - 1] ?? opened.start, (replyTo) => ({
            type: "Acknowledge",
            replyTo,
            offsets
          })),
        nack: (offset) =>
          Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
            acknowledge(offset, (replyTo) => ({ type: "Refuse", replyTo, offset, nowMs }))
          ),
        unsubscribe: actor
          .ask<void, "not_holder">((replyTo) => ({ type: "Unsubscribe", replyTo, ...holding }))
          .pipe(
            Effect.mapError((error) => (error === "not_holder" ? lost(entry) : error)),
            orUnavailable
          )
      } satisfies Subscription
    }).pipe(orUnavailable)

/** Why a subscription is not its subscriber's any more: an operator has sent it elsewhere, or another has its id. */
const lost = ({ lostTo, options: { subscriberId } }: OpenSubscription) =>
  lostTo ?? new SubscriptionTakenOver({ subscriberId })

const refusal = (
  offset: Offset,
  entry: OpenSubscription,
  error: RefusedAcknowledgement | RefusedCommit | ActorStopped
) => {
  if (typeof error !== "string") return error
  return error === "not_holder" || error === "subscription_ended"
    ? lost(entry)
    : new AcknowledgeRefused({ offset, reason: error })
}
