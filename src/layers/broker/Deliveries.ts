/**
 * What was delivered to a subscription and not taken yet. It tells when it is so much that no more is to be delivered, so
 * that it is bounded also for a subscriber whose credit is infinite.
 *
 * (Effect's Mailbox loses a wake-up where its taker is made to yield between finding it empty and waiting, unless tasks run
 * in the very order in which they were scheduled. This one looks again.)
 */
import { Effect } from "effect"
import type { BrokerUnavailable, Delivery, SubscriptionTakenOver } from "../Broker.ts"

type EndReason = SubscriptionTakenOver | BrokerUnavailable

export interface Deliveries {
  /** Answers whether there is a backlog now, until `take` says that it was taken. */
  readonly offer: (delivery: Delivery, bytes: number) => boolean
  /** Nothing more comes, for that reason; what was offered before can still be taken. The first reason stays. */
  readonly end: (reason: EndReason) => void
  /** All that is there, waiting for something to be. It has one caller at a time. */
  readonly take: Effect.Effect<ReadonlyArray<Delivery>, EndReason>
}

export const make = (bytesMax: number, backlogTaken: () => void): Deliveries => {
  let held: Array<Delivery> = []
  let bytesHeld = 0
  let ended: EndReason | undefined
  let wake: (() => void) | undefined

  const changed = (): void => {
    const waiting = wake
    wake = undefined
    waiting?.()
  }
  const awaitChange = Effect.async<void>((resume) => {
    // Looked at again, as the fiber may have been made to yield since it found nothing.
    if (held.length > 0 || ended !== undefined) resume(Effect.void)
    else wake = () => resume(Effect.void)
  })
  const take: Deliveries["take"] = Effect.suspend(() => {
    if (held.length > 0) {
      const taken = held
      const wasBacklog = bytesHeld >= bytesMax
      held = []
      bytesHeld = 0
      if (wasBacklog) backlogTaken()
      return Effect.succeed(taken)
    }
    return ended === undefined ? Effect.zipRight(awaitChange, take) : Effect.fail(ended)
  })
  return {
    offer: (delivery, bytes) => {
      if (ended !== undefined) return false
      held.push(delivery)
      bytesHeld += bytes
      changed()
      return bytesHeld >= bytesMax
    },
    end: (reason) => {
      ended ??= reason
      changed()
    },
    take
  }
}
