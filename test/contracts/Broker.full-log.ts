/** The part of the Broker contract about a log that has no room: publishing waits, and nothing uncommitted is dropped. */
import { expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Broker } from "../../src/layers/Broker.ts"
import { offsetOf } from "../../src/protocol/Log.ts"
import type { Test } from "./Broker.contract.ts"
import {
  commit,
  endOf,
  hello,
  messages,
  numbered,
  payload,
  publish,
  type Received,
  receive,
  receiveUntil,
  recordsWait,
  subscribe
} from "./Broker.messages.ts"

const small = { retentionBytes: 32 * 1024 }
/** Eight of them do not fit into the small log, seven do. */
const large = (text: string): string => text.padEnd(4_096, ".")

/** Publishes one record at a time until the log has no room, and the last one waits. */
const fill = Effect.gen(function* () {
  const broker = yield* Broker
  let published = 0
  for (;;) {
    const last = yield* Effect.fork(publish(large(`${published}`)))
    while ((yield* broker.stats).waitingRecords === 0) {
      if ((yield* Fiber.poll(last))._tag === "Some") break
      yield* Effect.yieldNow()
    }
    if ((yield* broker.stats).waitingRecords > 0) return { published, waiting: last }
    yield* Fiber.join(last)
    published++
  }
})

export const fullLog = (test: Test): void => {
  blocking(test)
  dropping(test)
}

const blocking = (test: Test): void => {
  test(
    "publishing waits until commits free space, and then goes on",
    Effect.gen(function* () {
      const subscription = yield* subscribe("s", { resume: "always" })
      const { published, waiting } = yield* fill
      expect((yield* (yield* Broker).stats).logBytes).toBeLessThanOrEqual(small.retentionBytes)
      yield* receiveUntil(subscription, published)
      yield* recordsWait(1)
      yield* commit(subscription, published)
      expect(yield* Fiber.join(waiting)).toMatchObject({ duplicates: 0, firstOffset: published })
      expect(yield* receive(subscription)).toEqual(messages(published, large(`${published}`)))
    }),
    small
  )
  test(
    "no publish overtakes one that waits",
    Effect.gen(function* () {
      const subscription = yield* subscribe("s", { resume: "always" })
      const { published, waiting } = yield* fill
      const second = yield* hello("q")
      const later = yield* Effect.fork(second.publish(numbered(0, ["small"])))
      yield* recordsWait(2)
      const session = yield* hello("p")
      const last = yield* Effect.fork(session.publish(numbered(0, ["x", "y"])))
      yield* recordsWait(4)
      yield* receiveUntil(subscription, published)
      yield* commit(subscription, published)
      const receipts = yield* Effect.forEach([waiting, later, last], Fiber.join)
      expect(receipts.map(({ firstOffset }) => firstOffset)).toEqual([
        published,
        published + 1,
        published + 2
      ])
    }),
    small
  )
  test(
    "calls on one session stay in order however many bytes wait",
    Effect.gen(function* () {
      const subscription = yield* subscribe("s", { resume: "always" })
      const session = yield* hello("p")
      const megabytes = payload("x".repeat(9 * 1024 * 1024))
      const calls = Array.from({ length: 9 }, (_, sequence) => ({
        ...numbered(sequence, ["small"]),
        ...(sequence % 3 === 2 ? {} : { payloads: [megabytes] })
      }))
      const publishing = yield* Effect.fork(
        Effect.forEach(calls, session.publish, { concurrency: "unbounded" })
      )
      for (let end: number = subscription.start; end < calls.length; ) {
        end = endOf(yield* receive(subscription), end)
        yield* commit(subscription, end)
      }
      const receipts = yield* Fiber.join(publishing)
      expect(receipts.map(({ firstOffset }) => firstOffset)).toEqual(calls.map((_, sequence) => sequence))
    }),
    { retentionBytes: 12 * 1024 * 1024 }
  )
  test(
    "a hello fences what its producer has waiting, at once, whatever waits before it",
    Effect.gen(function* () {
      const subscription = yield* subscribe("s", { resume: "always" })
      const first = yield* hello("p")
      const { published, waiting } = yield* fill
      const fenced = yield* Effect.fork(Effect.flip(first.publish(numbered(0, ["of the first session"]))))
      yield* recordsWait(2)
      const second = yield* hello("p")
      expect(second.lastSequence).toBe(null)
      expect(yield* Fiber.join(fenced)).toMatchObject({ reason: "fenced" })
      yield* recordsWait(1)
      yield* receiveUntil(subscription, published)
      yield* commit(subscription, published)
      yield* Fiber.join(waiting)
      yield* second.publish(numbered(0, ["of the second"]))
      expect(yield* receiveUntil(subscription, published + 2)).toEqual(
        messages(published, large(`${published}`), "of the second")
      )
    }),
    small
  )
  test(
    "a record larger than all that the log may hold is refused, and so is everything behind it in its group",
    Effect.gen(function* () {
      const huge = "x".repeat(small.retentionBytes + 1)
      const session = yield* hello("p")
      const texts = ["a", huge, "c"]
      expect(yield* Effect.flip(session.publish(numbered(0, texts)))).toMatchObject({ reason: "too_large" })
      expect(yield* Effect.flip(publish("d", huge, "f"))).toMatchObject({ reason: "too_large" })
      const unknown = yield* hello("q")
      expect(yield* Effect.flip(unknown.publish(numbered(0, [huge, "h"])))).toMatchObject({
        reason: "too_large"
      })
      yield* publish("end")
      const received = yield* receiveUntil(yield* subscribe("s"), 3)
      expect(received).toEqual(messages(0, "a", "d", "end"))
    }),
    small
  )
  test(
    "a group larger than the whole log goes through it while it is read",
    Effect.gen(function* () {
      const subscription = yield* subscribe("s", { resume: "always" })
      const texts = Array.from({ length: 30 }, (_, n) => large(`${n}`))
      const broker = yield* Broker
      const publishing = yield* Effect.fork(broker.publish(texts.map(payload)))
      const received: Array<Received> = []
      while (received.length < texts.length) {
        received.push(...(yield* receive(subscription)))
        yield* commit(subscription, endOf(received, 0))
      }
      expect(received).toEqual(messages(0, ...texts))
      expect(yield* Fiber.join(publishing)).toMatchObject({ duplicates: 0, firstOffset: 0 })
    }),
    small
  )
}

