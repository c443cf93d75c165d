import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
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
        expect(offsets.size).toBe(expected.size)
      }
      expect(offsets.toArray()).toEqual([...expected].sort((one, other) => one - other))
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
        const count = 4_096
        await Effect.runPromise(broker.publish(Array.from({ length: count }, () => Buffer.from("1"))))
        const peer = await connect()
        await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })
        await peer.take(count)
        const acks = 1_000
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
