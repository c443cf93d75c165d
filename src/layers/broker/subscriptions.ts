/** The subscriptions that are open in this process: one Subscription actor each, all of them in one loop. */
import { Effect, Either, Exit, Runtime, Scope } from "effect"
import {
  type SubscriptionRequest,
  type SubscriptionSnapshot,
  type SubscriptionTimer,
  subscriptionStepper
} from "../../actors/Subscription.ts"
import {
  ackedRangesMax,
  deliveriesPerCredit,
  deliveryBytesMax,
  deliveryMessagesMax,
  refusedMessagesMax
} from "../../protocol/Limits.ts"
import { type Offset, offsetOf } from "../../protocol/Log.ts"
import { BrokerUnavailable, type SubscribeOptions, SubscriptionTakenOver } from "../Broker.ts"
import {
  type Actor,
  type ActorLoop,
  type Handlers,
  noEvents,
  onStop,
  type RunFork,
  startWork
} from "../Interpreter.ts"
import { type OffsetLog, type ReadFailed, runBytes } from "../OffsetLog.ts"
import type { Rejects } from "../Rejects.ts"
import * as Timers from "../Timers.ts"
import * as Deliveries from "./Deliveries.ts"
import { unavailable, unreadable } from "./publishing.ts"

type SubscriptionActor = Actor<SubscriptionSnapshot, SubscriptionRequest>
type SubscriptionCommand = ReturnType<typeof subscriptionStepper.initial>[1][number]

/** How often a message that is refused is delivered again, and how long after. */
export interface RedeliveryOptions {
  readonly redeliveriesMax: number
  readonly redeliveryDelayMs: number
}

/** A subscription from the moment it is asked for; the actor is there once the Broker has opened it. */
export interface OpenSubscription {
  readonly options: SubscribeOptions
  readonly scope: Scope.Scope
  readonly delivered: Deliveries.Deliveries
  actor: SubscriptionActor | undefined
  messagesMissed: number
  /** Why it is not the subscriber's any more. */
  lostTo: SubscriptionTakenOver | BrokerUnavailable | undefined
}

/** What every subscription of a broker has in common. */
interface Surroundings {
  readonly log: OffsetLog["Type"]
  readonly rejects: Rejects["Type"]
  readonly loop: ActorLoop
  readonly redelivery: RedeliveryOptions
  /** What was told as gaps, by all subscriptions that were ever open. */
  readonly gaps: { count: number; messages: number }
}

const makeHandlers =
  (
    { log, rejects, gaps }: Surroundings,
    entry: OpenSubscription,
    timers: Effect.Effect.Success<ReturnType<typeof Timers.make<SubscriptionTimer>>>,
    runFork: RunFork
  ) =>
  (self: SubscriptionActor): Handlers<SubscriptionCommand, SubscriptionRequest> => {
    const { delivered, options } = entry
    const { subscriberId } = options
    const { armTimer } = timers((timer, nowMs) => self.send({ type: "TimerFired", timer, nowMs }))
    /** What can't be read can't be delivered: the subscriber is told, and may come again. */
    const reading = <A>(read: Effect.Effect<A, ReadFailed>, use: (read: A) => SubscriptionRequest) =>
      startWork(
        self,
        runFork,
        Effect.either(
          Effect.tapError(read, ({ message }) =>
            Effect.logError(`${subscriberId} can't be served: ${message}`)
          )
        ),
        // What is passed on and what is told of it are one step: it may be acknowledged at once.
        Either.match({
          onLeft: (failed): SubscriptionRequest => {
            entry.lostTo = unreadable(failed)
            delivered.end(entry.lostTo)
            return { type: "Close" }
          },
          onRight: use
        })
      )
    return {
      deliver: ({ from, messagesMax, bytesMax }) =>
        reading(log.read(from, { recordsMax: messagesMax, bytesMax }), ({ firstOffset, runs }) => {
          if (firstOffset > from) return { type: "RangeMissing", oldest: firstOffset }
          const payloads = runs.length === 1 ? runs[0]!.payloads : runs.flatMap((run) => run.payloads)
          const bytes = runs.reduce((sum, run) => sum + runBytes(run), 0)
          const hasBacklog = delivered.offer({ _tag: "Messages", firstOffset, payloads }, bytes)
          return { type: "RangeDelivered", from, to: offsetOf(from + payloads.length), bytes, hasBacklog }
        }),
      redeliver: ({ offset }) =>
        reading(readOne(log, offset), (run) => {
          if (run === undefined) return { type: "RedeliveryMissing", offset }
          const bytes = runBytes(run)
          const again = { _tag: "Messages" as const, firstOffset: offset, payloads: run.payloads }
          return { type: "Redelivered", offset, bytes, hasBacklog: delivered.offer(again, bytes) }
        }),
      quarantine: ({ offset, deliveries }) =>
        Effect.map(
          Effect.orElseSucceed(readOne(log, offset), () => undefined),
          (run) => {
            rejects.add("nacked", () => ({
              origin: `offset ${offset}, refused ${deliveries} times by ${subscriberId}`,
              input: run === undefined ? "" : new TextDecoder().decode(run.payloads[0])
            }))
            return noEvents
          }
        ),
      tellGap: ({ from, to }) => {
        const isFirst = entry.messagesMissed === 0
        entry.messagesMissed += to - from
        gaps.count++
        gaps.messages += to - from
        delivered.offer({ _tag: "Gap", from, to }, 0)
        // A subscription that is too slow is overtaken again and again: the figures go on to tell.
        if (!isFirst) return noEvents
        return Effect.as(
          Effect.logWarning(`${subscriberId} missed offsets ${from} to ${to - 1}: the log dropped them`),
          noEvents
        )
      },
      allowCommit: ({ replyTo, offset }) => {
        self.reply(replyTo, Exit.succeed(offset))
        return noEvents
      },
      refuseAcknowledge: ({ replyTo, reason }) => {
        self.reply(replyTo, Exit.fail(reason))
        return noEvents
      },
      armTimer,
      endDelivery: () => {
        delivered.end(new SubscriptionTakenOver({ subscriberId }))
        return noEvents
      }
    }
  }

