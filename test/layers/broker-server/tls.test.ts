import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { BrokerServerFailed } from "../../../src/layers/BrokerServer.ts"
import { serve, serving } from "./Serving.ts"
import { Stranger } from "./Stranger.ts"

const folder = mkdtempSync(join(tmpdir(), "broker-tls-"))
afterAll(() => rmSync(folder, { recursive: true }))
const at = (name: string) => join(folder, name)
const openssl = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { stdio: "ignore" })

/** A certificate of that name: of itself, or signed by an authority. */
const certificate = (name: string, authority?: string) => {
  const subject = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-subj",
    `/CN=${name}`
  ]
  const key = ["-keyout", at(`${name}.key`)]
  if (authority === undefined) {
    openssl(
      "req",
      "-x509",
      ...subject,
      ...key,
      "-out",
      at(`${name}.crt`),
      "-days",
      "2",
      "-addext",
      "subjectAltName=IP:127.0.0.1"
    )
    return
  }
  openssl("req", ...subject, ...key, "-out", at(`${name}.csr`))
  const signer = ["-CA", at(`${authority}.crt`), "-CAkey", at(`${authority}.key`), "-CAcreateserial"]
  openssl("x509", "-req", "-in", at(`${name}.csr`), ...signer, "-days", "2", "-out", at(`${name}.crt`))
}

certificate("server")
certificate("authority")
certificate("client", "authority")
certificate("strange")

const tls = { certPath: at("server.crt"), keyPath: at("server.key") }
const ca = readFileSync(at("server.crt"))
const shows = (name: string) => ({
  ca,
  cert: readFileSync(at(`${name}.crt`)),
  key: readFileSync(at(`${name}.key`))
})
const pong = { type: "response", success: true }

describe("TLS", () => {
  it.scopedLive("serves whoever trusts the certificate, in both directions", () =>
    serving(
      async ({ server }) => {
        const peer = await Stranger.connect(server.address.port, { ca })
        await peer.ask({ type: "subscribe", subscriber_id: "s" })
        peer.send({ type: "publish", payload: "x".repeat(300_000) })
        expect(await peer.take(2)).toContainEqual(expect.objectContaining({ type: "message", offset: 0 }))
        await expect(Stranger.connect(server.address.port, {})).rejects.toThrow(/self-signed/)
        peer.close()
      },
      { tls }
    )
  )

  it.scopedLive("that asks for a certificate of the client takes those of its authority alone", () =>
    serving(
      async ({ server }) => {
        const { port } = server.address
        const known = await Stranger.connect(port, shows("client"))
        expect(await known.ask({ type: "ping" })).toEqual(pong)
        for (const options of [{ ca }, shows("strange")]) {
          const unknown = await Stranger.connect(port, options)
          unknown.send({ type: "publish", payload: 1 })
          expect(await unknown.untilClosed()).toEqual([])
        }
        expect(await known.ask({ type: "publish", payload: 1 })).toEqual({ ...pong, offset: 0 })
        known.close()
      },
      { tls: { ...tls, clientCaPath: at("authority.crt") } }
    )
  )

  it.scopedLive("says what is wrong with a certificate, or with where it is to listen", () =>
    Effect.gen(function* () {
      const missing = yield* Effect.flip(serve({ tls: { ...tls, keyPath: at("none.key") } }))
      expect(missing).toBeInstanceOf(BrokerServerFailed)
      expect(String(missing)).toContain("none.key")
      const swapped = yield* Effect.flip(serve({ tls: { ...tls, keyPath: at("client.key") } }))
      expect(swapped).toBeInstanceOf(BrokerServerFailed)
      const { server } = yield* serve()
      const taken = yield* Effect.flip(serve({ port: server.address.port }))
      expect(String(taken)).toContain("the port is in use")
    })
  )
})
