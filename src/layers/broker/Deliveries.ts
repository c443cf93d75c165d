/**
 * What was delivered to a subscription and not taken yet; the credit of the subscription bounds it.
 *
 * (Effect's Mailbox loses a wake-up where its taker is made to yield between finding it empty and waiting, unless tasks run
 * in the very order in which they were scheduled. This one looks again.)
 */
import { Effect } from "effect"
import type { BrokerUnavailable, Delivery, SubscriptionTakenOver } from "../Broker.ts"

type EndReason = SubscriptionTakenOver | BrokerUnavailable

export interface Deliveries {
  readonly offer: (delivery: Delivery) => void
  /** Nothing more comes, for that reason; what was offered before can still be taken. The first reason stays. */
  readonly end: (reason: EndReason) => void
  /** All that is there, waiting for something to be. It has one caller at a time. */
  readonly take: Effect.Effect<ReadonlyArray<Delivery>, EndReason>
}

export const make = (): Deliveries => {
  let held: Array<Delivery> = []
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
      held = []
      return Effect.succeed(taken)
    }
    return ended === undefined ? Effect.zipRight(awaitChange, take) : Effect.fail(ended)
  })
  return {
    offer: (delivery) => {
      if (ended !== undefined) return
      held.push(delivery)
      changed()
    },
    end: (reason) => {
      ended ??= reason
      changed()
    },
    take
  }
}
