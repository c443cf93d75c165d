/** The embedded broker: the contract of every broker, and what comes back when it is opened again over the same ground. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Queue, Scope } from "effect"
import { Broker, BrokerUnavailable } from "../../../src/layers/Broker.ts"
import { Journal, JournalFailed } from "../../../src/layers/Journal.ts"
import { AppendFailed, type OffsetLog } from "../../../src/layers/OffsetLog.ts"
import * as Scheduler from "../../../src/layers/Scheduler.ts"
import { deliveryBytesMax } from "../../../src/protocol/Limits.ts"
import { brokerContract } from "../../contracts/Broker.contract.ts"
import {
  commit,
  eventually,
  hello,
  messages,
  numbered,
  publish,
  receive,
  receiveUntil,
  subscribe,
  turn
} from "../../contracts/Broker.messages.ts"
import { type Ground, layerOnMemory, makeGround } from "./Ground.ts"

brokerContract("a log and a journal in memory", layerOnMemory)

/** Runs with a broker over the ground, which ends with it. */
const during = <A, E>({ openBroker }: Ground, body: Effect.Effect<A, E, Broker | Scope.Scope>) =>
  Effect.scoped(Effect.flatMap(openBroker, (broker) => Effect.provideService(body, Broker, broker)))

const test = (guarantee: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.scoped(guarantee, () => Effect.provide(body, Scheduler.layer))

const large = (n: number): string => `${n}`.padEnd(4_096, ".")
const small = { retentionBytes: 32 * 1024 }

describe("a broker that is opened again over the same log and journal", () => {
  test(
    "goes on where the one before it was: offsets, producers, positions, checkpoints",
    Effect.gen(function* () {
      const ground = yield* makeGround()
      yield* during(
        ground,
        Effect.gen(function* () {
          yield* (yield* hello("p")).publish(numbered(0, ["a", "b"]))
          yield* publish("c")
          yield* (yield* hello("q")).publish(numbered(5, ["d"]))
          const reader = yield* subscribe("reader", { resume: "always" })
          yield* receiveUntil(reader, 4)
          yield* commit(reader, 2)
          yield* subscribe("opened", { from: "latest", resume: "always" })
        })
      )
      yield* during(
        ground,
        Effect.gen(function* () {
          const [p, q] = [yield* hello("p"), yield* hello("q")]
          expect([p.lastSequence, p.lastPosition]).toEqual([1, "at 1"])
          expect([q.lastSequence, q.lastPosition]).toEqual([5, "at 5"])
          expect(yield* p.publish(numbered(1, ["b", "e"]))).toMatchObject({ duplicates: 1, firstOffset: 1 })
          const reader = yield* subscribe("reader", { resume: "always" })
          expect(yield* receiveUntil(reader, 5)).toEqual(messages(2, "c", "d", "e"))
          expect((yield* subscribe("opened", { resume: "always" })).start).toBe(4)
        })
      )
    })
  )
  test(
    "knows producers and checkpoints also when retention has dropped every record that told of them",
    Effect.gen(function* () {
      const ground = yield* makeGround(small)
      yield* during(
        ground,
        Effect.gen(function* () {
          yield* (yield* hello("p")).publish(numbered(0, ["a"]))
          const reader = yield* subscribe("reader", { resume: "always" })
          for (let n = 0; n < 30; n++) {
            const { firstOffset } = yield* publish(large(n))
            yield* receiveUntil(reader, firstOffset! + 1)
            yield* commit(reader, firstOffset! + 1)
          }
        })
      )
      expect((yield* ground.log.bounds).oldest).toBeGreaterThan(1)
      yield* during(
        ground,
        Effect.gen(function* () {
          const session = yield* hello("p")
          expect([session.lastSequence, session.lastPosition]).toEqual([0, "at 0"])
          expect(yield* session.publish(numbered(0, ["a"]))).toMatchObject({ duplicates: 1, firstOffset: 0 })
          expect(yield* session.publish(numbered(1, ["b"]))).toMatchObject({ duplicates: 0, firstOffset: 31 })
          expect((yield* subscribe("reader", { resume: "always" })).start).toBe(31)
        })
      )
    })
  )
})

describe("a broker whose log takes its time", () => {
  test(
    "answers and delivers what is appended only when it is durable, and refuses what could not be made so",
    Effect.gen(function* () {
      const appends = yield* Queue.unbounded<Deferred.Deferred<void, AppendFailed>>()
      const ground = yield* makeGround({ wrapLog: heldBack(appends) })
      yield* during(
        ground,
        Effect.gen(function* () {
          const reader = yield* subscribe("reader")
          const first = yield* Effect.fork(publish("a"))
          const append = yield* Queue.take(appends)
          const second = yield* Effect.fork(Effect.flip(publish("b")))
          yield* Effect.repeatN(turn, 20)
          expect(yield* Fiber.poll(first)).toEqual(Option.none())
          expect((yield* (yield* Broker).stats).nextOffset).toBe(0)
          yield* Deferred.succeed(append, undefined)
          expect(yield* Fiber.join(first)).toMatchObject({ duplicates: 0, firstOffset: 0 })
          yield* Deferred.fail(yield* Queue.take(appends), new AppendFailed({ problem: "no space left" }))
          expect(yield* Fiber.join(second)).toMatchObject({ reason: "log_failed", problem: "no space left" })
          const third = yield* Effect.fork(publish("c"))
          yield* Deferred.succeed(yield* Queue.take(appends), undefined)
          expect(yield* Fiber.join(third)).toMatchObject({ duplicates: 0, firstOffset: 1 })
          expect(yield* receiveUntil(reader, 2)).toEqual(messages(0, "a", "c"))
        })
      )
    })
  )
})

describe("a broker that ends", () => {
  test(
    "leaves nobody waiting, and answers every later call",
    Effect.gen(function* () {
      const ground = yield* makeGround(small)
      const scope = yield* Scope.make()
      const broker = yield* Scope.extend(ground.openBroker, scope)
      yield* Effect.provideService(
        Effect.gen(function* () {
          const reader = yield* subscribe("reader", { resume: "always" })
          const session = yield* hello("p")
          const idle = yield* subscribe("idle", { from: "latest" })
          const texts = Array.from({ length: 30 }, (_, n) => large(n))
          const reading = yield* Effect.fork(Effect.flip(Effect.forever(idle.deliveries)))
          const publishing = yield* Effect.fork(Effect.flip(session.publish(numbered(0, texts))))
          yield* eventually(Effect.map(broker.stats, ({ waitingRecords }) => waitingRecords > 0))
          yield* Scope.close(scope, Exit.void)
          expect(yield* Fiber.join(reading)).toBeInstanceOf(BrokerUnavailable)
          expect(yield* Fiber.join(publishing)).toBeInstanceOf(BrokerUnavailable)
          expect(yield* Effect.flip(publish("x"))).toBeInstanceOf(BrokerUnavailable)
          expect(yield* Effect.flip(hello("p"))).toBeInstanceOf(BrokerUnavailable)
          expect(yield* Effect.flip(subscribe("late"))).toBeInstanceOf(BrokerUnavailable)
          expect(yield* Effect.flip(commit(reader, 1))).toBeInstanceOf(BrokerUnavailable)
        }),
        Broker,
        broker
      )
    })
  )
})

describe("a broker whose journal fails", () => {
  test(
    "keeps nothing that is not durable, says so, goes on with all else, and recovers by itself",
    Effect.gen(function* () {
      const broken = yield* Deferred.make<void>()
      const ground = yield* makeGround({ ...small, wrapJournal: failingOnce(broken) })
      yield* during(
        ground,
        Effect.gen(function* () {
          const reader = yield* subscribe("reader", { resume: "always" })
          yield* publish("a")
          yield* receiveUntil(reader, 1)
          yield* Deferred.succeed(broken, undefined)
          const refused = yield* Effect.flip(commit(reader, 1))
          expect(refused).toBeInstanceOf(BrokerUnavailable)
          expect(refused.message).toContain("no space left")
          const { stats } = yield* Broker
          const { checkpoints, log } = yield* stats
          expect(checkpoints, "what is not durable is no fact").toMatchObject([{ offset: 0 }])
          expect(log.problem).toContain("no space left")
          yield* publish("b")
          expect(yield* receive(reader)).toEqual(messages(1, "b"))
          expect(yield* commit(reader, 2)).toBe(2)
          expect((yield* stats).log.problem).toBe(null)
        })
      )
      yield* during(
        ground,
        Effect.gen(function* () {
          expect((yield* subscribe("reader", { resume: "always" })).start).toBe(2)
        })
      )
    })
  )
})

/** A log that hands out each append and waits for what becomes of it. */
const heldBack =
  (appends: Queue.Enqueue<Deferred.Deferred<void, AppendFailed>>) =>
  (log: OffsetLog["Type"]): OffsetLog["Type"] => ({
    ...log,
    append: (runs) =>
      Effect.gen(function* () {
        const ended = yield* Deferred.make<void, AppendFailed>()
        yield* Queue.offer(appends, ended)
        yield* Deferred.await(ended)
        yield* log.append(runs)
      })
  })

describe("a subscriber with infinite credit", () => {
  test(
    "that takes nothing has nothing piled up for it, and gets everything when it does",
    Effect.gen(function* () {
      const ground = yield* makeGround()
      yield* during(
        ground,
        Effect.gen(function* () {
          const infinite = { creditMessages: Number.POSITIVE_INFINITY, creditBytes: Number.POSITIVE_INFINITY }
          const megabyte = "x".repeat(1024 * 1024)
          const idle = yield* subscribe("idle", infinite)
          for (let n = 0; n < 12; n++) yield* publish(megabyte)
          yield* publish("last")
          const { subscribers } = yield* (yield* Broker).stats
          expect(subscribers[0]!.currentOffset).toBeLessThanOrEqual(deliveryBytesMax / megabyte.length + 1)
          const received = yield* receiveUntil(idle, 13)
          expect(received.length).toBe(13)
          expect(received.at(-1)).toEqual({ offset: 12, text: "last" })
        })
      )
    })
  )
})

/** Journals that fail to append once, when told to. */
const failingOnce =
  (told: Deferred.Deferred<void>) =>
  (journal: Journal["Type"]): Journal["Type"] => {
    let failed = false
    return Journal.of({
      open: (name) =>
        Effect.map(journal.open(name), (open) => ({
          ...open,
          append: (entries) =>
            Effect.flatMap(Deferred.isDone(told), (isTold) => {
              if (!isTold || failed) return open.append(entries)
              failed = true
              return Effect.fail(new JournalFailed({ journal: name, problem: "no space left" }))
            })
        }))
    })
  }
