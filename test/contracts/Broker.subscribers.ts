/** The part of the Broker contract about reading: where to start, checkpoints, takeover, credit, figures. */
import { expect } from "@effect/vitest"
import { Effect, Scope } from "effect"
import { AcknowledgeRefused, Broker, SubscriptionTakenOver } from "../../src/layers/Broker.ts"
import { offsetOf } from "../../src/protocol/Log.ts"
import type { Test } from "./Broker.contract.ts"
import {
  commit,
  endOf,
  hello,
  messages,
  numbered,
  publish,
  type Received,
  receive,
  receiveUntil,
  subscribe
} from "./Broker.messages.ts"

export const subscribers = (test: Test): void => {
  places(test)
  checkpoints(test)
  takeover(test)
  credit(test)
  figures(test)
}

const places = (test: Test): void => {
  test(
    "a subscription starts at the earliest, behind the latest, or at an offset",
    Effect.gen(function* () {
      yield* publish("a", "b", "c")
      const earliest = yield* subscribe("earliest")
      const latest = yield* subscribe("latest", { from: "latest" })
      const second = yield* subscribe("second", { from: offsetOf(1) })
      const next = yield* subscribe("next", { from: offsetOf(3) })
      yield* publish("d")
      expect(yield* receiveUntil(earliest, 4)).toEqual(messages(0, "a", "b", "c", "d"))
      expect(yield* receiveUntil(latest, 4)).toEqual(messages(3, "d"))
      expect(yield* receiveUntil(second, 4)).toEqual(messages(1, "b", "c", "d"))
      expect(yield* receiveUntil(next, 4)).toEqual(messages(3, "d"))
      expect([earliest, latest, second, next].map(({ clamped }) => clamped)).toEqual([
        false,
        false,
        false,
        false
      ])
    })
  )
  test(
    "beyond the end means from the next message, and says so",
    Effect.gen(function* () {
      yield* publish("a")
      const subscription = yield* subscribe("s", { from: offsetOf(100) })
      expect([subscription.start, subscription.clamped]).toEqual([1, true])
      yield* publish("b")
      expect(yield* receiveUntil(subscription, 2)).toEqual(messages(1, "b"))
    })
  )
  test(
    "every subscriber is woken by every publish, wherever it started",
    Effect.gen(function* () {
      const early = yield* subscribe("early")
      const late = yield* subscribe("late", { from: "latest" })
      for (let offset = 0; offset < 5; offset++) {
        yield* publish(`${offset}`)
        expect(yield* receive(early)).toEqual(messages(offset, `${offset}`))
        expect(yield* receive(late)).toEqual(messages(offset, `${offset}`))
      }
    })
  )
}

