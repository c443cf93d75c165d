/** The embedded broker over a log that takes its time, fails, or comes back shorter than it was. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue, type Scope, TestClock } from "effect"
import { Broker, BrokerUnavailable } from "../../../src/layers/Broker.ts"
import {
  type AppendFailed,
  type OffsetLog,
  ReadFailed,
  type RecordRun
} from "../../../src/layers/OffsetLog.ts"
import * as Scheduler from "../../../src/layers/Scheduler.ts"
import { sessionPendingBytesMax } from "../../../src/protocol/Limits.ts"
import { type Offset, offsetOf } from "../../../src/protocol/Log.ts"
import {
  commit,
  eventually,
  hello,
  messages,
  numbered,
  payload,
  publish,
  receiveUntil,
  recordsWait,
  subscribe
} from "../../contracts/Broker.messages.ts"
import { type Ground, type GroundOptions, makeGround } from "./Ground.ts"

const test = (guarantee: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.scoped(guarantee, () => Effect.provide(body, Scheduler.layer))

const during = <A, E>({ openBroker }: Ground, body: Effect.Effect<A, E, Broker | Scope.Scope>) =>
  Effect.scoped(Effect.flatMap(openBroker, (broker) => Effect.provideService(body, Broker, broker)))

/** An append that has begun: how many records it has, and how to end it. */
interface Begun {
  readonly records: number
  readonly end: Effect.Effect<boolean>
}

/** A log whose appends end when they are told to. */
const heldBack = (begun: Queue.Enqueue<Begun>): GroundOptions => ({
  wrapLog: (log) => ({
    ...log,
    append: (runs: ReadonlyArray<RecordRun>) =>
      Effect.gen(function* () {
        const ended = yield* Deferred.make<void, AppendFailed>()
        const records = runs.reduce((sum, { payloads }) => sum + payloads.length, 0)
        yield* Queue.offer(begun, { records, end: Deferred.succeed(ended, undefined) })
        yield* Deferred.await(ended)
        yield* log.append(runs)
      })
  })
})

describe("while an append waits for its disk", () => {
  test(
    "commits are answered, and all that is published meanwhile is one append",
    Effect.gen(function* () {
      const begun = yield* Queue.unbounded<Begun>()
      const ground = yield* makeGround(heldBack(begun))
      yield* during(
        ground,
        Effect.gen(function* () {
          const first = yield* Effect.fork(publish("a"))
          yield* (yield* Queue.take(begun)).end
          yield* Fiber.join(first)
          const reader = yield* subscribe("reader", { resume: "always" })
          yield* receiveUntil(reader, 1)
          const second = yield* Effect.fork(publish("b"))
          const slow = yield* Queue.take(begun)
          expect(yield* commit(reader, 1)).toBe(1)
          const session = yield* hello("p")
          const meanwhile = yield* Effect.fork(
            Effect.forEach([0, 1, 2, 3], (sequence) => session.publish(numbered(sequence, [`${sequence}`])), {
              concurrency: "unbounded"
            })
          )
          const more = yield* Effect.fork(publish("c", "d"))
          yield* Effect.yieldNow()
          yield* hello("another, answered behind what was published")
          yield* slow.end
          const next = yield* Queue.take(begun)
          expect(next.records).toBe(6)
          yield* next.end
          yield* Fiber.joinAll([second, more])
          // A group waits for its turn in the order of its call, and the session had to be opened first.
          expect((yield* Fiber.join(meanwhile)).map(({ firstOffset }) => firstOffset)).toEqual([4, 5, 6, 7])
        })
      )
    })
  )
})

