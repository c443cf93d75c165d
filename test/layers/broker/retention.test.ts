/** The embedded broker as time goes by: what gets too old, who is waited for and for how long, what comes again when. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, type Scope, TestClock } from "effect"
import { Broker } from "../../../src/layers/Broker.ts"
import * as Scheduler from "../../../src/layers/Scheduler.ts"
import { offsetOf } from "../../../src/protocol/Log.ts"
import {
  eventually,
  messages,
  publish,
  receive,
  receiveUntil,
  recordsWait,
  subscribe
} from "../../contracts/Broker.messages.ts"
import { type Ground, type GroundOptions, makeGround } from "./Ground.ts"

const test = (
  guarantee: string,
  options: GroundOptions,
  body: (ground: Ground) => Effect.Effect<void, unknown, Broker | Scope.Scope>
) =>
  it.scoped(guarantee, () =>
    Effect.gen(function* () {
      const ground = yield* makeGround(options)
      yield* Effect.provideService(body(ground), Broker, yield* ground.openBroker)
    }).pipe(Effect.provide(Scheduler.layer))
  )

const stats = Effect.flatMap(Broker, (broker) => broker.stats)
const oldestIs = (offset: number) =>
  eventually(Effect.map(stats, ({ oldestOffset }) => oldestOffset === offset))

const small = { retentionBytes: 32 * 1024 }
const large = "".padEnd(4_096, ".")
/** A time to live that is short enough for a clock that stops at every tick of the broker. */
const ttlMs = 80_000

describe("a broker, as time goes by,", () => {
  test("drops what is older than its retention, and nothing younger", { retentionMs: 60_000 }, () =>
    Effect.gen(function* () {
      yield* publish("a", "b")
      yield* TestClock.adjust("30 seconds")
      yield* publish("c")
      yield* TestClock.adjust("31 seconds")
      // Both stand in one segment, whose newest record is young.
      expect((yield* stats).oldestOffset).toBe(0)
      yield* TestClock.adjust("30 seconds")
      yield* oldestIs(3)
    })
  )

  test("keeps, where it blocks, what is too old and not committed", { retentionMs: 60_000 }, () =>
    Effect.gen(function* () {
      const reader = yield* subscribe("reader", { resume: "always" })
      yield* publish("a", "b")
      yield* TestClock.adjust("10 minutes")
      expect((yield* stats).oldestOffset).toBe(0)
      expect(yield* receiveUntil(reader, 2)).toEqual(messages(0, "a", "b"))
      yield* reader.commit(offsetOf(2))
      yield* TestClock.adjust("1 second")
      yield* oldestIs(2)
    })
  )

  test(
    "waits for a subscriber that is not there, says how long, and then goes on",
    { ...small, subscriberTtlMs: ttlMs },
    () =>
      Effect.gen(function* () {
        yield* Effect.scoped(subscribe("gone", { resume: "always" }))
        const broker = yield* Broker
        const publishing = yield* Effect.fork(
          Effect.forEach(
            Array.from({ length: 8 }, () => large),
            (text) => publish(text),
            { discard: true }
          )
        )
        yield* recordsWait(1)
        yield* TestClock.adjust(ttlMs / 4)
        const full = yield* broker.stats
        expect(full.fullForMs).toBe(ttlMs / 4)
        expect(full.checkpoints).toMatchObject([
          { subscriberId: "gone", offset: 0, isConnected: false, holdsBackForMs: ttlMs - ttlMs / 4 }
        ])
        expect(yield* Fiber.poll(publishing)).toMatchObject({ _tag: "None" })
        yield* TestClock.adjust(ttlMs - ttlMs / 4)
        yield* Fiber.join(publishing)
        const after = yield* broker.stats
        expect([after.nextOffset, after.fullForMs]).toEqual([8, null])
        expect(after.checkpoints).toMatchObject([{ holdsBackForMs: null }])
        const back = yield* subscribe("gone", { resume: "always" })
        expect((yield* receive(back))[0]).toEqual({ from: 0, to: after.oldestOffset })
      })
  )

  test(
    "knows after a restart when a subscriber was there last",
    { subscriberTtlMs: ttlMs },
    ({ openBroker }) =>
      Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* subscribe("reader", { resume: "always" })
            yield* TestClock.adjust(2 * ttlMs)
          })
        )
        yield* TestClock.adjust(10_000)
        const again = yield* openBroker
        const { checkpoints } = yield* again.stats
        expect(checkpoints).toMatchObject([{ subscriberId: "reader", holdsBackForMs: ttlMs - 10_000 }])
      })
  )

  test(
    "delivers a message that is refused again after its delay, and keeps one that is refused too often",
    { redeliveriesMax: 1, redeliveryDelayMs: 1_000 },
    ({ rejects }) =>
      Effect.gen(function* () {
        yield* publish("poison")
        const reader = yield* subscribe("reader", { resume: "always" })
        yield* receiveUntil(reader, 1)
        yield* reader.nack(offsetOf(0))
        const again = yield* Effect.fork(receive(reader))
        yield* TestClock.adjust("999 millis")
        expect(yield* Fiber.poll(again)).toMatchObject({ _tag: "None" })
        yield* TestClock.adjust("1 millis")
        expect(yield* Fiber.join(again)).toEqual(messages(0, "poison"))
        yield* reader.nack(offsetOf(0))
        expect(yield* rejects.byReason).toEqual([
          {
            reason: "nacked",
            count: 1,
            recent: [{ origin: "offset 0, refused 2 times by reader", input: '"poison"' }]
          }
        ])
      })
  )
})
