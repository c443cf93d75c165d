import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Broker, BrokerUnavailable } from "../../../src/layers/Broker.ts"
import * as Scheduler from "../../../src/layers/Scheduler.ts"
import { makeGround } from "../broker/Ground.ts"
import { serve, serving } from "./Serving.ts"
import { Stranger } from "./Stranger.ts"

const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve))
}

describe("a server that ends", () => {
  it.scopedLive("takes no more connections, answers what it has, and closes those it has", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { openBroker } = yield* makeGround()
      const broker = yield* openBroker
      const { server } = yield* Scope.extend(serve({}, {}, broker), scope)
      const { port } = server.address
      const peer = yield* Effect.promise(() => Stranger.connect(port))
      yield* Effect.promise(() => peer.ask({ type: "subscribe", subscriber_id: "s" }))
      peer.send(...Array.from({ length: 500 }, (_, payload) => ({ type: "publish", payload })))
      yield* Effect.promise(() => until(() => Effect.runSync(server.figures).framesRead === 501))
      yield* Scope.close(scope, Exit.void)
      const frames = yield* Effect.promise(() => peer.untilClosed())
      expect(frames.filter(({ type }) => type === "response")).toHaveLength(500)
      yield* Effect.promise(() => expect(Stranger.connect(port)).rejects.toThrow(/ECONNREFUSED/))
      expect((yield* broker.stats).subscribers).toEqual([])
    }).pipe(Effect.provide(Scheduler.layer))
  )

  it.scopedLive("does not wait for ever for a publish that has no room", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { openBroker } = yield* makeGround({ retentionBytes: 16 * 1024 })
      const broker = yield* openBroker
      const { server } = yield* Scope.extend(serve({ drainTimeoutMs: 30 }, {}, broker), scope)
      const reader = yield* Effect.promise(() => Stranger.connect(server.address.port))
      yield* Effect.promise(() =>
        reader.ask({ type: "subscribe", subscriber_id: "s", offset: 0, resume: true })
      )
      const peer = yield* Effect.promise(() => Stranger.connect(server.address.port))
      peer.send(...Array.from({ length: 20 }, () => ({ type: "publish", payload: "x".repeat(1_000) })))
      while ((yield* broker.stats).waitingRecords === 0) yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      yield* Effect.promise(() => peer.untilClosed())
    }).pipe(Effect.provide(Scheduler.layer))
  )
})

describe("a broker that has ended", () => {
  it.scopedLive("ends the connection of whoever asks it, with an error", () =>
    Effect.gen(function* () {
      const { openBroker } = yield* makeGround()
      const living = yield* openBroker
      const gone = new BrokerUnavailable({ problem: "gone" })
      const { connect, server } = yield* serve(
        {},
        {},
        Broker.of({ ...living, publish: () => Effect.fail(gone) })
      )
      const peer = yield* Effect.promise(connect)
      peer.send(...Array.from({ length: 3 }, () => ({ type: "publish", payload: 1 })))
      expect(yield* Effect.promise(() => peer.untilClosed())).toEqual([
        expect.objectContaining({ type: "error", code: "unavailable", problem: "gone", unsolicited: true })
      ])
      yield* Effect.promise(() => until(() => Effect.runSync(server.figures).connections === 0))
      expect((yield* server.figures).pendingBytes).toBe(0)
    }).pipe(Effect.provide(Scheduler.layer))
  )
})

describe("a subscriber that stops reading", () => {
  it.scopedLive("holds up no other, and costs no memory but what is on its way", () =>
    serving(async ({ connect, broker }) => {
      const slow = await connect()
      await slow.ask({ type: "subscribe", subscriber_id: "slow", offset: 0 })
      slow.socket.pause()
      const fast = await Promise.all(Array.from({ length: 3 }, connect))
      await Promise.all(
        fast.map((peer, index) => peer.ask({ type: "subscribe", subscriber_id: `fast ${index}`, offset: 0 }))
      )
      const payload = Buffer.from(JSON.stringify("x".repeat(20_000)))
      const count = 1_500
      for (let sent = 0; sent < count; sent += 100) {
        await Effect.runPromise(broker.publish(Array.from({ length: 100 }, () => payload)))
        for (const peer of fast) expect((await peer.take(100)).at(-1)).toMatchObject({ offset: sent + 99 })
      }
      const { subscribers } = await Effect.runPromise(broker.stats)
      const cursor = subscribers.find(({ subscriberId }) => subscriberId === "slow")!.currentOffset
      expect(cursor * payload.length).toBeLessThan((count * payload.length) / 2)
      slow.socket.resume()
      expect((await slow.take(count)).map(({ offset }) => offset)).toEqual(
        Array.from({ length: count }, (_, at) => at)
      )
    })
  )

  it.scopedLive("leaves with the broker what its other subscriptions are to be sent", () =>
    Effect.gen(function* () {
      const { openBroker } = yield* makeGround()
      const living = yield* openBroker
      let takes = 0
      const broker = Broker.of({
        ...living,
        subscribe: (options) =>
          Effect.map(living.subscribe(options), (subscription) => ({
            ...subscription,
            deliveries: Effect.tap(subscription.deliveries, () => {
              takes++
            })
          }))
      })
      const { connect } = yield* serve({}, {}, broker)
      yield* Effect.promise(async () => {
        const payload = Buffer.from(JSON.stringify("x".repeat(100_000)))
        const count = 100
        await Effect.runPromise(living.publish(Array.from({ length: count }, () => payload)))
        const slow = await connect()
        slow.socket.pause()
        const subscriptions = 32
        slow.send(
          { type: "hello", version: 1 },
          ...Array.from({ length: subscriptions }, (_, at) => ({
            type: "subscribe",
            subscriber_id: `slow ${at}`,
            offset: 0
          }))
        )
        const stats = () => Effect.runPromise(living.stats)
        // All are delivered to as far as the broker goes without being asked.
        await until(async () => {
          const { subscribers } = await stats()
          return subscribers.length === subscriptions && subscribers.every((one) => one.currentOffset > 0)
        })
        expect(takes).toBeLessThan(subscriptions / 2)
        slow.socket.resume()
        const next = new Map<unknown, number>()
        for (let left = subscriptions * count; left > 0; ) {
          const { type, subscriber_id: id, offset } = await slow.next()
          if (type !== "message") continue
          expect(offset).toBe(next.get(id) ?? 0)
          next.set(id, (offset as number) + 1)
          left--
        }
      })
    }).pipe(Effect.provide(Scheduler.layer))
  )
})
