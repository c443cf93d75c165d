/**
 * What CONTRACTS.md says of a log that has dropped its oldest messages.
 *
 *     node test/stranger/retention.mjs PORT
 *
 * against a broker with `LOG_WHEN_FULL=drop_oldest` and room for less than a megabyte.
 */
import assert from "node:assert/strict"
import { runChecks } from "./running.mjs"

const port = Number(process.argv[2])
const large = "x".repeat(10_000)

const publishMuch = async (peer) => {
  for (let n = 0; n < 120; n++) {
    assert.equal((await peer.ask({ type: "publish", payload: large })).success, true)
  }
}
const stats = async (peer) => (await peer.ask({ type: "get_stats" })).payload

await runChecks(port, {
  "below the oldest is at the oldest, and the answer says so": async (open) => {
    const peer = await open()
    await publishMuch(peer)
    const { oldest_offset, total_messages } = await stats(peer)
    assert.ok(oldest_offset > 0)
    assert.equal(total_messages, 120)
    const answer = await peer.ask({ type: "subscribe", subscriber_id: "low", offset: 0 })
    assert.deepEqual([answer.success, answer.clamped], [true, true])
    assert.equal((await peer.messages(1))[0].offset, oldest_offset)
  },
  "earliest is the oldest there is, and nothing is clamped": async (open) => {
    const peer = await open()
    const { oldest_offset } = await stats(peer)
    const answer = await peer.ask({ type: "subscribe", subscriber_id: "early", offset: -2 })
    assert.ok(!answer.clamped)
    assert.equal((await peer.messages(1))[0].offset, oldest_offset)
  },
  "a subscriber that is overtaken is told the gap, and goes on behind it": async (open) => {
    const [slow, publisher] = [await open(), await open()]
    await slow.ask({ type: "hello", version: 1, max_in_flight: 1 })
    await slow.ask({ type: "subscribe", subscriber_id: "slow", offset: -1 })
    await publishMuch(publisher)
    const [first] = await slow.messages(1)
    await slow.ask({ type: "ack", message_id: first.message_id })
    const gap = await slow.next(({ type }) => type === "gap")
    assert.deepEqual([gap.subscriber_id, gap.from], ["slow", first.offset + 1])
    const [next] = await slow.messages(1)
    assert.equal(next.offset, gap.to)
    assert.ok(gap.to > gap.from)
  },
  "a peer that said no hello is told of no gap, and goes on at the oldest": async (open) => {
    const [old, publisher] = [await open(), await open()]
    old.stopReading()
    old.send({ type: "subscribe", subscriber_id: "old", offset: -2 })
    await publishMuch(publisher)
    old.socket.resume()
    let last = -1
    while (last < (await stats(publisher)).latest_offset) {
      const [{ offset = 0 }] = await old.messages(1)
      assert.ok(offset > last)
      last = offset
    }
    assert.ok(!old.received.some(({ type }) => type === "gap"))
  }
})