describe("a publish that waits for room", () => {
  test(
    "does not wait on when nobody waits for it, and what comes behind it gets in",
    Effect.gen(function* () {
      const ground = yield* makeGround({ retentionBytes: 8 * 1024 })
      yield* during(
        ground,
        Effect.gen(function* () {
          const broker = yield* Broker
          const holder = yield* subscribe("holder", { resume: "always" })
          const large = "x".repeat(5_000)
          yield* publish(large)
          const waiting = yield* Effect.fork(publish(large))
          yield* recordsWait(1)
          yield* Fiber.interrupt(waiting)
          yield* recordsWait(0)
          expect((yield* publish("small")).firstOffset).toBe(1)
          const refused = yield* Effect.flip(broker.publish([payload(large)], "refuse"))
          expect(refused).toMatchObject({ reason: "log_full", message: "publish refused: log full" })
          yield* receiveUntil(holder, 2)
          yield* commit(holder, 2)
          expect((yield* broker.publish([payload(large)], "refuse")).firstOffset).toBe(2)
        })
      )
    })
  )
})

describe("a publish that is not to wait", () => {
  test(
    "is refused also where those that wait have used up what may wait",
    Effect.gen(function* () {
      const ground = yield* makeGround({ retentionBytes: 64 * 1024 })
      yield* during(
        ground,
        Effect.gen(function* () {
          const broker = yield* Broker
          yield* subscribe("holder", { resume: "always" })
          const large = payload("x".repeat(50_000))
          yield* broker.publish([large])
          const calls = Math.ceil(sessionPendingBytesMax / large.length) + 1
          const waiting = yield* Effect.fork(
            Effect.replicateEffect(broker.publish([large]), calls, { concurrency: "unbounded" })
          )
          yield* eventually(Effect.map(broker.stats, ({ waitingRecords }) => waitingRecords > calls / 2))
          expect(yield* Effect.flip(broker.publish([large], "refuse"))).toMatchObject({ reason: "log_full" })
          yield* Fiber.interrupt(waiting)
        })
      )
    })
  )
})

describe("a reader on a slow disk", () => {
  test(
    "slows no other",
    Effect.gen(function* () {
      const opened = yield* Deferred.make<void>()
      const ground = yield* makeGround({
        wrapLog: (log) => ({
          ...log,
          read: (from, limits) =>
            from < 3
              ? Effect.zipRight(Deferred.await(opened), log.read(from, limits))
              : log.read(from, limits)
        })
      })
      yield* during(
        ground,
        Effect.gen(function* () {
          yield* publish("a", "b", "c")
          const slow = yield* subscribe("slow")
          const live = yield* subscribe("live", { from: "latest" })
          yield* publish("d")
          expect(yield* receiveUntil(live, 4)).toEqual(messages(3, "d"))
          yield* Deferred.succeed(opened, undefined)
          expect(yield* receiveUntil(slow, 4)).toEqual(messages(0, "a", "b", "c", "d"))
        })
      )
    })
  )
})

describe("a streamer that comes back while its last batch is being appended", () => {
  test(
    "is told of it, and does not read it again",
    Effect.gen(function* () {
      const begun = yield* Queue.unbounded<Begun>()
      const ground = yield* makeGround(heldBack(begun))
      yield* during(
        ground,
        Effect.gen(function* () {
          const before = yield* hello("p")
          yield* Effect.fork(before.publish(numbered(0, ["rows 1 to 100"])))
          const slow = yield* Queue.take(begun)
          const after = yield* Effect.fork(hello("p"))
          yield* Effect.yieldNow()
          yield* slow.end
          const { lastSequence, lastPosition } = yield* Fiber.join(after)
          expect([lastSequence, lastPosition]).toEqual([0, "at 0"])
        })
      )
    })
  )
})

describe("a log that can't be read", () => {
  test(
    "ends the subscriptions that it can't be read for, and says why",
    Effect.gen(function* () {
      const broken = { isBroken: false }
      const ground = yield* makeGround({
        wrapLog: (log) => ({
          ...log,
          read: (from: Offset, limits) =>
            broken.isBroken
              ? new ReadFailed({ problem: "segment 7, byte 12: is damaged" })
              : log.read(from, limits)
        })
      })
      yield* during(
        ground,
        Effect.gen(function* () {
          const reader = yield* subscribe("reader", { resume: "always" })
          yield* publish("a")
          expect(yield* receiveUntil(reader, 1)).toEqual(messages(0, "a"))
          broken.isBroken = true
          yield* publish("b")
          const ended = yield* Effect.flip(Effect.forever(reader.deliveries))
          expect(ended).toBeInstanceOf(BrokerUnavailable)
          expect(ended.message).toContain("segment 7, byte 12: is damaged")
          const refused = yield* Effect.flip(commit(reader, 1))
          expect(refused, "it may come again, as nobody has taken it over").toBeInstanceOf(BrokerUnavailable)
          broken.isBroken = false
          const again = yield* subscribe("reader", { resume: "always" })
          expect(yield* receiveUntil(again, 2)).toEqual(messages(0, "a", "b"))
        })
      )
    })
  )
})

