/** The subscriptions that are open in this process: one Subscription actor each, all of them in one loop. */
import { Effect, Exit, Mailbox, Scope } from "effect"
import {
  type SubscriptionRequest,
  type SubscriptionSnapshot,
  subscriptionStepper
} from "../../actors/Subscription.ts"
import { deliveryBytesMax, deliveryMessagesMax } from "../../protocol/Limits.ts"
import { type Offset, offsetOf } from "../../protocol/Log.ts"
import {
  type BrokerUnavailable,
  type Delivery,
  type SubscribeOptions,
  SubscriptionTakenOver
} from "../Broker.ts"
import { type Actor, type ActorLoop, noEvents } from "../Interpreter.ts"
import { type OffsetLog, runBytes } from "../OffsetLog.ts"

type SubscriptionActor = Actor<SubscriptionSnapshot, SubscriptionRequest>
type EndReason = SubscriptionTakenOver | BrokerUnavailable

/** A subscription from the moment it is asked for; the actor is there once the Broker has opened it. */
export interface OpenSubscription {
  readonly options: SubscribeOptions
  readonly scope: Scope.Scope
  readonly delivered: Mailbox.Mailbox<Delivery, EndReason>
  actor: SubscriptionActor | undefined
}

/** Reads and passes on what the machine decided to deliver. */
const deliver =
  (log: OffsetLog["Type"], delivered: OpenSubscription["delivered"]) =>
  ({
    from,
    messagesMax,
    bytesMax
  }: {
    readonly from: Offset
    readonly messagesMax: number
    readonly bytesMax: number
  }) =>
    Effect.map(
      log.read(from, { recordsMax: messagesMax, bytesMax }),
      ({ firstOffset, runs }): ReadonlyArray<SubscriptionRequest> => {
        if (firstOffset > from) return [{ type: "RangeMissing", oldest: firstOffset }]
        const payloads = runs.length === 1 ? runs[0]!.payloads : runs.flatMap((run) => run.payloads)
        delivered.unsafeOffer({ _tag: "Messages", firstOffset, payloads })
        const bytes = runs.reduce((sum, run) => sum + runBytes(run), 0)
        return [{ type: "RangeDelivered", from, to: offsetOf(from + payloads.length), bytes }]
      }
    )

const spawnActor = (
  loop: ActorLoop,
  log: OffsetLog["Type"],
  { options, delivered }: OpenSubscription,
  range: { readonly start: Offset; readonly end: Offset }
) =>
  loop.spawn({
    name: `subscription ${options.subscriberId}`,
    stepper: subscriptionStepper,
    initial: subscriptionStepper.initial({
      ...range,
      creditMessages: options.creditMessages,
      creditBytes: options.creditBytes,
      deliveryMessagesMax,
      deliveryBytesMax
    }),
    // Nothing of a subscription is recoverable, so it has no facts.
    isFact: () => false,
    journal: () => Effect.void,
    handlers: (self) => ({
      deliver: deliver(log, delivered),
      tellGap: ({ from, to }) => Effect.as(delivered.offer({ _tag: "Gap", from, to }), noEvents),
      allowCommit: ({ replyTo, offset }) => {
        self.reply(replyTo, Exit.succeed(offset))
        return noEvents
      },
      refuseAcknowledge: ({ replyTo, reason }) => {
        self.reply(replyTo, Exit.fail(reason))
        return noEvents
      },
      endDelivery: () =>
        Effect.as(delivered.fail(new SubscriptionTakenOver({ subscriberId: options.subscriberId })), noEvents)
    })
  })

export interface Subscriptions {
  /** Registers a subscription that is about to be asked for; forgotten when its scope closes. */
  readonly register: (
    options: SubscribeOptions
  ) => Effect.Effect<readonly [key: number, OpenSubscription], never, Scope.Scope>
  /** Starts delivery; nothing happens where the subscriber has gone meanwhile. */
  readonly start: (
    key: number,
    range: { readonly start: Offset; readonly end: Offset }
  ) => Effect.Effect<void>
  readonly wake: (end: Offset) => void
  /** Ends delivery to a subscription that was taken over. */
  readonly end: (key: number) => void
  /** Ends every delivery: the broker has stopped. */
  readonly failAll: (reason: BrokerUnavailable) => Effect.Effect<void>
  readonly cursors: () => ReadonlyArray<{ readonly options: SubscribeOptions; readonly cursor: Offset }>
}

export const make = (log: OffsetLog["Type"], loop: ActorLoop): Subscriptions => {
  const open = new Map<number, OpenSubscription>()
  let nextKey = 0
  return {
    register: (options) =>
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        const delivered = yield* Mailbox.make<Delivery, EndReason>()
        const entry: OpenSubscription = { options, scope, delivered, actor: undefined }
        const key = nextKey++
        yield* Effect.acquireRelease(
          Effect.sync(() => open.set(key, entry)),
          () => Effect.sync(() => open.delete(key))
        )
        return [key, entry] as const
      }),
    start: (key, range) =>
      Effect.suspend(() => {
        const entry = open.get(key)
        if (entry === undefined) return Effect.void
        return Effect.map(Scope.extend(spawnActor(loop, log, entry, range), entry.scope), (actor) => {
          entry.actor = actor
        })
      }),
    wake: (end) => {
      for (const { actor } of open.values()) actor?.send({ type: "LogGrew", end })
    },
    end: (key) => open.get(key)?.actor?.send({ type: "Close" }),
    failAll: (reason) =>
      Effect.forEach(open.values(), ({ delivered }) => delivered.fail(reason), { discard: true }),
    cursors: () =>
      [...open.values()].flatMap(({ options, actor }) =>
        actor === undefined ? [] : [{ options, cursor: actor.snapshot().context.volatile.cursor }]
      )
  }
}
