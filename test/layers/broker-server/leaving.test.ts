import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { serving } from "./Serving.ts"
import type { Stranger } from "./Stranger.ts"

/** Waits for what can be seen of the server, turn by turn. */
const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve))
}

const ground = { retentionBytes: 16 * 1024 }
const large = { type: "publish", payload: "x".repeat(1_024) }
const takes = { type: "subscribe", subscriber_id: "s", offset: 0, resume: true }

/** How a peer goes: its process ends, or it is reset. */
const departures: ReadonlyArray<readonly [string, (peer: Stranger) => void]> = [
  ["has closed", (peer) => peer.close()],
  ["was reset", (peer) => peer.socket.resetAndDestroy()],
  ["sends nothing more", (peer) => peer.socket.end()]
]

describe("a peer that leaves while its publish waits for room", () => {
  for (const [name, leave] of departures) {
    it.scopedLive(`and ${name} holds the log back no more, and is waited for no more`, () =>
      serving(
        async ({ connect, broker, server }) => {
          const stats = () => Effect.runPromise(broker.stats)
          const holder = await connect()
          await holder.ask(takes)
          const publisher = await connect()
          publisher.send(...Array.from({ length: 30 }, () => large))
          await until(async () => (await stats()).waitingRecords > 0)
          publisher.close()
          const peer = await connect()
          peer.send(large)
          await until(() => Effect.runSync(server.figures).framesRead === 32)
          // It takes the subscription over behind its publish, and leaves.
          peer.send(takes)
          await until(async () => (await holder.next()).code === "taken_over")
          leave(peer)
          await until(async () => (await stats()).subscribers.length === 0)
          await until(async () => (await stats()).waitingRecords === 0)
          holder.close()
          await until(() => Effect.runSync(server.figures).connections === 0)
          expect(Effect.runSync(server.figures)).toMatchObject({ pendingBytes: 0, subscriptions: 0 })
          expect((await stats()).nextOffset).toBeLessThan(30)
        },
        {},
        ground
      )
    )
  }
})

describe("a peer that leaves at once", () => {
  it.scopedLive("is acknowledged what it acknowledged, and has published what it published", () =>
    serving(async ({ connect, broker }) => {
      const peer = await connect()
      await peer.ask(takes)
      await peer.ask({ type: "publish", payload: 1 })
      await peer.next()
      peer.send({ type: "ack", message_id: "0" }, { type: "publish", payload: 2 })
      peer.close()
      await until(async () => (await Effect.runPromise(broker.stats)).subscribers.length === 0)
      const { checkpoints, nextOffset } = await Effect.runPromise(broker.stats)
      expect(checkpoints).toEqual([expect.objectContaining({ subscriberId: "s", offset: 1 })])
      expect(nextOffset).toBe(2)
    })
  )
})
