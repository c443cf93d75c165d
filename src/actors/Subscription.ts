/**
 * A Subscription: how far to deliver and whether, what is still unacknowledged, and what comes again.
 *
 * All of it is volatile: the checkpoint is the Broker's fact, and a subscription ends with its connection. The machine
 * decides a range; the data plane reads it and passes it on without further steps.
 */
import { assign, enqueueActions, setup } from "xstate"
import type { Offset } from "../protocol/Log.ts"
import { offsetOf } from "../protocol/Log.ts"
import { command, stepper } from "./Step.ts"
import { withDelivered, withoutBelow, withoutOne } from "./subscription/Outstanding.ts"
import {
  dueBy,
  findRefused,
  isUnderway,
  nextDueMs,
  withoutRefused,
  withRefused
} from "./subscription/Redelivery.ts"
import {
  creditLeft,
  doneBelow,
  type RefusedAcknowledgement,
  rangesHeld,
  type SubscriptionContext,
  type SubscriptionInput,
  type SubscriptionRequest,
  type SubscriptionTimer,
  type Volatile
} from "./subscription/State.ts"

export type { SubscriptionInput, SubscriptionRequest, SubscriptionTimer } from "./subscription/State.ts"

const setupSubscription = setup({
  types: {
    context: {} as SubscriptionContext,
    events: {} as SubscriptionRequest,
    input: {} as SubscriptionInput
  },
  actions: {
    /** Read what there is from `from` on, within the limits, and pass it to the subscriber. */
    deliver: command<{ readonly from: Offset; readonly messagesMax: number; readonly bytesMax: number }>(),
    /** Pass this one message to the subscriber again. */
    redeliver: command<{ readonly offset: Offset }>(),
    tellGap: command<{ readonly from: Offset; readonly to: Offset }>(),
    /** Everything below `offset` may be committed: it is done. */
    allowCommit: command<{ readonly replyTo: number; readonly offset: Offset }>(),
    refuseAcknowledge: command<{ readonly replyTo: number; readonly reason: RefusedAcknowledgement }>(),
    /** The subscriber has refused this message for the last time. */
    quarantine: command<{ readonly offset: Offset; readonly deliveries: number }>(),
    armTimer: command<{ readonly timer: SubscriptionTimer; readonly delayMs: number }>(),
    endDelivery: command<undefined>()
  }
})

type InContext = { readonly context: SubscriptionContext }

/** Whether the subscriber takes more: it has credit, and has taken what was passed on to it before. */
const takesMore = (volatile: Volatile): boolean => {
  const { messages, bytes } = creditLeft(volatile)
  const isRead = volatile.isReading || isUnderway(volatile.refused)
  return messages > 0 && bytes > 0 && !volatile.hasBacklog && !isRead
}

const canDeliver = ({ context: { volatile } }: InContext): boolean =>
  takesMore(volatile) && rangesHeld(volatile) <= volatile.ackedRangesMax

const isBehind = ({ context: { volatile } }: InContext): boolean => volatile.cursor < volatile.end

/**
 * What is due goes before what is new: it comes out of the same credit. One at a time, as its size is known only when it
 * was read.
 */
const redeliverDue = setupSubscription.enqueueActions(({ context: { volatile }, enqueue }) => {
  const due = volatile.refused.find(({ state }) => state._tag === "Due")
  if (due === undefined || !takesMore(volatile)) return
  const refused = withRefused(volatile.refused, { ...due, state: { _tag: "Underway" } })
  enqueue.assign({ volatile: { ...volatile, refused } })
  enqueue({ type: "redeliver", params: { offset: due.offset } })
})

/** Whether so much would stand apart that it is not taken: as many as there may be do already. */
const standsTooFarApart = (held: Volatile, then: Volatile): boolean =>
  rangesHeld(then) > Math.max(rangesHeld(held), held.ackedRangesMax + 1)