const dropping = (test: Test): void => {
  test(
    "without checkpoints the oldest goes, and a subscription that is overtaken is told the gap",
    Effect.gen(function* () {
      const slow = yield* subscribe("slow", { creditMessages: 1 })
      yield* publish(large("0"))
      expect(yield* receive(slow)).toEqual(messages(0, large("0")))
      const texts = Array.from({ length: 30 }, (_, n) => large(`${n}`))
      for (const text of texts.slice(1)) yield* publish(text)
      const { oldestOffset, nextOffset, waitingRecords } = yield* (yield* Broker).stats
      expect([nextOffset, waitingRecords]).toEqual([30, 0])
      expect(oldestOffset).toBeGreaterThan(1)
      yield* commit(slow, 1)
      const received: Array<Received> = []
      while (endOf(received, 1) < 30) {
        received.push(...(yield* receive(slow)))
        yield* commit(slow, endOf(received, 1))
      }
      expect(received).toEqual([
        { from: 1, to: oldestOffset },
        ...messages(oldestOffset, ...texts.slice(oldestOffset))
      ])
    }),
    small
  )
  test(
    "with drop_oldest nobody is waited for: whoever is overtaken goes on at the oldest, and the gap is told and counted",
    Effect.gen(function* () {
      const broker = yield* Broker
      const slow = yield* subscribe("slow", { resume: "always", creditMessages: 1 })
      const texts = Array.from({ length: 30 }, (_, n) => large(`${n}`))
      for (const text of texts) yield* publish(text)
      const { oldestOffset, checkpoints } = yield* broker.stats
      expect(checkpoints).toMatchObject([{ subscriberId: "slow", offset: 0, holdsBackForMs: null }])
      expect(oldestOffset).toBeGreaterThan(1)
      expect(yield* receive(slow)).toEqual(messages(0, texts[0]!))
      yield* commit(slow, 1)
      expect(yield* receive(slow)).toEqual([
        { from: 1, to: oldestOffset },
        ...messages(oldestOffset, texts[oldestOffset]!)
      ])
      const { subscribers, gaps } = yield* broker.stats
      expect(subscribers).toMatchObject([{ subscriberId: "slow", messagesMissed: oldestOffset - 1 }])
      expect(gaps).toEqual({ count: 1, messages: oldestOffset - 1 })
    }),
    { ...small, whenFull: "drop_oldest" }
  )
  test(
    "below the oldest message means at the oldest, and says so",
    Effect.gen(function* () {
      for (let n = 0; n < 30; n++) yield* publish(large(`${n}`))
      const { oldestOffset } = yield* (yield* Broker).stats
      const subscription = yield* subscribe("s", { from: offsetOf(0) })
      expect([subscription.start, subscription.clamped]).toEqual([oldestOffset, true])
      const earliest = yield* subscribe("e")
      expect([earliest.start, earliest.clamped]).toEqual([oldestOffset, false])
    }),
    small
  )
  test(
    "what retention drops tells nothing new: duplicates are known and producers go on",
    Effect.gen(function* () {
      const session = yield* hello("p")
      yield* session.publish(numbered(0, ["a"]))
      for (let n = 0; n < 30; n++) yield* publish(large(`${n}`))
      expect((yield* (yield* Broker).stats).oldestOffset).toBeGreaterThan(0)
      expect(yield* session.publish(numbered(0, ["a"]))).toMatchObject({ duplicates: 1, firstOffset: 0 })
      const again = yield* hello("p")
      expect([again.lastSequence, again.lastPosition]).toEqual([0, "at 0"])
    }),
    small
  )
}
