/** Connections over TLS: who trusts whom, and what is told where somebody does not. */
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { createServer, type TlsOptions } from "node:tls"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { BrokerClientConfig, type BrokerTlsOptions, layerTcp } from "../../../../src/layers/broker/tcp.ts"
import { FrameReader } from "../../../../src/protocol/wire/FrameReader.ts"
import { type Identity, makeAuthority } from "../../../Certificates.ts"
import { hello } from "../../../contracts/Broker.messages.ts"
import { frameOf, welcome } from "./ScriptedServer.ts"

const authority = makeAuthority("authority")
const stranger = makeAuthority("another authority")
const broker = authority.issue(["localhost", "127.0.0.1"])
const client = authority.issue(["client"])

/** The port of a broker that knows only how to answer a hello, over TLS. */
const listening = ({ certificate: cert, key }: Identity, options: TlsOptions = {}) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const server = createServer({ cert, key, ...options }, (socket) => {
          const reader = new FrameReader()
          socket.on("error", () => {})
          socket.on("data", (chunk) => {
            reader.push(chunk)
            while (reader.next()) {
              const text = new TextDecoder().decode(reader.bytes.subarray(reader.start, reader.end))
              socket.write(frameOf(welcome(JSON.parse(text))))
            }
          })
        })
        server.listen(0, "127.0.0.1")
        await once(server, "listening")
        return server
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => (server.address() as AddressInfo).port
  )

const helloAt = (port: number, tls: BrokerTlsOptions | undefined, host = "127.0.0.1") =>
  Effect.provide(
    Effect.provide(Effect.scoped(Effect.map(hello("p"), ({ logId }) => logId)), layerTcp),
    BrokerClientConfig.layer({ host, port, ...(tls === undefined ? {} : { tls }) })
  )

const problemAt = (port: number, tls: BrokerTlsOptions | undefined, host?: string) =>
  Effect.map(Effect.flip(helloAt(port, tls, host)), ({ message }) =>
    message.replace(/^broker: /, "").replace(`:${port}`, "")
  )

const trusting: BrokerTlsOptions = { ca: authority.certificate }

it.scoped("a broker whose authority is trusted is connected to, by name or address", () =>
  Effect.gen(function* () {
    const port = yield* listening(broker)
    expect(yield* helloAt(port, trusting)).toBe("log")
    expect(yield* helloAt(port, trusting, "localhost")).toBe("log")
  })
)

it.scoped("a broker whose authority is not trusted is told", () =>
  Effect.gen(function* () {
    const port = yield* listening(broker)
    for (const tls of [{}, { ca: stranger.certificate }]) {
      expect(yield* problemAt(port, tls)).toBe(
        "the certificate of 127.0.0.1 is not signed by an authority that is trusted here"
      )
    }
  })
)

it.scoped("a certificate of another name is told, unless that name is asked for", () =>
  Effect.gen(function* () {
    const port = yield* listening(authority.issue(["broker.example"]))
    expect(yield* problemAt(port, trusting, "localhost")).toBe(
      "the certificate of localhost is for other names than localhost (MQ_TLS_SERVER_NAME sets the name to expect)"
    )
    expect(yield* helloAt(port, { ...trusting, servername: "broker.example" }, "localhost")).toBe("log")
  })
)

it.scoped("a certificate that has expired is told", () =>
  Effect.gen(function* () {
    const port = yield* listening(authority.issue(["localhost", "127.0.0.1"], { isExpired: true }))
    expect(yield* problemAt(port, trusting)).toBe("the certificate of 127.0.0.1 has expired")
  })
)

it.scoped("a broker that speaks TLS only is told where none was asked for", () =>
  Effect.gen(function* () {
    const port = yield* listening(broker)
    expect(yield* problemAt(port, undefined)).toMatch(
      /^127\.0\.0\.1 (speaks TLS only|has closed the connection at once; it may ask for TLS)$/
    )
  })
)

it.scoped("where both sides show a certificate, the client's has to be trusted too", () =>
  Effect.gen(function* () {
    const port = yield* listening(broker, { requestCert: true, ca: authority.certificate })
    expect(yield* helloAt(port, { ...trusting, ...client })).toBe("log")
    expect(yield* problemAt(port, trusting)).toBe("127.0.0.1 asks for a client certificate")
    expect(yield* problemAt(port, { ...trusting, ...stranger.issue(["client"]) })).toMatch(
      /^127\.0\.0\.1 (does|has closed .*; it may) not accept the client certificate$/
    )
  })
)
