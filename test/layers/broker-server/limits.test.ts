import { connect } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { payloadBytesMax } from "../../../src/protocol/Limits.ts"
import { serving } from "./Serving.ts"
import { frameOf, Stranger } from "./Stranger.ts"

const error = (code: string, rest: Record<string, unknown> = {}) => ({
  type: "error",
  code,
  error: expect.any(String),
  ...rest
})
const unsolicited = (code: string) => error(code, { unsolicited: true })
const publishedAt = (offset: number) => ({ type: "response", success: true, offset })

/** Waits for what the server counts, turn by turn. */
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

describe("a frame that is no request is answered by name, and the connection goes on", () => {
  const deep = `{"type":"publish","payload":${"[".repeat(2_000)}${"]".repeat(2_000)}}`
  const cases: ReadonlyArray<readonly [name: string, body: unknown, code: string]> = [
    ["of length 0", Buffer.alloc(0), "empty_frame"],
    ["that is not JSON", Buffer.from('{"type":"publish","payload":}'), "not_json"],
    ["that is not UTF-8", Buffer.from([0x22, 0xc3, 0x28, 0x22]), "not_json"],
    ["that is nested too deep", Buffer.from(deep), "too_deep"],
    ["that is an array", [], "bad_request"],
    ["of an unknown type", { type: "dance" }, "unknown_type"],
    ["without a type", {}, "unknown_type"],
    ["whose type is a number", { type: 1 }, "bad_request"],
    ["in binary", Buffer.from([1, 0, 0, 0]), "not_negotiated"],
    ["that publishes nothing", { type: "publish" }, "bad_request"],
    ["whose payload is too long", { type: "publish", payload: "x".repeat(payloadBytesMax) }, "too_large"],
    [
      "that names a producer and no sequence",
      { type: "publish", payload: 1, producer_id: "p" },
      "bad_request"
    ],
    [
      "with a negative sequence",
      { type: "publish", payload: 1, producer_id: "p", sequence: -1 },
      "bad_request"
    ],
    [
      "with a long position",
      { type: "publish", payload: 1, producer_id: "p", sequence: 0, position: "x".repeat(1_025) },
      "bad_request"
    ],
    ["with a long correlation_id", { type: "ping", correlation_id: "x".repeat(2_000) }, "bad_request"],
    ["that subscribes as nobody", { type: "subscribe", subscriber_id: "" }, "bad_request"],
    [
      "that subscribes below the earliest",
      { type: "subscribe", subscriber_id: "s", offset: -3 },
      "bad_request"
    ],
    [
      "that subscribes between two offsets",
      { type: "subscribe", subscriber_id: "s", offset: 1.5 },
      "bad_request"
    ],
    [
      "that unsubscribes whom it has not subscribed",
      { type: "unsubscribe", subscriber_id: "s" },
      "subscriber_not_found"
    ],
    ["that acks and has no subscription", { type: "ack", message_id: "0" }, "not_subscribed"],
    ["that acks no offset", { type: "ack", message_id: "first" }, "bad_request"],
    ["that nacks and has no subscription", { type: "nack", message_id: "0" }, "not_subscribed"],
    [
      "that commits and has no subscription",
      { type: "commit", subscriber_id: "s", offset: 0 },
      "not_subscribed"
    ],
    ["that says hello late", { type: "hello", version: 1 }, "late_hello"]
  ]
  it.scopedLive("whatever it is", () =>
    serving(async ({ connect, rejects }) => {
      const peer = await connect()
      await peer.ask({ type: "ping" })
      for (const [name, body, code] of cases) {
        expect(await peer.ask(body), name).toEqual(error(code))
      }
      expect(await peer.ask({ type: "publish", payload: 1 })).toEqual(publishedAt(0))
      const counted = await Effect.runPromise(rejects.byReason)
      expect(counted.map(({ reason }) => reason)).toEqual(["bad_frame"])
    })
  )

  it.scopedLive("in the words of the contract, with its correlation_id as it came", () =>
    serving(async ({ connect }) => {
      const peer = await connect()
      expect(await peer.ask({ type: "?", correlation_id: { a: ["é", null] } })).toMatchObject({
        error: "unknown message type",
        correlation_id: { a: ["é", null] }
      })
      expect(await peer.ask({ type: "unsubscribe", subscriber_id: "s", correlation_id: null })).toMatchObject(
        {
          error: "subscriber not found",
          correlation_id: null
        }
      )
    })
  )
})

