/** The part of the Broker contract about publishing: offsets, sequences, duplicates, fences. */
import { expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Broker, PublishRefused } from "../../src/layers/Broker.ts"
import type { Test } from "./Broker.contract.ts"
import { hello, messages, numbered, publish, receiveUntil, subscribe } from "./Broker.messages.ts"

const logHolds = (...texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { nextOffset } = yield* (yield* Broker).stats
    const received = yield* receiveUntil(yield* subscribe("reader of everything"), nextOffset)
    expect(received).toEqual(messages(0, ...texts))
  })

export const producers = (test: Test): void => {
  test(
    "offsets are dense, in the order in which publishes are appended",
    Effect.gen(function* () {
      expect(yield* publish("a")).toMatchObject({ duplicates: 0, firstOffset: 0 })
      expect(yield* publish("b", "c", "d")).toMatchObject({ duplicates: 0, firstOffset: 1 })
      const session = yield* hello("p")
      expect(yield* session.publish(numbered(0, ["e", "f"]))).toMatchObject({ duplicates: 0, firstOffset: 4 })
      expect(yield* publish("g")).toMatchObject({ duplicates: 0, firstOffset: 6 })
      yield* logHolds("a", "b", "c", "d", "e", "f", "g")
    })
  )
  test(
    "calls on one session are appended in the order in which they are made, however many are on their way",
    Effect.gen(function* () {
      const session = yield* hello("p")
      const texts = Array.from({ length: 100 }, (_, sequence) => `${sequence}`)
      const receipts = yield* Effect.forEach(
        texts,
        (text, sequence) => session.publish(numbered(sequence, [text])),
        { concurrency: "unbounded" }
      )
      expect(receipts).toMatchObject(texts.map((_, firstOffset) => ({ duplicates: 0, firstOffset })))
      yield* logHolds(...texts)
    })
  )
  test(
    "publishing nothing appends nothing",
    Effect.gen(function* () {
      expect(yield* publish()).toMatchObject({ duplicates: 0, firstOffset: null })
      yield* logHolds()
    })
  )
  test(
    "hello tells where a producer is: nowhere, or its last sequence and position",
    Effect.gen(function* () {
      const first = yield* hello("p")
      expect([first.lastSequence, first.lastPosition]).toEqual([null, null])
      yield* first.publish(numbered(0, ["a", "b", "c"]))
      yield* (yield* hello("q")).publish(numbered(7, ["d"]))
      const again = yield* hello("p")
      expect([again.lastSequence, again.lastPosition]).toEqual([2, "at 2"])
      expect(again.logId).toBe(first.logId)
    })
  )
  test(
    "a producer that is new starts at any sequence",
    Effect.gen(function* () {
      const session = yield* hello("p")
      expect(yield* session.publish(numbered(1_000, ["a"]))).toMatchObject({ duplicates: 0, firstOffset: 0 })
      expect((yield* hello("p")).lastSequence).toBe(1_000)
    })
  )
  test(
    "what is sent again is appended once and answered with its first offset",
    Effect.gen(function* () {
      const session = yield* hello("p")
      yield* publish("x")
      yield* session.publish(numbered(0, ["a", "b"]))
      yield* publish("y")
      expect(yield* session.publish(numbered(0, ["a", "b"]))).toMatchObject({ duplicates: 2, firstOffset: 1 })
      expect(yield* session.publish(numbered(1, ["b", "c"]))).toMatchObject({ duplicates: 1, firstOffset: 2 })
      expect(yield* session.publish(numbered(2, ["c"]))).toMatchObject({ duplicates: 1, firstOffset: 4 })
      yield* logHolds("x", "a", "b", "y", "c")
    })
  )
  test(
    "the offsets of a producer's last 128 sequences are remembered",
    Effect.gen(function* () {
      const session = yield* hello("p")
      const texts = Array.from({ length: 140 }, (_, sequence) => `${sequence}`)
      yield* session.publish(numbered(0, texts))
      expect(yield* session.publish(numbered(12, ["12"]))).toMatchObject({ duplicates: 1, firstOffset: 12 })
      yield* logHolds(...texts)
    })
  )
  test(
    "two groups that hold the same sequences at once are appended once",
    Effect.gen(function* () {
      const session = yield* hello("p")
      const groups = [numbered(0, ["a", "b"]), numbered(0, ["a", "b"]), numbered(0, ["a", "b", "c"])]
      const receipts = yield* Effect.forEach(groups, session.publish, { concurrency: "unbounded" })
      expect(receipts.map(({ duplicates }) => duplicates)).toEqual([0, 2, 2])
      yield* logHolds("a", "b", "c")
    })
  )
  test(
    "a gap in the sequences is refused with the sequence that is expected, and appends nothing",
    Effect.gen(function* () {
      const session = yield* hello("p")
      yield* session.publish(numbered(0, ["a", "b"]))
      const refusal = yield* Effect.flip(session.publish(numbered(3, ["d", "e"])))
      expect(refusal).toBeInstanceOf(PublishRefused)
      expect(refusal).toMatchObject({ reason: "sequence_gap", problem: "sequence gap, expected 2" })
      yield* session.publish(numbered(2, ["c"]))
      yield* logHolds("a", "b", "c")
    })
  )
  test(
    "a later hello fences the session before it, and no other producer's",
    Effect.gen(function* () {
      const first = yield* hello("p")
      const other = yield* hello("q")
      yield* first.publish(numbered(0, ["a"]))
      const second = yield* hello("p")
      expect(yield* Effect.flip(first.publish(numbered(1, ["lost"])))).toMatchObject({ reason: "fenced" })
      yield* second.publish(numbered(1, ["b"]))
      yield* other.publish(numbered(0, ["c"]))
      yield* logHolds("a", "b", "c")
    })
  )
  test(
    "of many sessions that race for a producer one wins, and every sequence is appended once",
    Effect.gen(function* () {
      const race = Effect.forEach(
        [1, 2, 3, 4],
        (twin) =>
          Effect.gen(function* () {
            const session = yield* hello("p")
            yield* Effect.yieldNow()
            yield* session.publish(numbered(0, ["a"]))
            return twin
          }).pipe(Effect.either),
        { concurrency: "unbounded" }
      )
      yield* Fiber.join(yield* Effect.fork(race))
      yield* (yield* hello("p")).publish(numbered(0, ["a", "b"]))
      yield* logHolds("a", "b")
    })
  )
}