const checkpoints = (test: Test): void => {
  test(
    "a subscriber that resumes and has no checkpoint gets one where it starts, at once",
    Effect.gen(function* () {
      yield* publish("a", "b")
      yield* Effect.scoped(subscribe("s", { from: "latest", resume: "always" }))
      yield* publish("c")
      const again = yield* subscribe("s", { from: "earliest", resume: "always" })
      expect([again.start, again.clamped]).toEqual([2, false])
      expect(yield* receiveUntil(again, 3)).toEqual(messages(2, "c"))
    })
  )
  test(
    "a subscriber resumes at its checkpoint: what it did not commit is delivered again",
    Effect.gen(function* () {
      yield* publish("a", "b", "c", "d")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* subscribe("s", { resume: "always" })
          yield* receiveUntil(first, 4)
          expect(yield* commit(first, 2)).toBe(2)
        })
      )
      const again = yield* subscribe("s", { resume: "always" })
      expect(again.start).toBe(2)
      expect(yield* receiveUntil(again, 4)).toEqual(messages(2, "c", "d"))
    })
  )
  test(
    "without resume a subscription starts where it was asked to, and leaves the checkpoint as it is",
    Effect.gen(function* () {
      yield* publish("a", "b", "c")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* subscribe("s", { resume: "always" })
          yield* receiveUntil(first, 3)
          yield* commit(first, 2)
        })
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const other = yield* subscribe("s", { from: "earliest" })
          expect(yield* receiveUntil(other, 3)).toEqual(messages(0, "a", "b", "c"))
        })
      )
      expect((yield* subscribe("s", { resume: "always" })).start).toBe(2)
    })
  )
  test(
    "a commit never lowers the checkpoint, and answers what it is",
    Effect.gen(function* () {
      yield* publish("a", "b", "c")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const subscription = yield* subscribe("s", { resume: "always" })
          yield* receiveUntil(subscription, 3)
          expect(yield* commit(subscription, 3)).toBe(3)
          expect(yield* commit(subscription, 1)).toBe(3)
          expect(yield* commit(subscription, 3)).toBe(3)
        })
      )
      expect((yield* subscribe("s", { resume: "always" })).start).toBe(3)
    })
  )
  test(
    "a commit of what was never delivered is refused, and changes nothing",
    Effect.gen(function* () {
      yield* publish("a", "b", "c")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const subscription = yield* subscribe("s", { resume: "always", creditMessages: 2 })
          yield* receiveUntil(subscription, 2)
          expect(yield* Effect.flip(commit(subscription, 3))).toEqual(
            new AcknowledgeRefused({ offset: 3, reason: "beyond_delivered" })
          )
          expect(yield* commit(subscription, 1)).toBe(1)
        })
      )
      expect((yield* subscribe("s", { resume: "always" })).start).toBe(1)
    })
  )
  test(
    "checkpoints of different subscribers are their own",
    Effect.gen(function* () {
      yield* publish("a", "b")
      const one = yield* subscribe("one", { resume: "always" })
      yield* subscribe("two", { resume: "always" })
      yield* receiveUntil(one, 2)
      yield* commit(one, 2)
      expect((yield* subscribe("two", { resume: "always" })).start).toBe(0)
    })
  )
}

const takeover = (test: Test): void => {
  test(
    "a subscription that is taken over is told, gets no more, and can commit no more",
    Effect.gen(function* () {
      yield* publish("a", "b")
      const loser = yield* subscribe("s", { resume: "always" })
      yield* receiveUntil(loser, 2)
      yield* commit(loser, 1)
      const winner = yield* subscribe("s", { resume: "always" })
      expect(winner.start).toBe(1)
      yield* publish("c")
      expect(yield* receiveUntil(winner, 3)).toEqual(messages(1, "b", "c"))
      expect(yield* Effect.flip(receive(loser))).toEqual(new SubscriptionTakenOver({ subscriberId: "s" }))
      expect(yield* Effect.flip(commit(loser, 2))).toEqual(new SubscriptionTakenOver({ subscriberId: "s" }))
      expect(yield* commit(winner, 3)).toBe(3)
    })
  )
  test(
    "a loser that leaves late takes nothing from the winner",
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* publish("a")
      yield* Scope.extend(subscribe("s", { resume: "always" }), scope)
      const winner = yield* subscribe("s", { resume: "always" })
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      yield* receiveUntil(winner, 1)
      expect(yield* commit(winner, 1)).toBe(1)
      yield* publish("b")
      expect(yield* receive(winner)).toEqual(messages(1, "b"))
    })
  )
  test(
    "whoever waits for messages is told of a takeover at once",
    Effect.gen(function* () {
      const loser = yield* subscribe("s")
      const waiting = yield* Effect.fork(Effect.flip(loser.deliveries))
      yield* Effect.yieldNow()
      yield* subscribe("s")
      expect(yield* waiting).toBeInstanceOf(SubscriptionTakenOver)
    })
  )
}

/** Reads to an offset, committing one message at a time; answers the largest number that was out at once. */
const readWithinCredit = (subscription: Effect.Effect.Success<ReturnType<typeof subscribe>>, end: number) =>
  Effect.gen(function* () {
    let committed: number = subscription.start
    let outMax = 0
    const all: Array<Received> = []
    while (committed < end) {
      if (endOf(all, subscription.start) === committed) all.push(...(yield* receive(subscription)))
      outMax = Math.max(outMax, endOf(all, subscription.start) - committed)
      committed = yield* commit(subscription, committed + 1)
    }
    return { all, outMax }
  })

