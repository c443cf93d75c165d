/**
 * What CONTRACTS.md ("Wire protocol") says of a broker, checked from outside, by a peer that uses nothing of ours.
 *
 *     node test/stranger/checks.mjs PORT [MQ_MAX_RETRIES]
 *
 * against a broker without a token and with room in its log. A check may use the broker as others have left it.
 */
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { ourExtensions } from "./extensions.mjs"
import { framed, frameOf } from "./peer.mjs"
import { refused, runChecks } from "./running.mjs"

const [port, retries = 3] = process.argv.slice(2).map(Number)

/** An id that nobody else uses. */
const fresh = (name) => `${name}-${randomUUID()}`

const offsetOf = (message) => message.offset ?? 0
const payloads = (messages) => messages.map(({ payload }) => payload)

/** Publishes, one after the other; answers the offset of the first. */
const publish = async (peer, ...values) => {
  let first
  for (const payload of values) {
    const answer = await peer.ask({ type: "publish", payload })
    assert.equal(answer.type, "response")
    assert.equal(answer.success, true)
    first ??= answer.offset
  }
  return first
}

const subscribe = async (peer, subscriber_id, more = {}) => {
  const answer = await peer.ask({ type: "subscribe", subscriber_id, ...more })
  assert.equal(answer.type, "response", JSON.stringify(answer))
  assert.equal(answer.success, true)
  return answer
}

const stats = async (peer) => {
  const answer = await peer.ask({ type: "get_stats" })
  assert.equal(answer.success, true)
  return answer.payload
}

/** A publish arrives; a subscriber that was told of it and of nothing before has got nothing else. */
const nothingBefore = async (peer, mark) => {
  assert.deepEqual(payloads(await peer.messages(1)), [mark])
}

