import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { decodeBinaryAnswer, encodePublish } from "../../../src/protocol/wire/BinaryFrames.ts"
import { serving } from "./Serving.ts"
import type { Stranger } from "./Stranger.ts"

const hello = { type: "hello", version: 1 }
const success = { type: "response", success: true }
const by = (sequence: number, payload: unknown = sequence) => ({
  type: "publish",
  producer_id: "p",
  sequence,
  position: `row ${sequence}`,
  payload
})
const binaryAnswer = async (peer: Stranger) => {
  const body = await peer.body()
  return decodeBinaryAnswer(body, 0, body.length)
}

describe("hello", () => {
  it.scopedLive("tells the log's id, and where the producer is", () =>
    serving(async ({ connect, broker }) => {
      const { logId } = await Effect.runPromise(broker.stats)
      const first = await connect()
      expect(await first.ask({ ...hello, producer_id: "p", correlation_id: 1 })).toEqual({
        ...success,
        correlation_id: 1,
        payload: { log_id: logId, version: 1 }
      })
      first.send(by(0), by(1))
      await first.take(2)
      const second = await connect()
      expect(await second.ask({ ...hello, binary: true, producer_id: "p" })).toMatchObject({
        payload: { log_id: logId, version: 1, binary: true, sequence: 1, position: "row 1" }
      })
      expect(await first.ask(by(2))).toMatchObject({ type: "error", error: "fenced", code: "fenced" })
      expect(await second.ask(by(2))).toEqual({ ...success, offset: 2 })
    })
  )
})

describe("a producer's publishes", () => {
  it.scopedLive("are appended once, and refused where something is missing before them", () =>
    serving(async ({ connect }) => {
      const peer = await connect()
      peer.send(by(0), by(1), by(1), by(3), by(2), by(3), by(0))
      expect(await peer.take(7)).toEqual([
        { ...success, offset: 0 },
        { ...success, offset: 1 },
        { ...success, offset: 1, duplicate: true },
        expect.objectContaining({ type: "error", error: "sequence gap, expected 2", code: "sequence_gap" }),
        { ...success, offset: 2 },
        { ...success, offset: 3 },
        { ...success, offset: 0, duplicate: true }
      ])
    })
  )

  it.scopedLive("and a record that is too large costs no other one", () =>
    serving(
      async ({ connect }) => {
        const peer = await connect()
        const payloads = ["a", "x".repeat(20_000), "b", "c"]
        peer.send(...payloads.map((payload) => ({ type: "publish", payload })))
        expect(await peer.take(4)).toEqual([
          { ...success, offset: 0 },
          expect.objectContaining({ type: "error", code: "too_large" }),
          { ...success, offset: 1 },
          { ...success, offset: 2 }
        ])
      },
      {},
      { retentionBytes: 16 * 1024 }
    )
  )

  it.scopedLive("may come many in a frame, and say where they are", () =>
    serving(async ({ connect }) => {
      const peer = await connect()
      await peer.ask({ ...hello, binary: true, producer_id: "p" })
      const publish = (correlation: number, firstSequence: number | null, texts: ReadonlyArray<string>) =>
        encodePublish({
          correlation,
          firstSequence,
          payloads: texts.map((text) => Buffer.from(text)),
          positions: texts.map(() => null)
        })
      peer.socket.write(
        Buffer.concat([
          publish(7, 0, ["1", "2", "3"]),
          publish(8, 3, ["4"]),
          publish(9, 2, ["3", "4", "5"]),
          publish(10, 9, ["6"]),
          publish(11, null, ["[7]"]),
          publish(12, null, ["1", "}"])
        ])
      )
      const placed = (correlation: number, ...runs: ReadonlyArray<readonly [number, number, boolean]>) => ({
        type: "placed",
        correlation,
        placed: runs.map(([count, firstOffset, isDuplicate]) => ({ count, firstOffset, isDuplicate }))
      })
      expect(await binaryAnswer(peer)).toEqual(placed(7, [3, 0, false]))
      expect(await binaryAnswer(peer)).toEqual(placed(8, [1, 3, false]))
      expect(await binaryAnswer(peer)).toEqual(placed(9, [2, 2, true], [1, 4, false]))
      expect(await binaryAnswer(peer)).toMatchObject({
        type: "refused",
        correlation: 10,
        code: "sequence_gap"
      })
      expect(await binaryAnswer(peer)).toEqual(placed(11, [1, 5, false]))
      expect(await binaryAnswer(peer)).toMatchObject({
        type: "refused",
        correlation: 12,
        code: "bad_request",
        problem: "payload 1 is not JSON"
      })
    })
  )
})

