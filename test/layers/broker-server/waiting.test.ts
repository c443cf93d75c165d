import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { serving } from "./Serving.ts"
import { type Frame, frameOf, type Stranger } from "./Stranger.ts"

/** Waits for what can be seen of the server, turn by turn. */
const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve))
}

const ground = { retentionBytes: 16 * 1024 }
const large = { type: "publish", payload: "x".repeat(1_024) }

const answersOf = async (peer: Stranger, count: number): Promise<ReadonlyArray<Frame>> => {
  const answers: Array<Frame> = []
  while (answers.length < count) {
    const frame = await peer.next()
    if (frame.type !== "message") answers.push(frame)
  }
  return answers
}

describe("answers that wait for one ahead of them", () => {
  const budget = 200_000
  const asked = 20_000
  const cases: ReadonlyArray<readonly [string, unknown]> = [
    ["known", { type: "get_stats" }],
    ["refusals", { type: "x", correlation_id: "y".repeat(100) }]
  ]
  for (const [name, request] of cases) {
    it.scopedLive(`are not more than a connection may hold: ${name}`, () =>
      serving(
        async ({ connect, broker, server }) => {
          const holder = await connect()
          await holder.ask({ type: "subscribe", subscriber_id: "s", offset: 0, resume: true })
          const peer = await connect()
          const published = 20
          peer.send(...Array.from({ length: published }, () => large))
          await until(async () => (await Effect.runPromise(broker.stats)).waitingRecords > 0)
          const frame = frameOf(request)
          peer.socket.write(Buffer.concat(Array.from({ length: asked }, () => frame)))
          const figures = () => Effect.runSync(server.figures)
          await until(() => figures().pendingBytes >= budget)
          const readBefore = figures().bytesRead
          // Another one is served meanwhile, and what was not read stays unread.
          for (let turn = 0; turn < 20; turn++) await (await connect()).ask({ type: "ping" })
          expect(figures().framesRead).toBeLessThan(asked / 2)
          expect(figures().bytesRead - readBefore).toBeLessThan(budget)
          expect(figures().pendingBytes).toBeLessThan(5 * budget)
          holder.send({ type: "unsubscribe", subscriber_id: "s" })
          const answers = await answersOf(peer, published + asked)
          expect(answers.slice(0, published).map(({ offset }) => offset)).toEqual(
            Array.from({ length: published }, (_, offset) => offset)
          )
          await until(() => figures().pendingBytes === 0)
        },
        { pendingBytesPerConnectionMax: budget },
        ground
      )
    )
  }
})

describe("requests in one packet are done in their order", () => {
  const response = { type: "response", success: true }
  const withMessage = async (connect: () => Promise<Stranger>): Promise<Stranger> => {
    const peer = await connect()
    await peer.ask({ type: "subscribe", subscriber_id: "s", offset: 0, resume: true })
    peer.send({ type: "publish", payload: 1 })
    await peer.take(2)
    return peer
  }
  const ack = { type: "ack", message_id: "0", correlation_id: "a" }
  const cases: ReadonlyArray<readonly [string, Record<string, unknown>, Record<string, unknown>]> = [
    ["ack, unsubscribe", { type: "unsubscribe", subscriber_id: "s" }, response],
    ["ack, subscribe", { type: "subscribe", subscriber_id: "s", offset: -1, resume: true }, response],
    ["ack, commit", { type: "commit", subscriber_id: "s", offset: 0 }, { ...response, offset: 1 }],
    ["ack, set_offset", { type: "set_offset", subscriber_id: "s", offset: 0 }, { ...response, offset: 0 }],
    ["ack, nack", { type: "nack", message_id: "0" }, { type: "error", code: "not_outstanding" }],
    ["ack, get_stats", { type: "get_stats" }, { type: "response" }]
  ]
  for (const [name, request, expected] of cases) {
    it.scopedLive(name, () =>
      serving(async ({ connect }) => {
        const peer = await withMessage(connect)
        peer.send(ack, { ...request, correlation_id: "b" })
        expect(await peer.next()).toEqual({ ...response, offset: 1, correlation_id: "a" })
        expect(await peer.next()).toMatchObject({ ...expected, correlation_id: "b" })
      })
    )
  }

  it.scopedLive("publish, subscribe to what comes", () =>
    serving(async ({ connect }) => {
      const peer = await connect()
      peer.send({ type: "publish", payload: "before" }, { type: "subscribe", subscriber_id: "s", offset: -1 })
      expect(await peer.take(2)).toEqual([{ ...response, offset: 0 }, response])
      peer.send({ type: "publish", payload: "behind" })
      const frames = await peer.take(2)
      expect(frames).toContainEqual(expect.objectContaining({ type: "message", payload: "behind" }))
    })
  )

  it.scopedLive("but a publish without room holds up nothing that may make some", () =>
    serving(
      async ({ connect, broker }) => {
        const holder = await connect()
        await holder.ask({ type: "subscribe", subscriber_id: "s", offset: 0, resume: true })
        const peer = await connect()
        const published = 20
        peer.send(...Array.from({ length: published }, () => large))
        await until(async () => (await Effect.runPromise(broker.stats)).waitingRecords > 0)
        peer.send(
          { type: "subscribe", subscriber_id: "s", offset: 0, resume: true },
          { type: "unsubscribe", subscriber_id: "s" }
        )
        const answers = await answersOf(peer, published + 2)
        expect(answers.every(({ success }) => success === true)).toBe(true)
      },
      {},
      ground
    )
  )
})
