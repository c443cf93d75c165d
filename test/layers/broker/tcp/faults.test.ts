/**
 * A broker behind connections that break: whatever is cut off, wherever, nothing that was acknowledged is lost, nothing is
 * appended twice, and order holds.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, FastCheck, Fiber, Scope } from "effect"
import { Broker, type Subscription } from "../../../../src/layers/Broker.ts"
import * as Scheduler from "../../../../src/layers/Scheduler.ts"
import { offsetOf } from "../../../../src/protocol/Log.ts"
import {
  endOf,
  eventually,
  hello,
  messages,
  numbered,
  publish,
  type Received,
  receive,
  receiveUntil,
  subscribe,
  turn
} from "../../../contracts/Broker.messages.ts"
import type { CutProxy, Fate } from "../CutProxy.ts"
import { makeGround } from "../Ground.ts"
import { brokerBehindProxy } from "./Served.ts"

const texts = ["a", "b", "c", "d", "e"]

/** Publishes all texts as one producer, several at once, over as many sessions as it takes. */
const publishAll = Effect.gen(function* () {
  for (;;) {
    const published = yield* Effect.either(
      Effect.scoped(
        Effect.gen(function* () {
          const session = yield* hello("p")
          const first = session.lastSequence === null ? 0 : session.lastSequence + 1
          const calls = []
          for (let at = first; at < texts.length; at += 2) calls.push(numbered(at, texts.slice(at, at + 2)))
          yield* Effect.forEach(calls, session.publish, { concurrency: "unbounded" })
        })
      )
    )
    if (published._tag === "Right") return
  }
})

/** Reads until the end, committing as it goes, over as many subscriptions as it takes; answers what came, in order. */
const readAll = (end: number) =>
  Effect.gen(function* () {
    const all: Array<ReadonlyArray<Received>> = []
    let committed = 0
    const read = (subscription: Subscription) =>
      Effect.gen(function* () {
        expect(subscription.start).toBeGreaterThanOrEqual(committed)
        const own: Array<Received> = []
        all.push(own)
        for (let next: number = subscription.start; next < end; ) {
          const received = yield* receive(subscription)
          own.push(...received)
          next = endOf(received, next)
          committed = yield* subscription.commit(offsetOf(next))
        }
      })
    for (;;) {
      const ended = yield* Effect.either(
        Effect.scoped(Effect.flatMap(subscribe("reader", { resume: "always" }), read))
      )
      if (ended._tag === "Right" || committed >= end) return all
    }
  })

/** Checks that each subscription read a slice of the log without a hole, and that together they read all of it. */
const areSlices = (slices: ReadonlyArray<ReadonlyArray<Received>>) => {
  const seen = new Set<number>()
  for (const slice of slices) {
    const offsets = slice.map((message) => ("offset" in message ? message.offset : -1))
    expect(slice).toEqual(messages(offsets[0] ?? 0, ...offsets.map((offset) => texts[offset]!)))
    for (const offset of offsets) seen.add(offset)
  }
  expect(seen.size).toBe(texts.length)
}

/** What the log holds, read from the broker itself. */
const logOf = (broker: Broker["Type"]) =>
  Effect.provideService(
    Effect.scoped(
      Effect.gen(function* () {
        const { nextOffset } = yield* broker.stats
        return yield* receiveUntil(yield* subscribe("auditor"), nextOffset)
      })
    ),
    Broker,
    broker
  )

/** Publishes and reads over connections of these fates, and checks the log and what was read of it. */
const survives = (publishing: ReadonlyArray<Fate>, reading: ReadonlyArray<Fate>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const broker = yield* (yield* makeGround()).openBroker
      const publisher = yield* brokerBehindProxy(broker)
      publisher.proxy.fates.push(...publishing)
      yield* Effect.provideService(publishAll, Broker, publisher.client)
      expect(yield* logOf(broker)).toEqual(messages(0, ...texts))
      const reader = yield* brokerBehindProxy(broker)
      reader.proxy.fates.push(...reading)
      areSlices(yield* Effect.provideService(readAll(texts.length), Broker, reader.client))
      const { checkpoints } = yield* broker.stats
      expect(checkpoints).toMatchObject([{ subscriberId: "reader", offset: texts.length }])
      return { publisher: publisher.proxy, reader: reader.proxy }
    })
  )

const live = <A, E>(guarantee: string, body: Effect.Effect<A, E, Scope.Scope>) =>
  it.scopedLive(guarantee, () => Effect.provide(body, Scheduler.layer))

