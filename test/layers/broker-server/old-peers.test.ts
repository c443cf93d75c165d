import { describe, expect, it } from "@effect/vitest"
import { serving } from "./Serving.ts"
import { frameOf } from "./Stranger.ts"

const published = (offset: number) => ({ type: "response", success: true, offset })
const message = (offset: number, payload: unknown) => ({
  type: "message",
  message_id: String(offset),
  offset,
  payload
})

describe("a peer that never says hello", () => {
  it.scopedLive("publishes and is answered in order, a hundred frames in one packet", () =>
    serving(async ({ connect }) => {
      const peer = await connect()
      const numbers = Array.from({ length: 100 }, (_, index) => index)
      peer.send(...numbers.map((n) => ({ type: "publish", payload: { n } })))
      expect(await peer.take(100)).toEqual(numbers.map(published))
    })
  )

  it.scopedLive("may split its frames into single bytes", () =>
    serving(async ({ connect }) => {
      const peer = await connect()
      const bytes = Buffer.concat([1, 2, 3].map((n) => frameOf({ type: "publish", payload: n })))
      for (const byte of bytes) {
        await new Promise<void>((resolve) => peer.socket.write(Buffer.of(byte), () => resolve()))
      }
      expect(await peer.take(3)).toEqual([0, 1, 2].map(published))
    })
  )

  it.scopedLive("gets the very bytes that were published, whatever space and names they have", () =>
    serving(async ({ connect }) => {
      const peer = await connect()
      const payloads = [
        "null",
        "0",
        '"\\u00e9 é \\ud83d\\ude00"',
        '{ "b" : 1 ,"a":[ ] ,"b":-0.0e+7}',
        "[1,\n 2]"
      ]
      const bodies = payloads.map((payload) => Buffer.from(` {"type" :"publish", "payload": ${payload} } `))
      peer.send(...bodies)
      await peer.take(payloads.length)
      peer.send({ type: "subscribe", subscriber_id: "s", offset: -2 })
      expect(await peer.next()).toEqual({ type: "response", success: true })
      for (const [offset, payload] of payloads.entries()) {
        expect((await peer.body()).toString()).toBe(
          `{"type":"message","message_id":"${offset}","offset":${offset},"payload":${payload}}`
        )
      }
    })
  )

  it.scopedLive(
    "subscribes to what comes where it names no offset, and to offset 0 where it names that",
    () =>
      serving(async ({ connect }) => {
        const publisher = await connect()
        await publisher.ask({ type: "publish", payload: "a" })
        const latest = await connect()
        const first = await connect()
        await latest.ask({ type: "subscribe", subscriber_id: "latest" })
        await first.ask({ type: "subscribe", subscriber_id: "first", offset: 0 })
        await publisher.ask({ type: "publish", payload: "b" })
        expect(await latest.next()).toEqual(message(1, "b"))
        expect(await first.take(2)).toEqual([message(0, "a"), message(1, "b")])
      })
  )

  it.scopedLive("is told where its offset lies outside of the log", () =>
    serving(async ({ connect }) => {
      const peer = await connect()
      expect(await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 7 })).toEqual({
        type: "response",
        success: true,
        clamped: true
      })
      peer.send({ type: "publish", payload: 1 })
      expect(await peer.take(2)).toContainEqual(message(0, 1))
    })
  )

  it.scopedLive("is delivered to although it never acks, and acks in any order", () =>
    serving(async ({ connect }) => {
      const peer = await connect()
      await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })
      const publisher = await connect()
      publisher.send(...Array.from({ length: 2_000 }, (_, payload) => ({ type: "publish", payload })))
      expect((await peer.take(2_000)).map(({ payload }) => payload)).toEqual(
        Array.from({ length: 2_000 }, (_, payload) => payload)
      )
      peer.send(
        { type: "ack", message_id: "2" },
        { type: "ack", message_id: "1" },
        { type: "ack", message_id: "4" }
      )
      expect(await peer.take(3)).toEqual(Array(3).fill({ type: "response", success: true, offset: 0 }))
      peer.send({ type: "ack", message_id: "0" })
      expect(await peer.next()).toMatchObject({ success: true, offset: 3 })
    })
  )

  it.scopedLive("that asks for latest goes on where its acks ended", () =>
    serving(async ({ connect }) => {
      const publisher = await connect()
      const before = await connect()
      await before.ask({ type: "subscribe", subscriber_id: "collector-1", offset: -1 })
      publisher.send(...["a", "b", "c"].map((payload) => ({ type: "publish", payload })))
      await before.take(3)
      expect(await before.ask({ type: "ack", message_id: "0" })).toMatchObject({ success: true })
      before.close()
      const again = await connect()
      await again.ask({ type: "subscribe", subscriber_id: "collector-1", offset: -1 })
      expect(await again.take(2)).toEqual([message(1, "b"), message(2, "c")])
    })
  )

  it.scopedLive("has no more outstanding than it is allowed to", () =>
    serving(
      async ({ connect }) => {
        const peer = await connect()
        await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })
        peer.send(...["a", "b"].map((payload) => ({ type: "publish", payload })))
        const frames = await peer.take(3)
        expect(frames.filter(({ type }) => type === "message")).toEqual([message(0, "a")])
        peer.send({ type: "ack", message_id: "0" })
        expect(await peer.take(2)).toEqual(
          expect.arrayContaining([{ type: "response", success: true, offset: 1 }, message(1, "b")])
        )
      },
      { legacyMaxInFlight: 1 }
    )
  )

  it.scopedLive("that publishes and never reads is not held up, whatever it is answered", () =>
    serving(async ({ connect }) => {
      const peer = await connect()
      peer.socket.pause()
      const count = 1_000
      const publishes = Buffer.concat(
        Array.from({ length: count }, () => frameOf({ type: "publish", payload: 1 }))
      )
      const rounds = 150
      for (let round = 0; round < rounds; round++) {
        await new Promise<void>((resolve) => peer.socket.write(publishes, () => resolve()))
      }
      const other = await connect()
      await other.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })
      for (let offset = 0; offset < rounds * count; offset++) {
        if ((await other.next()).offset !== offset) throw new Error(`not offset ${offset}`)
      }
    })
  )
})
