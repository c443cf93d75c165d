import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { Broker } from "../../../src/layers/Broker.ts"
import { OffsetSet } from "../../../src/layers/broker-server/OffsetSet.ts"
import * as Scheduler from "../../../src/layers/Scheduler.ts"
import { makeGround } from "../broker/Ground.ts"
import { serve } from "./Serving.ts"
import type { Frame } from "./Stranger.ts"

const answersOf = async (next: () => Promise<Frame>, count: number): Promise<ReadonlyArray<Frame>> => {
  const answers: Array<Frame> = []
  while (answers.length < count) {
    const frame = await next()
    if (frame.type !== "message") answers.push(frame)
  }
  return answers
}

describe("offsets that are acknowledged", () => {
  it("are kept once each, in their order, whatever the order in which they come", () => {
    let seed = 1
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    for (let round = 0; round < 200; round++) {
      const offsets = new OffsetSet()
      const expected = new Set<number>()
      for (let count = 0; count < 30; count++) {
        const from = random(100)
        const to = from + random(6)
        offsets.add(from, to)
        for (let offset = from; offset < to; offset++) expected.add(offset)
      }
      const parts = [...offsets.parts(7)]
      expect(parts.slice(0, -1).every(({ length }) => length === 7)).toBe(true)
      expect(parts.flat()).toEqual([...expected].sort((one, other) => one - other))
    }
  })

  it.scopedLive("are named to the broker once, however many acks name them", () =>
    Effect.gen(function* () {
      const { openBroker } = yield* makeGround()
      const living = yield* openBroker
      let calls = 0
      let named = 0
      const broker = Broker.of({
        ...living,
        subscribe: (options) =>
          Effect.map(living.subscribe(options), (subscription) => ({
            ...subscription,
            ack: (offsets) => {
              calls++
              named += offsets.length
              return subscription.ack(offsets)
            }
          }))
      })
      const { connect } = yield* serve({}, {}, broker)
      yield* Effect.promise(async () => {
        const count = 65_536
        await Effect.runPromise(broker.publish(Array.from({ length: count }, () => Buffer.from("1"))))
        const peer = await connect()
        await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })
        await peer.take(count)
        const acks = 500
        peer.send(
          ...Array.from({ length: acks }, () => ({ type: "ack", subscriber_id: "s", ranges: [[0, count]] }))
        )
        const answers = await answersOf(() => peer.next(), acks)
        expect(answers.every(({ offset }) => offset === count)).toBe(true)
        expect(named).toBe(calls * count)
        expect(calls).toBeLessThan(acks / 10)
      })
    }).pipe(Effect.provide(Scheduler.layer))
  )
})

describe("acks of a subscription that another one takes over", () => {
  it.scopedLive("are answered by that name, and the connection goes on", () =>
    Effect.gen(function* () {
      const { openBroker } = yield* makeGround()
      const living = yield* openBroker
      const gate = yield* Deferred.make<void>()
      let isFirst = true
      const broker = Broker.of({
        ...living,
        subscribe: (options) =>
          Effect.map(living.subscribe(options), (subscription) => ({
            ...subscription,
            ack: (offsets) =>
              Effect.suspend(() => {
                const waits = isFirst
                isFirst = false
                return Effect.zipRight(waits ? Deferred.await(gate) : Effect.void, subscription.ack(offsets))
              })
          }))
      })
      const { connect, server } = yield* serve({}, {}, broker)
      yield* Effect.promise(async () => {
        await Effect.runPromise(broker.publish([Buffer.from("1"), Buffer.from("2")]))
        const peer = await connect()
        await peer.ask({ type: "hello", version: 1 })
        await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })
        await peer.take(2)
        // One is under way when the subscription ends, the other one waits for it.
        peer.send({ type: "ack", message_id: "0", correlation_id: "first" })
        while (isFirst) await new Promise((resolve) => setImmediate(resolve))
        peer.send({ type: "ack", message_id: "1", correlation_id: "second" })
        while (Effect.runSync(server.figures).framesRead < 4)
          await new Promise((resolve) => setImmediate(resolve))
        const other = await connect()
        await other.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })
        expect(await peer.next()).toMatchObject({ code: "taken_over", unsolicited: true })
        await Effect.runPromise(Deferred.succeed(gate, undefined))
        for (const correlation_id of ["first", "second"]) {
          expect(await peer.next()).toMatchObject({ type: "error", code: "taken_over", correlation_id })
        }
        expect(await peer.ask({ type: "ping" })).toEqual({ type: "response", success: true })
      })
    }).pipe(Effect.provide(Scheduler.layer))
  )
})
