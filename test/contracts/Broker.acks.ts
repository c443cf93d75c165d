/** The part of the Broker contract about messages that are acknowledged one by one, or refused. */
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import {
  AcknowledgeRefused,
  Broker,
  type Subscription,
  SubscriptionTakenOver
} from "../../src/layers/Broker.ts"
import { offsetOf } from "../../src/protocol/Log.ts"
import type { Test } from "./Broker.contract.ts"
import {
  commit,
  messages,
  publish,
  type Received,
  receive,
  receiveUntil,
  subscribe
} from "./Broker.messages.ts"

const texts = ["a", "b", "c", "d"]
const ack = (subscription: Subscription, ...offsets: ReadonlyArray<number>) =>
  subscription.ack(offsets.map(offsetOf))
const nack = (subscription: Subscription, offset: number) => subscription.nack(offsetOf(offset))

const refused = (offset: number, reason: AcknowledgeRefused["reason"]) =>
  new AcknowledgeRefused({ offset, reason })

export const acks = (test: Test): void => {
  acknowledging(test)
  refusing(test)
  leaving(test)
}

const acknowledging = (test: Test): void => {
  test(
    "acks may come in any order; the checkpoint is the offset below which all are done",
    Effect.gen(function* () {
      yield* publish(...texts)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* subscribe("s", { resume: "always" })
          yield* receiveUntil(first, 4)
          expect(yield* ack(first, 3)).toBe(0)
          expect(yield* ack(first, 1)).toBe(0)
          expect(yield* ack(first, 0)).toBe(2)
          expect(yield* ack(first, 0, 1, 3), "done is done").toBe(2)
        })
      )
      const again = yield* subscribe("s", { resume: "always" })
      expect(again.start).toBe(2)
      expect(yield* receiveUntil(again, 4)).toEqual(messages(2, "c", "d"))
      expect(yield* ack(again, 2, 3)).toBe(4)
    })
  )
  test(
    "the first ack of a subscriber without a checkpoint makes it one, at which it starts from then on if it asks to",
    Effect.gen(function* () {
      yield* publish(...texts)
      yield* Effect.scoped(subscribe("s", { from: "latest", resume: "if_known" }))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* subscribe("s", { resume: "if_known" })
          expect(first.start).toBe(0)
          yield* receiveUntil(first, 4)
          expect(yield* ack(first, 0)).toBe(1)
        })
      )
      expect((yield* subscribe("s", { from: "latest", resume: "if_known" })).start).toBe(1)
    })
  )
  test(
    "an ack of what was not delivered is refused, with all that came with it",
    Effect.gen(function* () {
      yield* publish(...texts)
      const limited = yield* subscribe("s", { resume: "always", creditMessages: 2 })
      yield* receiveUntil(limited, 2)
      expect(yield* Effect.flip(ack(limited, 0, 2))).toEqual(refused(2, "beyond_delivered"))
      expect(yield* ack(limited, 1)).toBe(0)
      // A credit came back.
      expect(yield* receive(limited)).toEqual(messages(2, "c"))
    })
  )
}

/** What comes next, one message at a time. */
const next = (subscription: Subscription) => {
  const held: Array<Received> = []
  return Effect.gen(function* () {
    while (held.length === 0) held.push(...(yield* receive(subscription)))
    return held.shift()!
  })
}

const refusing = (test: Test): void => {
  const soon = { redeliveryDelayMs: 5, redeliveriesMax: 2 }
  test(
    "a nacked message comes again and delays no later one; acked then, it is done",
    Effect.gen(function* () {
      const one = yield* subscribe("s", { resume: "always", creditMessages: 1 })
      const take = next(one)
      yield* publish("a", "b")
      expect(yield* take).toEqual({ offset: 0, text: "a" })
      yield* nack(one, 0)
      // With credit for a single message, the refused one holds none of it.
      const second = yield* take
      expect([0, 1]).toContain((second as { readonly offset: number }).offset)
      yield* ack(one, (second as { readonly offset: number }).offset)
      const third = yield* take
      expect([second, third].map((one) => (one as { readonly text: string }).text).sort()).toEqual(["a", "b"])
      expect(yield* ack(one, 0, 1)).toBe(2)
    }),
    soon
  )
  test(
    "a message that is nacked again and again is given up, and the checkpoint goes on",
    Effect.gen(function* () {
      yield* publish("poison", "b")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const one = yield* subscribe("s", { resume: "always" })
          const take = next(one)
          expect([yield* take, yield* take]).toEqual(messages(0, "poison", "b"))
          expect(yield* ack(one, 1)).toBe(0)
          for (let redelivery = 0; redelivery < soon.redeliveriesMax; redelivery++) {
            yield* nack(one, 0)
            expect(yield* take).toEqual({ offset: 0, text: "poison" })
          }
          yield* nack(one, 0)
          expect(yield* Effect.flip(nack(one, 0))).toEqual(refused(0, "not_outstanding"))
        })
      )
      expect((yield* subscribe("s", { resume: "always" })).start).toBe(2)
    }),
    soon
  )
  test(
    "a nack of what is not with the subscriber is refused",
    Effect.gen(function* () {
      yield* publish(...texts)
      const one = yield* subscribe("s", { resume: "always" })
      yield* receiveUntil(one, 4)
      yield* commit(one, 2)
      expect(yield* Effect.flip(nack(one, 1))).toEqual(refused(1, "not_outstanding"))
      expect(yield* Effect.flip(nack(one, 4))).toEqual(refused(4, "not_outstanding"))
      yield* subscribe("s")
      expect(yield* Effect.flip(nack(one, 3))).toBeInstanceOf(SubscriptionTakenOver)
    })
  )
}

const leaving = (test: Test): void => {
  test(
    "unsubscribing ends the subscription and forgets the checkpoint",
    Effect.gen(function* () {
      yield* publish(...texts)
      const first = yield* subscribe("s", { resume: "always" })
      yield* receiveUntil(first, 4)
      yield* commit(first, 3)
      yield* first.unsubscribe
      expect(yield* Effect.flip(receive(first))).toBeInstanceOf(SubscriptionTakenOver)
      expect(yield* Effect.flip(first.unsubscribe)).toBeInstanceOf(SubscriptionTakenOver)
      const { checkpoints } = yield* (yield* Broker).stats
      expect(checkpoints).toEqual([])
      expect((yield* subscribe("s", { resume: "always" })).start).toBe(0)
    })
  )
  test(
    "only the holder of a subscription can unsubscribe",
    Effect.gen(function* () {
      const loser = yield* subscribe("s", { resume: "always" })
      const winner = yield* subscribe("s", { resume: "always" })
      expect(yield* Effect.flip(loser.unsubscribe)).toBeInstanceOf(SubscriptionTakenOver)
      yield* publish("a")
      expect(yield* receive(winner)).toEqual(messages(0, "a"))
    })
  )
}