describe("a log that is not readable to its end", () => {
  test(
    "is delivered as far as it is, and further when it says so",
    Effect.gen(function* () {
      const listeners = new Set<(end: Offset) => void>()
      let readable = 1
      const ground = yield* makeGround({
        wrapLog: (log): OffsetLog["Type"] => ({
          ...log,
          read: (from, limits) =>
            log.read(from, {
              ...limits,
              recordsMax: Math.min(limits.recordsMax, Math.max(0, readable - from))
            }),
          readableEnd: () => offsetOf(Math.min(readable, log.readableEnd())),
          onReadable: (listener) => Effect.sync(() => void listeners.add(listener))
        })
      })
      yield* during(
        ground,
        Effect.gen(function* () {
          const reader = yield* subscribe("reader")
          yield* publish("a", "b", "c")
          const late = yield* subscribe("late")
          yield* receiveUntil(late, 1)
          expect(yield* receiveUntil(reader, 1)).toEqual(messages(0, "a"))
          const cursors = Effect.flatMap(Broker, ({ stats }) =>
            Effect.map(stats, ({ subscribers }) => subscribers.map(({ currentOffset }) => currentOffset))
          )
          expect(yield* cursors).toEqual([1, 1])
          readable = 3
          for (const listener of listeners) listener(offsetOf(3))
          yield* eventually(Effect.map(cursors, (all) => all.every((cursor) => cursor === 3)))
        })
      )
    })
  )
})

describe("a log that has lost its end", () => {
  test(
    "lowers the checkpoints beyond it, and forgets where lost records were",
    Effect.gen(function* () {
      const [before, after] = [yield* makeGround({ segmentBytes: 1 }), yield* makeGround()]
      const texts = ["a", "b", "c", "d"]
      yield* during(
        before,
        Effect.gen(function* () {
          const session = yield* hello("p")
          yield* session.publish(numbered(0, texts))
          yield* publish("closes a segment")
          const reader = yield* subscribe("reader", { resume: "always" })
          yield* receiveUntil(reader, 5)
          yield* commit(reader, 5)
          // A closed segment has a snapshot taken, of more than the log will hold.
          yield* TestClock.adjust("1 second")
        })
      )
      const journal = yield* before.journal.open("broker")
      expect((yield* journal.content).snapshot).toContain('"nextOffset":5')
      yield* after.log.append([{ payloads: ["a", "b"].map(payload), producer: null }])
      const shortened: Ground = yield* makeGround({
        wrapLog: () => after.log,
        wrapJournal: () => before.journal
      })
      yield* during(
        shortened,
        Effect.gen(function* () {
          const { nextOffset, checkpoints } = yield* (yield* Broker).stats
          expect(nextOffset).toBe(2)
          expect(checkpoints).toMatchObject([{ subscriberId: "reader", offset: 2 }])
          expect((yield* publish("e")).firstOffset).toBe(2)
          const reader = yield* subscribe("reader", { resume: "always" })
          expect(yield* receiveUntil(reader, 3)).toEqual(messages(2, "e"))
          yield* (yield* hello("q")).publish(numbered(0, ["f"]))
        })
      )
      yield* during(
        shortened,
        Effect.gen(function* () {
          const q = yield* hello("q")
          expect([q.lastSequence, q.lastPosition], "what came in its place").toEqual([0, "at 0"])
          expect((yield* (yield* Broker).stats).nextOffset).toBe(4)
        })
      )
    })
  )
})