/** Who has it subscribes again, and is then where it was sent. */
const checkpointSet = new BrokerUnavailable({
  problem: "an operator has set the checkpoint: subscribe again"
})

/** The record at an offset, alone; `undefined` where it was dropped. */
const readOne = (log: OffsetLog["Type"], offset: Offset) =>
  Effect.map(log.read(offset, { recordsMax: 1, bytesMax: 1 }), ({ firstOffset, runs }) =>
    firstOffset === offset ? runs[0] : undefined
  )

const spawnActor = (
  surroundings: Surroundings,
  entry: OpenSubscription,
  range: { readonly start: Offset; readonly end: Offset }
) =>
  Effect.gen(function* () {
    const { creditMessages, creditBytes, subscriberId } = entry.options
    const timers = yield* Timers.make<SubscriptionTimer>()
    const actor = yield* surroundings.loop.spawn({
      name: `subscription ${subscriberId}`,
      stepper: subscriptionStepper,
      initial: subscriptionStepper.initial({
        ...range,
        ...surroundings.redelivery,
        creditMessages,
        creditBytes,
        deliveryMessagesMax,
        // Bytes come back when all of a delivery is done: in portions, or one message would hold back everything.
        deliveryBytesMax: Math.min(deliveryBytesMax, Math.ceil(creditBytes / deliveriesPerCredit)),
        ackedRangesMax,
        refusedMax: refusedMessagesMax
      }),
      // Nothing of a subscription is recoverable, so it has no facts.
      isFact: () => false,
      journal: () => Effect.void,
      handlers: makeHandlers(surroundings, entry, timers, Runtime.runFork(yield* Effect.runtime<never>()))
    })
    // One that ends by a defect must not leave its subscriber waiting.
    yield* onStop(actor, (stopped) => Effect.sync(() => entry.delivered.end(unavailable(stopped))))
    return actor
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
  /** Ends delivery to a subscription that was taken over, or unsubscribed, or that is to start elsewhere. */
  readonly end: (key: number, reason: "lost" | "checkpoint_set") => void
  /** Ends every delivery: the broker has stopped. */
  readonly endAll: (reason: BrokerUnavailable) => void
  /** Those that are delivered to, and the next offset of each. */
  readonly cursors: () => ReadonlyArray<{ readonly entry: OpenSubscription; readonly cursor: Offset }>
  readonly gaps: () => { readonly count: number; readonly messages: number }
}

export const make = (surroundings: Omit<Surroundings, "gaps">): Subscriptions => {
  const open = new Map<number, OpenSubscription>()
  const gaps = { count: 0, messages: 0 }
  let nextKey = 0
  return {
    register: (options) =>
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        const entry: OpenSubscription = {
          options,
          scope,
          delivered: Deliveries.make(deliveryBytesMax, () => entry.actor?.send({ type: "BacklogTaken" })),
          actor: undefined,
          messagesMissed: 0,
          lostTo: undefined
        }
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
        const spawned = spawnActor({ ...surroundings, gaps }, entry, range)
        return Effect.map(Scope.extend(spawned, entry.scope), (actor) => {
          entry.actor = actor
        })
      }),
    wake: (end) => {
      for (const { actor } of open.values()) actor?.sendLatest({ type: "LogGrew", end })
    },
    end: (key, reason) => {
      const entry = open.get(key)
      if (entry === undefined) return
      const { subscriberId } = entry.options
      entry.lostTo = reason === "checkpoint_set" ? checkpointSet : new SubscriptionTakenOver({ subscriberId })
      entry.delivered.end(entry.lostTo)
      entry.actor?.send({ type: "Close" })
      open.delete(key)
    },
    endAll: (reason) => {
      for (const { delivered } of open.values()) delivered.end(reason)
    },
    cursors: () =>
      [...open.values()].flatMap((entry) =>
        entry.actor === undefined ? [] : [{ entry, cursor: entry.actor.snapshot().context.volatile.cursor }]
      ),
    gaps: () => ({ ...gaps })
  }
}