describe("a subscription", () => {
  it.scopedLive("takes as much as it says, in frames that name it", () =>
    serving(async ({ connect, broker }) => {
      await Effect.runPromise(broker.publish(["1", "2", "3"].map((text) => Buffer.from(text))))
      const peer = await connect()
      await peer.ask({ ...hello, max_in_flight: 1 })
      const opened = await peer.ask({
        type: "subscribe",
        subscriber_id: "s",
        offset: -2,
        resume: true,
        max_in_flight: 2
      })
      expect(opened.payload).toMatchObject({ start: 0, clamped: false, subscription: 0 })
      const message = (offset: number) => ({
        type: "message",
        message_id: String(offset),
        offset,
        subscriber_id: "s",
        payload: offset + 1
      })
      expect(await peer.take(2)).toEqual([message(0), message(1)])
      expect(await peer.ask({ type: "ping" })).toEqual(success)
      peer.send({ type: "commit", subscriber_id: "s", offset: 1 })
      expect(await peer.take(2)).toEqual(expect.arrayContaining([{ ...success, offset: 1 }, message(2)]))
      expect(await peer.ask({ type: "commit", subscriber_id: "s", offset: 9 })).toMatchObject({
        code: "beyond_delivered"
      })
      expect(await peer.ask({ type: "ack", subscriber_id: "s", ranges: [[1, 3]] })).toEqual({
        ...success,
        offset: 3
      })
    })
  )

  it.scopedLive("in binary is one frame for many messages", () =>
    serving(async ({ connect, broker }) => {
      const payloads = ["1", '"b"', "[]"].map((text) => Buffer.from(text))
      await Effect.runPromise(broker.publish(payloads))
      const peer = await connect()
      await peer.ask({ ...hello, binary: true })
      await peer.ask({ type: "subscribe", subscriber_id: "other" })
      expect((await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })).payload).toMatchObject({
        subscription: 1
      })
      expect(await binaryAnswer(peer)).toEqual({
        type: "messages",
        subscription: 1,
        firstOffset: 0,
        payloads
      })
    })
  )

  it.scopedLive("is taken over by whoever subscribes under its id, and its connection stays", () =>
    serving(async ({ connect, broker }) => {
      const [old, own] = [await connect(), await connect()]
      await old.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })
      await own.ask(hello)
      await own.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })
      expect(await old.next()).toMatchObject({
        type: "error",
        code: "taken_over",
        subscriber_id: "s",
        unsolicited: true
      })
      expect(await old.ask({ type: "unsubscribe", subscriber_id: "s" })).toMatchObject({
        error: "subscriber not found"
      })
      await old.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })
      expect(await own.next()).toMatchObject({ code: "taken_over", subscriber_id: "s", unsolicited: true })
      expect(await own.ask({ type: "commit", subscriber_id: "s", offset: 0 })).toMatchObject({
        code: "taken_over"
      })
      await Effect.runPromise(broker.publish([Buffer.from("1")]))
      expect(await old.next()).toMatchObject({ type: "message", payload: 1 })
      expect(await own.ask({ type: "ping" })).toEqual(success)
    })
  )

  it.scopedLive("ends where it is unsubscribed, and its checkpoint with it", () =>
    serving(async ({ connect, broker }) => {
      const peer = await connect()
      await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 0, resume: true })
      expect((await Effect.runPromise(broker.stats)).checkpoints).toHaveLength(1)
      expect(await peer.ask({ type: "unsubscribe", subscriber_id: "s" })).toEqual(success)
      const { checkpoints, subscribers } = await Effect.runPromise(broker.stats)
      expect([checkpoints, subscribers]).toEqual([[], []])
      expect(await peer.ask({ type: "publish", payload: 1 })).toEqual({ ...success, offset: 0 })
    })
  )

  it.scopedLive("is delivered again what it nacks", () =>
    serving(
      async ({ connect }) => {
        const peer = await connect()
        await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 0 })
        peer.send({ type: "publish", payload: 1 })
        await peer.take(2)
        peer.send({ type: "nack", message_id: "0" })
        const frames = await peer.take(2)
        expect(frames).toContainEqual({ ...success, offset: 0 })
        expect(frames).toContainEqual({ type: "message", message_id: "0", offset: 0, payload: 1 })
      },
      {},
      { redeliveryDelayMs: 1 }
    )
  )

  it.scopedLive("is told what retention dropped before it read it", () =>
    serving(
      async ({ connect }) => {
        const peer = await connect()
        await peer.ask(hello)
        await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 0, max_in_flight: 1 })
        const publisher = await connect()
        await publisher.ask({ type: "publish", payload: 0 })
        expect(await peer.next()).toMatchObject({ type: "message", offset: 0 })
        publisher.send(...Array.from({ length: 40 }, () => ({ type: "publish", payload: "x".repeat(1_000) })))
        await publisher.take(40)
        peer.send({ type: "ack", subscriber_id: "s", message_id: "0" })
        const frames = await peer.take(3)
        const gap = frames.find(({ type }) => type === "gap")
        expect(gap).toMatchObject({ subscriber_id: "s", from: 1 })
        expect(frames).toContainEqual(expect.objectContaining({ type: "message", offset: gap!.to }))
      },
      {},
      { retentionBytes: 16 * 1024, whenFull: "drop_oldest" }
    )
  )

  it.scopedLive("goes on elsewhere where an operator sets its checkpoint", () =>
    serving(async ({ connect, broker }) => {
      await Effect.runPromise(broker.publish(["1", "2"].map((text) => Buffer.from(text))))
      const [peer, operator] = [await connect(), await connect()]
      await peer.ask({ type: "subscribe", subscriber_id: "s", offset: -1, resume: true })
      const set = (to: object) => operator.ask({ type: "set_offset", subscriber_id: "s", ...to })
      expect(await set({ offset: -2 })).toEqual({ ...success, offset: 0 })
      expect(await peer.untilClosed()).toEqual([
        expect.objectContaining({ type: "error", code: "unavailable", subscriber_id: "s" })
      ])
      expect(await set({ offset: 1 })).toEqual({ ...success, offset: 1 })
      expect(await set({ time: "2020-01-01T00:00:00Z" })).toEqual({ ...success, offset: 0 })
      expect(await set({ time: "yesterday" })).toMatchObject({ code: "bad_request" })
      expect(await operator.ask({ type: "set_offset", subscriber_id: "nobody", offset: 0 })).toMatchObject({
        code: "set_checkpoint_refused"
      })
    })
  )
})