describe("a limit closes the connection that goes beyond it, says so, and touches no other", () => {
  it.scopedLive("the length of a frame, behind the answers to what came before it", () =>
    serving(async ({ connect }) => {
      const [peer, other] = [await connect(), await connect()]
      peer.socket.write(
        Buffer.concat([frameOf({ type: "publish", payload: 1 }), Buffer.from([0, 160, 0, 1])])
      )
      expect(await peer.untilClosed()).toEqual([
        publishedAt(0),
        { ...unsolicited("frame_too_long"), problem: "10485761 bytes" }
      ])
      expect(await other.ask({ type: "publish", payload: 1 })).toEqual(publishedAt(1))
    })
  )

  it.scopedLive("connections", () =>
    serving(
      async ({ connect, server }) => {
        const [first] = [await connect(), await connect()]
        const third = await connect()
        expect(await third.untilClosed()).toEqual([unsolicited("too_many_connections")])
        first.close()
        await until(() => Effect.runSync(server.figures).connections === 1)
        expect(await (await connect()).ask({ type: "ping" })).toEqual({ type: "response", success: true })
      },
      { connectionsMax: 2 }
    )
  )

  it.scopedLive("silence of a peer that has no subscription; one that only listens is not idle", () =>
    serving(
      async ({ connect, broker }) => {
        const [idle, listening] = [await connect(), await connect()]
        await listening.ask({ type: "subscribe", subscriber_id: "s" })
        expect(await idle.untilClosed()).toEqual([unsolicited("idle")])
        await Effect.runPromise(broker.publish([Buffer.from("1")]))
        expect(await listening.next()).toMatchObject({ type: "message", payload: 1 })
      },
      { idleTimeoutMs: 40 }
    )
  )

  it.scopedLive("time without reading what it is sent", () =>
    serving(
      async ({ connect, broker, server }) => {
        const [slow, other] = [await connect(), await connect()]
        await slow.ask({ type: "subscribe", subscriber_id: "slow", offset: 0 })
        slow.socket.pause()
        const large = Buffer.from(JSON.stringify("x".repeat(1_000_000)))
        for (let count = 0; count < 20; count++) await Effect.runPromise(broker.publish([large]))
        await until(() => Effect.runSync(server.figures).errors.write_stalled === 1)
        expect(await other.ask({ type: "ping" })).toEqual({ type: "response", success: true })
      },
      { writeStallTimeoutMs: 40 }
    )
  )

  it.scopedLive("parts of frames whose rest does not come, where they take what all may hold", () =>
    serving(
      async ({ connect, server }) => {
        const other = await connect()
        const parts = await Promise.all([connect(), connect()])
        const part = frameOf(Buffer.alloc(900_000, 0x20)).subarray(0, 800_000)
        for (const peer of parts) peer.socket.write(part)
        await Promise.race(parts.map((peer) => peer.untilClosed()))
        await until(() => Effect.runSync(server.figures).errors.too_many_pending_bytes === 1)
        expect(await other.ask({ type: "publish", payload: 1 })).toEqual(publishedAt(0))
      },
      { pendingBytesMax: 1_200_000 }
    )
  )
})

describe("a limit that refuses", () => {
  it.scopedLive("subscriptions of a connection", () =>
    serving(
      async ({ connect }) => {
        const peer = await connect()
        await peer.ask({ type: "subscribe", subscriber_id: "a" })
        expect(await peer.ask({ type: "subscribe", subscriber_id: "b" })).toEqual(
          error("too_many_subscriptions")
        )
        expect(await peer.ask({ type: "subscribe", subscriber_id: "a" })).toMatchObject({ success: true })
      },
      { subscriptionsPerConnectionMax: 1 }
    )
  )

  it.scopedLive("producers of a connection", () =>
    serving(
      async ({ connect }) => {
        const peer = await connect()
        const by = (producer_id: string, sequence: number) => ({
          type: "publish",
          payload: 1,
          producer_id,
          sequence
        })
        expect(await peer.ask(by("a", 0))).toEqual(publishedAt(0))
        expect(await peer.ask(by("b", 0))).toEqual(error("too_many_producers"))
        expect(await peer.ask(by("a", 1))).toEqual(publishedAt(1))
      },
      { producersPerConnectionMax: 1 }
    )
  )
})