describe("a connection that breaks", () => {
  for (const side of ["toServerMax", "toClientMax"] as const) {
    live(
      `at any byte ${side === "toServerMax" ? "to" : "from"} the broker costs nothing that was acknowledged, and doubles nothing`,
      Effect.gen(function* () {
        const { publisher, reader } = yield* survives([], [])
        const bytesOf = (proxy: CutProxy) =>
          side === "toServerMax" ? proxy.bytesToServer : proxy.bytesToClient
        const bytes = Math.max(bytesOf(publisher), bytesOf(reader))
        expect(bytes).toBeGreaterThan(100)
        for (let max = 0; max <= bytes; max++) yield* survives([{ [side]: max }], [{ [side]: max }])
      })
    )
  }

  const fate = FastCheck.record(
    { toServerMax: FastCheck.nat(800), toClientMax: FastCheck.nat(800) },
    { requiredKeys: [] }
  )
  it.scopedLive.prop(
    "again and again, on either side, costs nothing either",
    { publishing: FastCheck.array(fate, { maxLength: 8 }), reading: FastCheck.array(fate, { maxLength: 8 }) },
    ({ publishing, reading }) =>
      Effect.asVoid(Effect.provide(survives(publishing, reading), Scheduler.layer)),
    { fastCheck: { numRuns: 60 } }
  )
})

describe("a connection over which nothing goes any more", () => {
  live(
    "is found dead and made anew, and the lost answers of what was appended cost nothing",
    Effect.gen(function* () {
      const broker = yield* (yield* makeGround()).openBroker
      const { client, proxy } = yield* brokerBehindProxy(broker, { silenceMsMax: 60 })
      const publishing = Effect.provideService(publishAll, Broker, client)
      // As many bytes as it takes to say hello, and not the answers to what is published.
      yield* Effect.provideService(Effect.scoped(hello("other")), Broker, client)
      const helloBytes = proxy.bytesToClient
      proxy.fates.push({ toClientMax: helloBytes, swallowsAfter: true })
      yield* publishing
      expect(proxy.accepted).toBe(3)
      expect(yield* logOf(broker)).toEqual(messages(0, ...texts))
    })
  )
  live(
    "is found dead by a subscriber too, who only listens",
    Effect.gen(function* () {
      const broker = yield* (yield* makeGround()).openBroker
      const { client, proxy } = yield* brokerBehindProxy(broker, { silenceMsMax: 60 })
      const subscription = yield* Effect.provideService(subscribe("s"), Broker, client)
      proxy.swallowAll()
      const { problem } = yield* Effect.flip(Effect.forever(subscription.deliveries)) as Effect.Effect<{
        problem: string
      }>
      expect(problem).toMatch(/^nothing came from .* for 0\.06 s: the connection is taken for dead$/)
    })
  )
})

describe("a broker that goes and comes back", () => {
  live(
    "is connected to again, however often, and a publish of the time between fails at once",
    Effect.gen(function* () {
      const ground = yield* makeGround()
      let scope = yield* Scope.make()
      const broker = yield* Scope.extend(ground.openBroker, scope)
      const { client, serve } = yield* brokerBehindProxy(broker, {}, scope)
      yield* Effect.gen(function* () {
        for (let life = 0; life < 5; life++) {
          expect((yield* publish(`${life}`)).firstOffset).toBe(life)
          yield* Scope.close(scope, Exit.void)
          expect((yield* Effect.flip(publish("lost")))._tag).toBe("BrokerUnavailable")
          scope = yield* Scope.make()
          yield* serve(yield* Scope.extend(ground.openBroker, scope), scope)
        }
      }).pipe(Effect.provideService(Broker, client))
      yield* Scope.close(scope, Exit.void)
    })
  )
  live(
    "tells whoever waits: publishes that wait for room, deliveries and questions",
    Effect.gen(function* () {
      const ground = yield* makeGround({ retentionBytes: 32 * 1024 })
      const scope = yield* Scope.make()
      const broker = yield* Scope.extend(ground.openBroker, scope)
      const { client } = yield* brokerBehindProxy(broker, {}, scope)
      yield* Effect.gen(function* () {
        const holder = yield* subscribe("holder", { resume: "always", creditMessages: 1 })
        const session = yield* hello("p")
        const large = Array.from({ length: 20 }, (_, n) => `${n}`.padEnd(4_096, "."))
        const waiting = yield* Effect.fork(Effect.flip(session.publish(numbered(0, large))))
        yield* eventually(Effect.map(client.stats, ({ waitingRecords }) => waitingRecords > 0))
        yield* receive(holder)
        const listening = yield* Effect.fork(Effect.flip(holder.deliveries))
        yield* turn
        yield* Scope.close(scope, Exit.void)
        expect((yield* Fiber.join(waiting))._tag).toBe("BrokerUnavailable")
        expect((yield* Fiber.join(listening))._tag).toBe("BrokerUnavailable")
        expect((yield* Effect.flip(client.stats))._tag).toBe("BrokerUnavailable")
      }).pipe(Effect.provideService(Broker, client))
    })
  )
})
