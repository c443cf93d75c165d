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