describe("a full log", () => {
  const ground = { retentionBytes: 16 * 1024 }
  const large = "x".repeat(1_024)

  it.scopedLive("holds up a peer that only publishes, within its budget; what frees the log gets in", () =>
    serving(
      async ({ connect, server }) => {
        const subscriber = await connect()
        await subscriber.ask({ type: "subscribe", subscriber_id: "s", offset: 0, resume: true })
        const publisher = await connect()
        const count = 2_000
        publisher.socket.write(
          Buffer.concat(Array.from({ length: count }, () => frameOf({ type: "publish", payload: large })))
        )
        for (let acked = 0; acked < count; ) {
          const frame = await subscriber.next()
          expect(Effect.runSync(server.figures).pendingBytes).toBeLessThan(600_000)
          if (frame.type !== "message") continue
          expect(frame.offset).toBe(acked++)
          subscriber.send({ type: "ack", message_id: frame.message_id })
        }
        expect(await publisher.take(count)).toEqual(
          Array.from({ length: count }, (_, offset) => publishedAt(offset))
        )
      },
      { pendingBytesPerConnectionMax: 200_000 },
      ground
    )
  )

  it.scopedLive("refuses a peer that holds a subscription", () =>
    serving(
      async ({ connect }) => {
        const peer = await connect()
        await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 0, resume: true })
        peer.send(
          ...Array.from({ length: 30 }, () => ({ type: "publish", payload: large, correlation_id: 7 }))
        )
        const answers = []
        while (answers.length < 30) {
          const frame = await peer.next()
          if (frame.type !== "message") answers.push(frame)
        }
        expect(answers[0]).toMatchObject({ success: true, offset: 0 })
        expect(answers.at(-1)).toMatchObject({ type: "error", error: "log full", correlation_id: 7 })
      },
      {},
      ground
    )
  )
})

describe("a token", () => {
  const token = "secret"

  it.scopedLive("lets nothing in but a hello with it", () =>
    serving(
      async ({ connect }) => {
        const peer = await connect()
        expect(await peer.ask({ type: "publish", payload: 1 })).toEqual(error("unauthorized"))
        expect(await peer.ask({ type: "get_stats" })).toEqual(error("unauthorized"))
        const wrong = await connect()
        wrong.send({ type: "hello", version: 1, token: "guess" })
        expect(await wrong.untilClosed()).toEqual([unsolicited("unauthorized")])
        const right = await connect()
        expect(await right.ask({ type: "hello", version: 1, token })).toMatchObject({ success: true })
        expect(await right.ask({ type: "publish", payload: 1 })).toEqual(publishedAt(0))
      },
      { token }
    )
  )

  it.scopedLive("has to be shown in time", () =>
    serving(
      async ({ connect }) => {
        const peer = await connect()
        expect(await peer.untilClosed()).toEqual([unsolicited("unauthorized")])
      },
      { token, helloTimeoutMs: 30 }
    )
  )
})

describe("one connection's nonsense", () => {
  it.scopedLive("touches no other", () =>
    serving(async ({ connect: stranger, server }) => {
      const good = await stranger()
      await good.ask({ type: "subscribe", subscriber_id: "good" })
      for (let round = 0; round < 20; round++) {
        const bad = connect(server.address.port, "127.0.0.1")
        bad.on("error", () => {})
        bad.write(Buffer.from(Array.from({ length: 50 }, (_, index) => (round * 37 + index * 101) % 256)))
        if (round % 2 === 0) bad.destroy()
        else bad.end()
        good.send({ type: "publish", payload: round })
        const frames = await good.take(2)
        expect(frames).toContainEqual(expect.objectContaining({ type: "message", payload: round }))
      }
      expect(good).toBeInstanceOf(Stranger)
    })
  )
})
