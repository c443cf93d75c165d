/** Whom a broker's server lets in: a client with the token, and where both show certificates, with a trusted one. */
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Broker } from "../../../../src/layers/Broker.ts"
import type { BrokerClientConfig } from "../../../../src/layers/broker/tcp.ts"
import { makeAuthority } from "../../../Certificates.ts"
import { hello, messages, numbered, receiveUntil, subscribe } from "../../../contracts/Broker.messages.ts"
import { makeGround } from "../Ground.ts"
import { connectTo, serve } from "./Served.ts"

/** Publishes and reads as a client that is set like this. */
const exchange = (port: number, settings: Partial<BrokerClientConfig["Type"]>, name: string) =>
  Effect.scoped(
    Effect.flatMap(connectTo(port, settings), (client) =>
      Effect.gen(function* () {
        const { firstOffset } = yield* (yield* hello(name)).publish(numbered(0, [name]))
        const subscription = yield* subscribe(name, { from: firstOffset! })
        expect(yield* receiveUntil(subscription, firstOffset! + 1)).toEqual(messages(firstOffset!, name))
        expect((yield* client.stats).nextOffset).toBe(firstOffset! + 1)
        yield* client.publish([new TextEncoder().encode("1")])
      }).pipe(Effect.provideService(Broker, client))
    )
  )

const problemOf = (port: number, settings: Partial<BrokerClientConfig["Type"]>) =>
  Effect.map(Effect.flip(exchange(port, settings, "refused")), ({ message }) =>
    message.replace(`127.0.0.1:${port}`, "the broker")
  )

it.scopedLive("with a token, only those who have it", () =>
  Effect.gen(function* () {
    const port = yield* serve(yield* (yield* makeGround()).openBroker, { token: "secret" })
    yield* exchange(port, { token: "secret" }, "p")
    expect(yield* problemOf(port, { token: "wrong" })).toBe(
      "broker: the broker does not accept the token (MQ_TOKEN)"
    )
    expect(yield* problemOf(port, {})).toBe("broker: the broker asks for a token (MQ_TOKEN)")
  })
)

it.scopedLive("without one, those who have one too", () =>
  Effect.gen(function* () {
    const port = yield* serve(yield* (yield* makeGround()).openBroker)
    yield* exchange(port, { token: "secret" }, "p")
  })
)

it.scopedLive("where both sides show certificates, only those that are trusted", () =>
  Effect.gen(function* () {
    const authority = makeAuthority("authority")
    const identity = authority.issue(["127.0.0.1", "localhost"])
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "telemetry-tls-"))),
      (made) => Effect.promise(() => rm(made, { recursive: true }))
    )
    const written = (name: string, pem: string) =>
      Effect.as(
        Effect.promise(() => writeFile(join(folder, name), pem)),
        join(folder, name)
      )
    const tls = {
      certPath: yield* written("certificate.pem", identity.certificate),
      keyPath: yield* written("key.pem", identity.key),
      clientCaPath: yield* written("authority.pem", authority.certificate)
    }
    const port = yield* serve(yield* (yield* makeGround()).openBroker, { tls })
    const trusting = { ca: authority.certificate }
    yield* exchange(port, { tls: { ...trusting, ...authority.issue(["client"]) } }, "p")
    expect(yield* problemOf(port, { tls: trusting })).toBe("broker: the broker asks for a client certificate")
    const stranger = makeAuthority("stranger").issue(["client"])
    expect(yield* problemOf(port, { tls: { ...trusting, ...stranger } })).toMatch(
      /^broker: the broker (does|has closed .*; it may) not accept the client certificate$/
    )
    expect(yield* problemOf(port, {})).toMatch(
      /^broker: the broker (speaks TLS only|has closed the connection at once; it may ask for TLS)$/
    )
  })
)
