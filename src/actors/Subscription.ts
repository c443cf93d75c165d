/**
 * A Subscription: how far to deliver and whether, and what is still unacknowledged.
 *
 * All of it is volatile: the checkpoint is the Broker's fact, and a subscription ends with its connection. The machine
 * decides a range; the data plane reads it and passes it on without further steps.
 */
import { assign, enqueueActions, setup } from "xstate"
import type { Offset } from "../protocol/Log.ts"
import { command, stepper } from "./Step.ts"

/** Messages that were delivered together and are not all acknowledged. */
interface Unacked {
  readonly from: Offset
  readonly to: Offset
  readonly bytes: number
  /** Some of its messages are acknowledged; its bytes are still those of all. */
  readonly isCut: boolean
}

interface Volatile {
  readonly creditMessages: number
  readonly creditBytes: number
  readonly deliveryMessagesMax: number
  readonly deliveryBytesMax: number
  /** The next message to deliver; everything from the start up to it was delivered, or told as a gap. */
  readonly cursor: Offset
  /** End of the log as far as this subscription was told. */
  readonly end: Offset
  /** Ascending; at most `creditMessages` entries. */
  readonly unacked: ReadonlyArray<Unacked>
}

export interface SubscriptionContext {
  /** Nothing of a subscription has to survive. */
  readonly recoverable: null
  readonly volatile: Volatile
}

export interface SubscriptionInput {
  readonly start: Offset
  readonly end: Offset
  /** Unacknowledged messages, and their bytes, up to which more is delivered. One message is always let through. */
  readonly creditMessages: number
  readonly creditBytes: number
  readonly deliveryMessagesMax: number
  readonly deliveryBytesMax: number
}

export type SubscriptionRequest =
  | { readonly type: "LogGrew"; readonly end: Offset }
  | { readonly type: "RangeDelivered"; readonly from: Offset; readonly to: Offset; readonly bytes: number }
  /** What was to be delivered is no longer in the log. */
  | { readonly type: "RangeMissing"; readonly oldest: Offset }
  | { readonly type: "Acknowledge"; readonly replyTo: number; readonly below: Offset }
  | { readonly type: "Close" }

const setupSubscription = setup({
  types: {
    context: {} as SubscriptionContext,
    events: {} as SubscriptionRequest,
    input: {} as SubscriptionInput
  },
  actions: {
    /** Read what there is from `from` on, within the limits, and pass it to the subscriber. */
    deliver: command<{ readonly from: Offset; readonly messagesMax: number; readonly bytesMax: number }>(),
    tellGap: command<{ readonly from: Offset; readonly to: Offset }>(),
    /** Everything below `offset` may be committed: it was delivered. */
    allowCommit: command<{ readonly replyTo: number; readonly offset: Offset }>(),
    refuseAcknowledge: command<{
      readonly replyTo: number
      readonly reason: "beyond_delivered" | "subscription_ended"
    }>(),
    endDelivery: command<undefined>()
  }
})

/**
 * Ranges below these sizes take in what is delivered next, so that a list of them stays short. One that is cut takes in
 * nothing: its bytes would pile up for a subscriber that always holds back its last message.
 */
const rangeMessagesMin = 64
const rangeBytesMin = 64 * 1024

const withDelivered = (
  unacked: ReadonlyArray<Unacked>,
  range: Omit<Unacked, "isCut">
): ReadonlyArray<Unacked> => {
  const last = unacked.at(-1)
  return last !== undefined &&
    !last.isCut &&
    last.to === range.from &&
    last.to - last.from < rangeMessagesMin &&
    last.bytes < rangeBytesMin
    ? [...unacked.slice(0, -1), { ...last, to: range.to, bytes: last.bytes + range.bytes }]
    : [...unacked, { ...range, isCut: false }]
}

/** What is left unacknowledged when all below an offset is done. A range that it cuts keeps its bytes until its end. */
const unackedFrom = (unacked: ReadonlyArray<Unacked>, below: Offset): ReadonlyArray<Unacked> =>
  unacked.flatMap((range) =>
    range.to <= below ? [] : [range.from < below ? { ...range, from: below, isCut: true } : range]
  )

const creditLeft = ({ creditMessages, creditBytes, unacked }: Volatile) => {
  let messages = creditMessages
  let bytes = creditBytes
  for (const range of unacked) {
    messages -= range.to - range.from
    bytes -= range.bytes
  }
  return { messages, bytes }
}

type InContext = { readonly context: SubscriptionContext }

const hasCredit = ({ context: { volatile } }: InContext): boolean => {
  const { messages, bytes } = creditLeft(volatile)
  return messages > 0 && bytes > 0
}

const isBehind = ({ context: { volatile } }: InContext): boolean => volatile.cursor < volatile.end

export const subscriptionMachine = setupSubscription.createMachine({
  id: "subscription",
  context: ({ input: { start, end, ...limits } }) => ({
    recoverable: null,
    volatile: { ...limits, cursor: start, end, unacked: [] }
  }),
  initial: "caughtUp",
  states: {
    caughtUp: { always: { guard: isBehind, target: "waitingForCredit" } },
    waitingForCredit: { always: { guard: hasCredit, target: "reading" } },
    reading: {
      entry: enqueueActions(({ context: { volatile }, enqueue }) => {
        const credit = creditLeft(volatile)
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
          actions: assign(({ context: { volatile }, event: { from, to, bytes } }) => ({
            volatile: {
              ...volatile,
              cursor: to,
              unacked: withDelivered(volatile.unacked, { from, to, bytes })
            }
          }))
        },
        RangeMissing: {
          target: "caughtUp",
          actions: enqueueActions(({ context: { volatile }, event: { oldest }, enqueue }) => {
            enqueue({ type: "tellGap", params: { from: volatile.cursor, to: oldest } })
            enqueue.assign({ volatile: { ...volatile, cursor: oldest } })
          })
        }
      }
    },
    closed: {
      on: {
        Acknowledge: {
          actions: enqueueActions(({ event: { replyTo }, enqueue }) =>
            enqueue({ type: "refuseAcknowledge", params: { replyTo, reason: "subscription_ended" } })
          )
        }
      }
    }
  },
  on: {
    LogGrew: {
      actions: assign(({ context: { volatile }, event: { end } }) => ({ volatile: { ...volatile, end } }))
    },
    Acknowledge: {
      actions: enqueueActions(({ context: { volatile }, event: { below, replyTo }, enqueue }) => {
        if (below > volatile.cursor) {
          enqueue({ type: "refuseAcknowledge", params: { replyTo, reason: "beyond_delivered" } })
          return
        }
        enqueue.assign({ volatile: { ...volatile, unacked: unackedFrom(volatile.unacked, below) } })
        enqueue({ type: "allowCommit", params: { replyTo, offset: below } })
      })
    },
    Close: { target: ".closed", actions: { type: "endDelivery", params: undefined } }
  }
})

export const subscriptionStepper = stepper(subscriptionMachine)
export type SubscriptionSnapshot = ReturnType<typeof subscriptionStepper.initial>[0]