const credit = (test: Test): void => {
  const texts = Array.from({ length: 12 }, (_, n) => `message ${n}`)
  test(
    "no more messages than the credit are out at once, and commits give it back",
    Effect.gen(function* () {
      yield* publish(...texts)
      const limited = yield* subscribe("limited", { creditMessages: 3 })
      const control = yield* subscribe("control")
      yield* receiveUntil(control, texts.length)
      expect((yield* receive(limited)).length).toBeLessThanOrEqual(3)
      yield* commit(limited, limited.start)
      const again = yield* subscribe("limited", { creditMessages: 3 })
      const { all, outMax } = yield* readWithinCredit(again, texts.length)
      expect(all).toEqual(messages(0, ...texts))
      expect(outMax).toBeLessThanOrEqual(3)
    })
  )
  test(
    "no more bytes than the credit are out at once",
    Effect.gen(function* () {
      const kilobytes = texts.map((text) => text.padEnd(1_024, "."))
      yield* publish(...kilobytes)
      const limited = yield* subscribe("limited", { creditBytes: 4_096 })
      yield* receiveUntil(yield* subscribe("control"), texts.length)
      const { all, outMax } = yield* readWithinCredit(limited, texts.length)
      expect(all).toEqual(messages(0, ...kilobytes))
      expect(outMax).toBeLessThanOrEqual(4)
    })
  )
  test(
    "one message is always let through, however large",
    Effect.gen(function* () {
      const large = ["a", "b", "c"].map((text) => text.repeat(5_000))
      yield* publish(...large)
      const limited = yield* subscribe("limited", { creditBytes: 1 })
      const { all, outMax } = yield* readWithinCredit(limited, 3)
      expect(all).toEqual(messages(0, ...large))
      expect(outMax).toBe(1)
    })
  )
  test(
    "a subscriber that holds back the last message gets the next one while it has credit",
    Effect.gen(function* () {
      const lagging = yield* subscribe("lagging", { creditMessages: 10, creditBytes: 2_000 })
      for (const [offset, text] of Array.from({ length: 40 }, (_, n) => `${n}`).entries()) {
        yield* publish(text)
        expect(yield* receive(lagging)).toEqual(messages(offset, text))
        yield* commit(lagging, offset)
      }
    })
  )
  test(
    "a subscriber without credit holds nobody else up",
    Effect.gen(function* () {
      const stuck = yield* subscribe("stuck", { creditMessages: 1 })
      const free = yield* subscribe("free")
      yield* publish(...texts)
      expect(yield* receiveUntil(free, texts.length)).toEqual(messages(0, ...texts))
      expect(yield* receive(stuck)).toEqual(messages(0, texts[0]!))
    })
  )
}

const figures = (test: Test): void => {
  test(
    "stats tell the ends of the log, the producers and how far each subscriber is",
    Effect.gen(function* () {
      const broker = yield* Broker
      const empty = yield* broker.stats
      expect(empty).toMatchObject({
        oldestOffset: 0,
        nextOffset: 0,
        logBytes: 0,
        waitingRecords: 0,
        fullForMs: null,
        producers: [],
        subscribers: [],
        checkpoints: [],
        gaps: { count: 0, messages: 0 }
      })
      yield* (yield* hello("p")).publish(numbered(0, ["a", "b", "c"]))
      const reader = yield* subscribe("reader", { resume: "always", creditMessages: 2 })
      yield* receiveUntil(reader, 2)
      yield* commit(reader, 1)
      yield* receiveUntil(yield* subscribe("other", { from: offsetOf(1) }), 3)
      yield* receive(reader)
      const stats = yield* broker.stats
      expect(stats).toMatchObject({ logId: empty.logId, oldestOffset: 0, nextOffset: 3 })
      expect(stats.producers).toEqual([{ producerId: "p", lastSequence: 2 }])
      expect(stats.logBytes).toBeGreaterThan(0)
      expect(stats.subscribers).toEqual([
        { subscriberId: "reader", currentOffset: 3, checkpoint: 1, messagesMissed: 0 },
        { subscriberId: "other", currentOffset: 3, checkpoint: null, messagesMissed: 0 }
      ])
      expect(stats.checkpoints).toMatchObject([
        { subscriberId: "reader", offset: 1, isConnected: true, holdsBackForMs: Number.POSITIVE_INFINITY }
      ])
    })
  )
}
