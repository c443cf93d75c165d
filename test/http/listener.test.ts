import { connect } from "node:net"
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { GatewayAddress, layer as gateway } from "../../src/http/Gateway.ts"
import { GatewayConfig } from "../../src/http/GatewayConfig.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import { sampleAt } from "../Samples.ts"
import { endless, gatewayOver, send, storeOf, storeWith } from "./TestGateway.ts"

/** Everything that a connection answers to these bytes, until the server ends it. */
const exchange = (port: number, bytes: string): Effect.Effect<string> =>
  Effect.async((resume) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    let answer = ""
    socket.on("data", (data) => {
      answer += data.toString()
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => socket.destroy())
  })

const refusals = (address: { readonly host: string; readonly port: number }) =>
  Layer.build(gateway).pipe(
    Effect.provide(Layer.mergeAll(storeOf([]), Rejects.layer, GatewayConfig.layer(address))),
    Effect.scoped,
    Effect.flip
  )

it.live("port 0 takes a free port, and the address tells which", () =>
  Effect.gen(function* () {
    const { host, port, url } = yield* GatewayAddress
    expect(port).toBeGreaterThan(0)
    expect({ host, url }).toEqual({ host: "127.0.0.1", url: `http://127.0.0.1:${port}` })
    expect((yield* send("/health")).status).toBe(200)
  }).pipe(Effect.provide(gatewayOver(storeOf([]))))
)

it.live("a port in use is an error of one line that names it", () =>
  Effect.gen(function* () {
    const { port } = yield* GatewayAddress
    const error = yield* refusals({ host: "127.0.0.1", port })
    expect(error._tag).toBe("ListenError")
    expect(error.message).toBe(`cannot listen on 127.0.0.1:${port}: the port is in use`)
  }).pipe(Effect.provide(gatewayOver(storeOf([]))))
)

it.live("an address that this machine does not have is an error that names it", () =>
  Effect.gen(function* () {
    const error = yield* refusals({ host: "192.0.2.1", port: 0 })
    expect(error.message).toBe("cannot listen on 192.0.2.1:0: this machine has no such address")
  })
)

it.live("a client that does not finish its request is cut off after the read timeout", () =>
  Effect.gen(function* () {
    const { port } = yield* GatewayAddress
    const answer = yield* exchange(port, "GET /health HTTP/1.1\r\nHost: x\r\n")
    expect(answer).toMatch(/^HTTP\/1.1 408 Request Timeout\r\nContent-Type: application\/problem\+json/)
  }).pipe(Effect.provide(gatewayOver(storeOf([]), { readTimeoutMs: 100 })))
)

it.live("what is no HTTP, or too long a header, is answered as a problem", () =>
  Effect.gen(function* () {
    const { port } = yield* GatewayAddress
    expect(yield* exchange(port, "hello\r\n\r\n")).toMatch(/^HTTP\/1.1 400 .*problem\+json.*"bad_request"/s)
    const long = yield* exchange(port, `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(70_000)}\r\n\r\n`)
    expect(long).toMatch(/^HTTP\/1.1 431 /)
  }).pipe(Effect.provide(gatewayOver(storeOf([]))))
)

it.live("closing lets an answer under way end, and takes no new connection", () =>
  Effect.gen(function* () {
    const asked = yield* Deferred.make<void>()
    const release = yield* Deferred.make<void>()
    const page = () =>
      Effect.as(Effect.zipRight(Deferred.succeed(asked, undefined), Deferred.await(release)), [sampleAt(0)])
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(gatewayOver(storeWith({ page })), scope)
    const underWay = yield* Effect.fork(Effect.provide(send("/api/v1/gpus/GPU-1/telemetry"), context))
    yield* Deferred.await(asked)
    const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
    const refused = Effect.exit(Effect.provide(send("/health"), context))
    yield* Effect.repeat(refused, { until: Exit.isFailure })
    yield* Deferred.succeed(release, undefined)
    expect((yield* Fiber.join(underWay)).json.count).toBe(1)
    yield* Fiber.join(closing)
  })
)

it.live("closing cuts off an export that does not end within the drain timeout", () =>
  Effect.gen(function* () {
    const flowing = yield* Deferred.make<void>()
    const samples = () => Stream.tap(endless, () => Deferred.succeed(flowing, undefined))
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(
      gatewayOver(storeWith({ samples }), { drainTimeoutMs: 100 }),
      scope
    )
    const { url } = yield* Effect.provide(GatewayAddress, context)
    const reading = yield* Effect.fork(
      Effect.tryPromise(async () => {
        const response = await fetch(`${url}/api/v1/gpus/GPU-1/telemetry/export?format=csv`)
        for await (const _ of response.body!) {
          // As fast as it comes.
        }
      })
    )
    yield* Deferred.await(flowing)
    yield* Scope.close(scope, Exit.void)
    expect((yield* Fiber.await(reading))._tag).toBe("Failure")
  })
)

it.live("who waits for an answer for as long as one may is told so, and not left without a word", () =>
  Effect.gen(function* () {
    for (const path of ["/api/v1/stats", "/api/v1/gpus/GPU-1/telemetry"]) {
      const answer = yield* send(path)
      expect(answer.status).toBe(503)
      expect(answer.text).toContain('"error":"unavailable","message":"no answer was found within 100 ms"')
    }
  }).pipe(
    Effect.provide(
      gatewayOver(storeWith({ stats: Effect.never, page: () => Effect.never }), { writeTimeoutMs: 100 })
    )
  )
)

it.live("a request behind one that is never answered does not keep its connection either", () =>
  Effect.gen(function* () {
    const { port } = yield* GatewayAddress
    const request = "GET /api/v1/stats HTTP/1.1\r\nHost: x\r\n\r\n"
    // Resolves when the server has ended the connection.
    yield* exchange(port, request + request)
  }).pipe(Effect.provide(gatewayOver(storeWith({ stats: Effect.never }), { writeTimeoutMs: 100 })))
)
