/** Connections from which nothing comes, and those that only have nothing to say. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import { Broker } from "../../../../src/layers/Broker.ts"
import { BrokerClientConfig, layerTcp } from "../../../../src/layers/broker/tcp.ts"
import { eventually, hello, numbered, subscribe } from "../../../contracts/Broker.messages.ts"
import { type Came, type Reply, scriptedServer, welcome } from "./ScriptedServer.ts"

const silenceMsMax = 5_000

/** A broker that is reached at a server of which a test says what it answers. */
const brokerAt = (answer: (came: Came, reply: Reply) => void) =>
  Effect.gen(function* () {
    const server = yield* scriptedServer(answer)
    const config = BrokerClientConfig.layer({ host: "127.0.0.1", port: server.port, silenceMsMax })
    const layer = yield* Layer.build(Layer.provide(layerTcp, config))
    return { server, layer }
  })

const cameOf = (came: ReadonlyArray<Came>, type: string) => came.filter((frame) => frame.type === type).length

it.scoped("a server that takes a connection and says nothing is given up", () =>
  Effect.gen(function* () {
    const { server, layer } = yield* brokerAt(() => {})
    const waiting = yield* Effect.fork(Effect.flip(Effect.provide(hello("p"), layer)))
    yield* eventually(Effect.sync(() => server.came.length === 1))
    yield* TestClock.adjust(2 * silenceMsMax)
    const { message } = yield* Fiber.join(waiting)
    expect(message).toBe(
      `broker: nothing came from 127.0.0.1:${server.port} for 5 s: the connection is taken for dead`
    )
  })
)

it.scoped("a publish has no deadline while the broker gives signs of life, if only that it is busy", () =>
  Effect.gen(function* () {
    let isAlive = true
    const { server, layer } = yield* brokerAt((came, reply) => {
      if (came.type === "hello") reply(welcome(came))
      if (came.type === "ping" && isAlive) reply({ type: "busy" })
    })
    const session = yield* Effect.provide(hello("p"), layer)
    const waiting = yield* Effect.fork(Effect.flip(session.publish(numbered(0, ["a"]))))
    yield* eventually(Effect.sync(() => cameOf(server.came, "binary") === 1))
    for (let pings = 1; pings <= 20; pings++) {
      yield* TestClock.adjust(Math.ceil(silenceMsMax / 3))
      yield* TestClock.adjust(Math.ceil(silenceMsMax / 3))
      yield* eventually(Effect.sync(() => cameOf(server.came, "ping") >= pings))
      // The answer has come once the next question of another connection is answered.
      yield* Effect.scoped(Effect.provide(hello("other"), layer))
    }
    expect(waiting.unsafePoll()).toBe(null)
    isAlive = false
    yield* TestClock.adjust(2 * silenceMsMax)
    expect((yield* Fiber.join(waiting))._tag).toBe("BrokerUnavailable")
  })
)

it.scoped("what waits on a dead connection is told, deliveries too, and the next call opens another", () =>
  Effect.gen(function* () {
    let isAlive = true
    const { server, layer } = yield* brokerAt((came, reply) => {
      if (!isAlive) return
      const { correlation_id } = came
      if (came.type === "hello") reply(welcome(came))
      else if (came.type === "subscribe") {
        const payload = { start: 0, clamped: false, log_id: "log", subscription: 0 }
        reply({ type: "response", success: true, correlation_id, payload })
      } else reply({ type: "response", success: true, correlation_id })
    })
    const scope = yield* Scope.make()
    const subscription = yield* Effect.provide(Scope.extend(subscribe("s"), scope), layer)
    const waiting = yield* Effect.fork(Effect.flip(subscription.deliveries))
    isAlive = false
    yield* TestClock.adjust(2 * silenceMsMax)
    expect((yield* Fiber.join(waiting))._tag).toBe("BrokerUnavailable")
    const opened = cameOf(server.came, "hello")
    isAlive = true
    yield* Effect.scoped(Effect.provide(subscribe("s"), layer))
    expect(cameOf(server.came, "hello")).toBe(opened + 1)
    yield* Scope.close(scope, Exit.void)
  })
)

it.scoped("closing a scope closes its connection, and what was sent before still arrives", () =>
  Effect.gen(function* () {
    const { server, layer } = yield* brokerAt((came, reply) => {
      if (came.type === "hello") reply(welcome(came))
    })
    const scope = yield* Scope.make()
    const session = yield* Effect.provide(Scope.extend(hello("p"), scope), layer)
    const waiting = yield* Effect.fork(Effect.exit(session.publish(numbered(0, ["a"]))))
    yield* eventually(Effect.sync(() => cameOf(server.came, "binary") === 1))
    yield* Scope.close(scope, Exit.void)
    expect(Exit.isFailure(yield* Fiber.join(waiting))).toBe(true)
    yield* eventually(Effect.sync(() => server.sockets.size === 0))
    const other = yield* Effect.flip(session.publish(numbered(1, ["b"])))
    expect(other.message).toBe("broker: the connection was closed")
  })
)

it.scoped("nothing is connected before it is needed", () =>
  Effect.gen(function* () {
    const { server, layer } = yield* brokerAt((came, reply) => {
      if (came.type === "hello") reply(welcome(came))
    })
    yield* Effect.provide(Broker, layer)
    expect(server.sockets.size).toBe(0)
  })
)
