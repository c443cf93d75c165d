/** What a Subscription knows, what it is asked, and the figures that its decisions are made of. */
import type { Offset } from "../../protocol/Log.ts"
import { type Delivered, outstanding } from "./Outstanding.ts"
import { outAgain, type RefusedMessages } from "./Redelivery.ts"

export interface SubscriptionLimits {
  /** Unacknowledged messages, and their bytes, up to which more is delivered. One message is always let through. */
  readonly creditMessages: number
  readonly creditBytes: number
  readonly deliveryMessagesMax: number
  readonly deliveryBytesMax: number
  /** Ranges of messages that are done ahead of one that is not; beyond, delivery waits. */
  readonly ackedRangesMax: number
  /** Messages that wait to come again, or have; beyond, none is taken back. */
  readonly refusedMax: number
  /** How often a message that is refused is delivered again, and how long after. */
  readonly redeliveriesMax: number
  readonly redeliveryDelayMs: number
}

export interface Volatile extends SubscriptionLimits {
  /** The next message to deliver; everything from the start up to it was delivered, or told as a gap. */
  readonly cursor: Offset
  /** End of the log as far as this subscription was told. */
  readonly end: Offset
  readonly delivered: ReadonlyArray<Delivered>
  readonly refused: RefusedMessages
  readonly hasBacklog: boolean
  /** A range is being read, so that nobody knows how much credit is left. */
  readonly isReading: boolean
}

export interface SubscriptionContext {
  /** Nothing of a subscription has to survive. */
  readonly recoverable: null
  readonly volatile: Volatile
}

export interface SubscriptionInput extends SubscriptionLimits {
  readonly start: Offset
  readonly end: Offset
}

/** What was passed on to the subscriber. */
interface Passed {
  readonly bytes: number
  /** It has so much to take that no more is to be passed on before it has. */
  readonly hasBacklog: boolean
}

export type SubscriptionTimer = "redeliver"

export type SubscriptionRequest =
  | { readonly type: "LogGrew"; readonly end: Offset }
  | ({ readonly type: "RangeDelivered"; readonly from: Offset; readonly to: Offset } & Passed)
  /** What was to be delivered is no longer in the log. */
  | { readonly type: "RangeMissing"; readonly oldest: Offset }
  | ({ readonly type: "Redelivered"; readonly offset: Offset } & Passed)
  | { readonly type: "RedeliveryMissing"; readonly offset: Offset }
  | { readonly type: "BacklogTaken" }
  /** All messages below an offset are done. */
  | { readonly type: "AcknowledgeBelow"; readonly replyTo: number; readonly below: Offset }
  /** These messages are done, whatever came before them. */
  | { readonly type: "Acknowledge"; readonly replyTo: number; readonly offsets: ReadonlyArray<Offset> }
  /** This message was not processed: it is to come again. */
  | { readonly type: "Refuse"; readonly replyTo: number; readonly offset: Offset; readonly nowMs: number }
  | { readonly type: "TimerFired"; readonly timer: SubscriptionTimer; readonly nowMs: number }
  | { readonly type: "Close" }

export type RefusedAcknowledgement =
  | "beyond_delivered"
  | "not_outstanding"
  | "too_many_ahead"
  | "subscription_ended"

/** The offset below which everything is done: delivered and acknowledged, quarantined, or told as a gap. */
export const doneBelow = ({ cursor, delivered, refused }: Volatile): Offset => {
  let least = cursor
  const open = delivered[0]?.open[0]?.from
  if (open !== undefined && open < least) least = open
  const again = refused[0]?.offset
  return again !== undefined && again < least ? again : least
}

/** What may still be delivered. */
export const creditLeft = ({ creditMessages, creditBytes, delivered, refused }: Volatile) => {
  const first = outstanding(delivered)
  const again = outAgain(refused)
  return {
    messages: creditMessages - first.messages - again.messages,
    bytes: creditBytes - first.bytes - again.bytes
  }
}

/** Ranges that keep what is done ahead of them apart. */
export const rangesHeld = ({ delivered, refused }: Volatile): number =>
  outstanding(delivered).ranges + refused.length