const checks = {
  "a published value of any kind comes back as it was": async (open) => {
    const peer = await open()
    const values = [{ a: [1, "ü€😀"] }, [], "text", 0, -1.5e-7, null, false, "", {}]
    const first = await publish(peer, ...values)
    await subscribe(peer, fresh("s"), { offset: first })
    const messages = await peer.messages(values.length)
    assert.deepEqual(payloads(messages), values)
    for (const [index, message] of messages.entries()) {
      assert.equal(message.message_id, String(first + index))
      assert.equal(offsetOf(message), first + index)
    }
  },
  "offsets are dense, in the order of the publishes": async (open) => {
    const peer = await open()
    peer.send(...Array.from({ length: 100 }, (_, payload) => ({ type: "publish", payload })))
    const first = (await peer.answer()).offset
    for (let n = 1; n < 100; n++) assert.equal((await peer.answer()).offset, first + n)
  },
  "a publish without payload and a subscribe without subscriber_id are refused": async (open) => {
    const peer = await open()
    refused(await peer.ask({ type: "publish" }))
    refused(await peer.ask({ type: "subscribe", offset: -2 }))
    refused(await peer.ask({ type: "subscribe", subscriber_id: "", offset: -2 }))
    await publish(peer, "goes on")
  },
  "-2 is earliest, -1 and nothing are latest, N is that offset": async (open) => {
    const peer = await open()
    const first = await publish(peer, "before", "before too")
    const others = [await open(), await open(), await open()]
    await subscribe(others[0], fresh("latest"), { offset: -1 })
    await subscribe(others[1], fresh("absent"))
    await subscribe(others[2], fresh("second"), { offset: first + 1 })
    await publish(peer, "after")
    await nothingBefore(others[0], "after")
    await nothingBefore(others[1], "after")
    assert.deepEqual(payloads(await others[2].messages(2)), ["before too", "after"])
    const all = await open()
    const { oldest_offset } = await stats(peer)
    await subscribe(all, fresh("earliest"), { offset: -2 })
    const messages = await all.messages(first + 3 - oldest_offset)
    assert.deepEqual(
      messages.map(offsetOf),
      messages.map((_, index) => oldest_offset + index)
    )
    assert.deepEqual(payloads(messages).slice(-3), ["before", "before too", "after"])
  },
  "an offset of 0 is offset 0": async (open) => {
    const peer = await open()
    await publish(peer, "something")
    const { oldest_offset } = await stats(peer)
    await subscribe(peer, fresh("zero"), { offset: 0 })
    assert.equal(offsetOf((await peer.messages(1))[0]), oldest_offset)
  },
  "any other offset is refused": async (open) => {
    const peer = await open()
    for (const offset of [-3, 1.5, "0", null, {}]) {
      refused(await peer.ask({ type: "subscribe", subscriber_id: fresh("s"), offset }))
    }
  },
  "beyond the end is from the next message, and the answer says so": async (open) => {
    const peer = await open()
    const first = await publish(peer, "the last")
    assert.equal((await subscribe(peer, fresh("s"), { offset: first + 1000 })).clamped, true)
    assert.ok(!(await subscribe(peer, fresh("s"), { offset: first + 1 })).clamped)
    peer.send({ type: "publish", payload: "next" })
    assert.deepEqual(payloads(await peer.messages(2)), ["next", "next"])
  },
  "acks may come in any order; the checkpoint is below what is not done, and beats latest": async (open) => {
    const publisher = await open()
    const id = fresh("acks")
    const first = await open()
    await subscribe(first, id)
    const start = await publish(publisher, "a", "b", "c", "d")
    const ids = (await first.messages(4)).map(({ message_id }) => message_id)
    for (const index of [3, 0, 1]) {
      const answer = await first.ask({ type: "ack", message_id: ids[index] })
      assert.equal(answer.success, true)
    }
    first.close()
    const again = await open()
    await subscribe(again, id, { offset: -1 })
    assert.deepEqual(payloads(await again.messages(1)), ["c"])
    assert.equal(ids[2], String(start + 2))
  },
  "a nack brings a message again, some times, delays no later one, and then it is given up": async (open) => {
    const publisher = await open()
    const id = fresh("nacks")
    const peer = await open()
    await subscribe(peer, id)
    await publish(publisher, "poison", "good")
    const [poison, good] = await peer.messages(2)
    await peer.ask({ type: "ack", message_id: good.message_id })
    for (let redelivery = 0; redelivery < retries; redelivery++) {
      assert.equal((await peer.ask({ type: "nack", message_id: poison.message_id })).success, true)
      const [again] = await peer.messages(1)
      assert.deepEqual([again.payload, again.message_id], ["poison", poison.message_id])
    }
    assert.equal((await peer.ask({ type: "nack", message_id: poison.message_id })).success, true)
    peer.close()
    const next = await open()
    await subscribe(next, id, { offset: -1 })
    await publish(publisher, "later")
    await nothingBefore(next, "later")
  },
  "a subscriber that subscribes elsewhere takes over; the loser is told, and stays connected": async (
    open
  ) => {
    const id = fresh("taken")
    const [loser, winner] = [await open(), await open()]
    await subscribe(loser, id)
    await subscribe(winner, id)
    refused(await loser.answer())
    await publish(loser, "for the winner")
    await nothingBefore(winner, "for the winner")
    refused(await loser.ask({ type: "unsubscribe", subscriber_id: id }), /^subscriber not found$/)
    assert.ok(!loser.received.some(({ type }) => type === "message"))
    await subscribe(loser, id)
    refused(await winner.answer())
  },
  "unsubscribe ends one's own subscription, and deletes the checkpoint": async (open) => {
    const id = fresh("left")
    const [peer, other] = [await open(), await open()]
    await subscribe(peer, id)
    await publish(other, "done", "not done")
    const [done] = await peer.messages(2)
    await peer.ask({ type: "ack", message_id: done.message_id })
    refused(await other.ask({ type: "unsubscribe", subscriber_id: id }), /^subscriber not found$/)
    assert.equal((await peer.ask({ type: "unsubscribe", subscriber_id: id })).success, true)
    refused(await peer.ask({ type: "unsubscribe", subscriber_id: id }), /^subscriber not found$/)
    await subscribe(peer, id, { offset: -1 })
    await publish(other, "news")
    await nothingBefore(peer, "news")
  },
  "a connection holds several subscriptions; an ack counts for each that has the message": async (open) => {
    const publisher = await open()
    const ids = [fresh("one"), fresh("two")]
    const peer = await open()
    for (const id of ids) await subscribe(peer, id)
    await publish(publisher, "a", "b")
    const messages = await peer.messages(4)
    assert.deepEqual(payloads(messages).sort(), ["a", "a", "b", "b"])
    const { message_id } = messages.find(({ payload }) => payload === "a")
    await peer.ask({ type: "ack", message_id })
    peer.close()
    for (const id of ids) {
      const again = await open()
      await subscribe(again, id)
      assert.deepEqual(payloads(await again.messages(1)), ["b"])
    }
  },
  "get_stats answers what /stats does": async (open) => {
    const peer = await open()
    const id = fresh("counted")
    await subscribe(peer, id)
    const first = await publish(peer, "a", "b", "c")
    await peer.messages(3)
    const told = await stats(peer)
    assert.equal(told.latest_offset, first + 2)
    assert.equal(told.total_messages, first + 3)
    assert.equal(told.next_offset, first + 3)
    assert.equal(typeof told.oldest_offset, "number")
    assert.equal(told.subscriber_count, told.subscribers.length)
    const own = told.subscribers.find((subscriber) => subscriber.id === id)
    assert.deepEqual([own.current_offset, own.lag ?? 0], [first + 3, 0])
  },
  "frames that are none are answered, and the connection goes on": async (open) => {
    const peer = await open()
    for (const body of ["{", "", "\u0000", '{"type":"publish","payload":}', "[]", '"publish"', "null"]) {
      peer.sendBytes(framed(Buffer.from(body)))
      refused(await peer.answer())
    }
    peer.sendBytes(framed(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])))
    refused(await peer.answer())
    for (const type of ["nonsense", "response", "", 7, null, undefined]) {
      refused(await peer.ask({ type }), type === "nonsense" ? /^unknown message type$/ : /./)
    }
    await publish(peer, "goes on")
  },
  "a frame that is too long ends its connection with an error, and no other": async (open) => {
    const [peer, other] = [await open(), await open()]
    const length = Buffer.alloc(4)
    length.writeUInt32BE(10 * 1024 * 1024 + 1)
    peer.sendBytes(length)
    refused(await peer.answer())
    await peer.closed()
    await publish(other, "goes on")
  },
  "a payload of almost 10 MiB goes through": async (open) => {
    const peer = await open()
    const payload = "x".repeat(10 * 1024 * 1024 - 1024 - 2)
    await subscribe(peer, fresh("large"))
    peer.send({ type: "publish", payload })
    const [message] = await peer.messages(1)
    assert.equal(message.payload.length, payload.length)
  },
  "frames may come byte by byte, or many in one packet": async (open) => {
    const peer = await open()
    for (const byte of frameOf({ type: "publish", payload: "in pieces" })) peer.sendBytes(Buffer.from([byte]))
    const { offset } = await peer.answer()
    await subscribe(peer, fresh("s"), { offset })
    assert.deepEqual(payloads(await peer.messages(1)), ["in pieces"])
    const types = ["publish", "get_stats", "nonsense"]
    peer.send(...Array.from({ length: 99 }, (_, n) => ({ type: types[n % 3], payload: n })))
    for (let n = 0; n < 99; n++) {
      const answer = await peer.answer()
      assert.equal(answer.type, n % 3 === 2 ? "error" : "response")
      assert.equal("payload" in answer, n % 3 === 1, "answers come in the order of the requests")
    }
  },
  "a peer that publishes and reads no answer is not blocked for it": async (open) => {
    const [deaf, reader] = [await open(), await open()]
    const id = fresh("reader")
    await subscribe(reader, id)
    deaf.stopReading()
    const count = 60_000
    for (let n = 0; n < count; n += 100) {
      deaf.send(...Array.from({ length: 100 }, (_, index) => ({ type: "publish", payload: n + index })))
    }
    const messages = await reader.messages(count)
    assert.deepEqual(
      payloads(messages),
      messages.map((_, n) => n)
    )
  },
  ...ourExtensions({ publish, subscribe, refused, fresh, payloads, stats })
}

await runChecks(port, checks)