/** What is left when one message is done, wherever it stands; `undefined` where it was not out. */
const withDone = (volatile: Volatile, offset: Offset): Volatile | undefined => {
  if (findRefused(volatile.refused, offset) !== undefined) {
    return { ...volatile, refused: withoutRefused(volatile.refused, offset) }
  }
  const delivered = withoutOne(volatile.delivered, offset)
  return delivered && { ...volatile, delivered }
}

export const subscriptionMachine = setupSubscription.createMachine({
  id: "subscription",
  context: ({ input: { start, end, ...limits } }) => ({
    recoverable: null,
    volatile: {
      ...limits,
      cursor: start,
      end,
      delivered: [],
      refused: [],
      hasBacklog: false,
      isReading: false
    }
  }),
  initial: "caughtUp",
  states: {
    caughtUp: { always: { guard: isBehind, target: "waitingForCredit" } },
    waitingForCredit: { always: { guard: canDeliver, target: "reading" } },
    reading: {
      entry: enqueueActions(({ context: { volatile }, enqueue }) => {
        const credit = creditLeft(volatile)
        enqueue.assign({ volatile: { ...volatile, isReading: true } })
        enqueue({
          type: "deliver",
          params: {
            from: volatile.cursor,
            messagesMax: Math.min(credit.messages, volatile.deliveryMessagesMax),
            bytesMax: Math.min(credit.bytes, volatile.deliveryBytesMax)
          }
        })
      }),
      on: {
        RangeDelivered: {
          target: "caughtUp",
          actions: [
            assign(({ context: { volatile }, event: { from, to, bytes, hasBacklog } }) => ({
              volatile: {
                ...volatile,
                isReading: false,
                hasBacklog,
                cursor: to,
                delivered: withDelivered(
                  volatile.delivered,
                  { from, to, bytes },
                  Number.isFinite(volatile.creditBytes)
                )
              }
            })),
            redeliverDue
          ]
        },
        RangeMissing: {
          target: "caughtUp",
          actions: enqueueActions(({ context: { volatile }, event: { oldest }, enqueue }) => {
            enqueue({ type: "tellGap", params: { from: volatile.cursor, to: oldest } })
            enqueue.assign({ volatile: { ...volatile, isReading: false, cursor: oldest } })
            enqueue(redeliverDue)
          })
        }
      }
    },
    closed: {
      on: {
        "*": {
          actions: enqueueActions(({ event, enqueue }) => {
            if (!("replyTo" in event)) return
            enqueue({
              type: "refuseAcknowledge",
              params: { replyTo: event.replyTo, reason: "subscription_ended" }
            })
          })
        }
      }
    }
  },
  on: {
    LogGrew: {
      actions: assign(({ context: { volatile }, event: { end } }) => ({ volatile: { ...volatile, end } }))
    },
    BacklogTaken: {
      actions: [
        assign(({ context: { volatile } }) => ({ volatile: { ...volatile, hasBacklog: false } })),
        redeliverDue
      ]
    },
    AcknowledgeBelow: {
      actions: [
        enqueueActions(({ context: { volatile }, event: { below, replyTo }, enqueue }) => {
          if (below > volatile.cursor) {
            enqueue({ type: "refuseAcknowledge", params: { replyTo, reason: "beyond_delivered" } })
            return
          }
          const delivered = withoutBelow(volatile.delivered, below)
          const refused = volatile.refused.filter(({ offset }) => offset >= below)
          enqueue.assign({ volatile: { ...volatile, delivered, refused } })
          enqueue({ type: "allowCommit", params: { replyTo, offset: below } })
        }),
        redeliverDue
      ]
    },
    Acknowledge: {
      actions: [
        enqueueActions(({ context: { volatile }, event: { offsets, replyTo }, enqueue }) => {
          if (offsets.some((offset) => offset >= volatile.cursor)) {
            enqueue({ type: "refuseAcknowledge", params: { replyTo, reason: "beyond_delivered" } })
            return
          }
          // One that is done already is done.
          const done = offsets.reduce((state, offset) => withDone(state, offset) ?? state, volatile)
          if (standsTooFarApart(volatile, done)) {
            enqueue({ type: "refuseAcknowledge", params: { replyTo, reason: "too_many_ahead" } })
            return
          }
          enqueue.assign({ volatile: done })
          enqueue({ type: "allowCommit", params: { replyTo, offset: doneBelow(done) } })
        }),
        redeliverDue
      ]
    },
    Refuse: {
      actions: [
        enqueueActions(({ context: { volatile }, event: { offset, replyTo, nowMs }, enqueue }) => {
          const before = findRefused(volatile.refused, offset)
          const rest = withDone(volatile, offset)
          if (rest === undefined || (before !== undefined && before.state._tag !== "Out")) {
            enqueue({ type: "refuseAcknowledge", params: { replyTo, reason: "not_outstanding" } })
            return
          }
          const redeliveries = before?.redeliveries ?? 0
          if (redeliveries >= volatile.redeliveriesMax) {
            enqueue.assign({ volatile: rest })
            enqueue({ type: "quarantine", params: { offset, deliveries: redeliveries + 1 } })
            enqueue({ type: "allowCommit", params: { replyTo, offset: doneBelow(rest) } })
            return
          }
          const state = { _tag: "Waiting" as const, dueMs: nowMs + volatile.redeliveryDelayMs }
          const refused = withRefused(rest.refused, { offset, redeliveries: redeliveries + 1, state })
          const waiting = { ...rest, refused }
          if (refused.length > volatile.refusedMax || standsTooFarApart(volatile, waiting)) {
            enqueue({ type: "refuseAcknowledge", params: { replyTo, reason: "too_many_ahead" } })
            return
          }
          enqueue.assign({ volatile: waiting })
          if (nextDueMs(rest.refused) === undefined) {
            enqueue({
              type: "armTimer",
              params: { timer: "redeliver", delayMs: volatile.redeliveryDelayMs }
            })
          }
          enqueue({ type: "allowCommit", params: { replyTo, offset: doneBelow(waiting) } })
        }),
        redeliverDue
      ]
    },
    TimerFired: {
      actions: [
        enqueueActions(({ context: { volatile }, event: { nowMs }, enqueue }) => {
          const refused = dueBy(volatile.refused, nowMs)
          enqueue.assign({ volatile: { ...volatile, refused } })
          const next = nextDueMs(refused)
          if (next === undefined) return
          enqueue({ type: "armTimer", params: { timer: "redeliver", delayMs: Math.max(1, next - nowMs) } })
        }),
        redeliverDue
      ]
    },
    Redelivered: {
      actions: [
        assign(({ context: { volatile }, event: { offset, bytes, hasBacklog } }) => {
          const message = findRefused(volatile.refused, offset)
          // It may have been acknowledged while it was read.
          const refused =
            message === undefined
              ? volatile.refused
              : withRefused(volatile.refused, { ...message, state: { _tag: "Out", bytes } })
          return { volatile: { ...volatile, refused, hasBacklog } }
        }),
        redeliverDue
      ]
    },
    RedeliveryMissing: {
      actions: [
        enqueueActions(({ context: { volatile }, event: { offset }, enqueue }) => {
          if (findRefused(volatile.refused, offset) === undefined) return
          enqueue({ type: "tellGap", params: { from: offset, to: offsetOf(offset + 1) } })
          enqueue.assign({ volatile: { ...volatile, refused: withoutRefused(volatile.refused, offset) } })
        }),
        redeliverDue
      ]
    },
    Close: { target: ".closed", actions: { type: "endDelivery", params: undefined } }
  }
})

export const subscriptionStepper = stepper(subscriptionMachine)
export type SubscriptionSnapshot = ReturnType<typeof subscriptionStepper.initial>[0]