describe("a connection", () => {
  it.scopedLive("tells at once that it lives where an answer has to wait, and answers in order", () =>
    serving(
      async ({ connect, broker }) => {
        const reader = await connect()
        await reader.ask({ type: "subscribe", subscriber_id: "s", offset: 0, resume: true })
        const peer = await connect()
        await peer.ask(hello)
        peer.send(...Array.from({ length: 20 }, () => ({ type: "publish", payload: "x".repeat(1_000) })))
        while ((await Effect.runPromise(broker.stats)).waitingRecords === 0) {
          await new Promise((resolve) => setImmediate(resolve))
        }
        peer.send({ type: "ping", correlation_id: "ping" })
        let frame = await peer.next()
        while (frame.type === "response") frame = await peer.next()
        expect(frame).toEqual({ type: "busy" })
        for (let offset = 0; offset < 20; ) {
          const { type, message_id } = await reader.next()
          if (type !== "message") continue
          reader.send({ type: "ack", message_id })
          offset++
        }
        while (frame.correlation_id === undefined) frame = await peer.next()
        expect(frame).toEqual({ ...success, correlation_id: "ping" })
      },
      {},
      { retentionBytes: 16 * 1024 }
    )
  )

  it.scopedLive("shows the object of /stats", () =>
    serving(async ({ connect }) => {
      const peer = await connect()
      await peer.ask({ type: "publish", payload: 1 })
      expect((await peer.ask({ type: "get_stats" })).payload).toMatchObject({
        total_messages: 1,
        next_offset: 1,
        subscribers: [],
        rejects: {}
      })
    })
  )

  it.scopedLive("that its peer closes behind its last frame loses none of them", () =>
    serving(async ({ connect, broker }) => {
      const peer = await connect()
      peer.send(...Array.from({ length: 5_000 }, (_, payload) => ({ type: "publish", payload })))
      peer.socket.end()
      expect(await peer.untilClosed()).toHaveLength(5_000)
      expect((await Effect.runPromise(broker.stats)).nextOffset).toBe(5_000)
    })
  )
})
