/** What is told of a broker that can't be reached, in words for whoever has to mend it. */
import { once } from "node:events"
import { createServer as createHttpServer } from "node:http"
import { type AddressInfo, createServer, type Server } from "node:net"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { BrokerClientConfig, layerTcp } from "../../../../src/layers/broker/tcp.ts"
import { hello } from "../../../contracts/Broker.messages.ts"
import { scriptedServer } from "./ScriptedServer.ts"

/** What a hello to a place fails with. */
const problemAt = (config: Partial<BrokerClientConfig["Type"]>) =>
  Effect.map(
    Effect.flip(
      Effect.provide(
        Effect.provide(Effect.scoped(hello("p")), layerTcp),
        BrokerClientConfig.layer({ host: "127.0.0.1", ...config })
      )
    ),
    ({ message }) => message
  )

/** The port of a server that listens while the scope is open. */
const listening = (server: Server) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        server.listen(0, "127.0.0.1")
        await once(server, "listening")
        return server
      }),
      () => Effect.sync(() => server.close())
    ),
    () => (server.address() as AddressInfo).port
  )

it.scoped("a port at which nobody listens", () =>
  Effect.gen(function* () {
    const port = yield* Effect.scoped(listening(createServer()))
    expect(yield* problemAt({ port })).toBe(`broker: 127.0.0.1:${port} refuses connections`)
    expect(yield* problemAt({ host: "localhost", port })).toBe(
      `broker: localhost:${port} refuses connections`
    )
  })
)

it.live("a host that there is not", () =>
  Effect.gen(function* () {
    expect(yield* problemAt({ host: "broker.invalid" })).toMatch(
      /^broker: (there is no host broker\.invalid|the address of broker\.invalid can't be looked up now)$/
    )
  })
)

it.scoped("a server of HTTP", () =>
  Effect.gen(function* () {
    const port = yield* listening(createHttpServer())
    expect(yield* problemAt({ port })).toBe(`broker: 127.0.0.1:${port} is no broker: it speaks HTTP`)
  })
)

it.scoped("a server of something else", () =>
  Effect.gen(function* () {
    const port = yield* listening(createServer((socket) => socket.end("220 mail ready\r\n")))
    expect(yield* problemAt({ port })).toBe(
      `broker: 127.0.0.1:${port} is no broker: it does not speak this protocol`
    )
  })
)

it.scoped("a server that closes every connection", () =>
  Effect.gen(function* () {
    const port = yield* listening(createServer((socket) => socket.on("data", () => socket.end())))
    expect(yield* problemAt({ port })).toBe(
      `broker: 127.0.0.1:${port} has closed the connection at once; it may ask for TLS`
    )
  })
)

it.scoped("a broker of an older kind", () =>
  Effect.gen(function* () {
    const { port } = yield* scriptedServer((_, reply) =>
      reply({ type: "error", error: "unknown message type" })
    )
    expect(yield* problemAt({ port })).toBe(
      `broker: 127.0.0.1:${port} is a broker of an older kind, which does not know hello`
    )
  })
)

it.scoped("a broker that says why, and closes the connection", () =>
  Effect.gen(function* () {
    const { port } = yield* scriptedServer((_, reply, socket) => {
      reply({ type: "error", error: "too many connections", code: "too_many_connections", unsolicited: true })
      socket.end()
    })
    expect(yield* problemAt({ port })).toBe("broker: too many connections")
  })
)

it.scoped("a server without TLS", () =>
  Effect.gen(function* () {
    const port = yield* listening(createServer((socket) => socket.end("no TLS here, not at all\r\n")))
    expect(yield* problemAt({ port, tls: {} })).toBe(`broker: 127.0.0.1:${port} does not speak TLS`)
  })
)
