/** The part of CONTRACTS.md ("Wire protocol") that is ours: what a peer gets only if it asks for it. */
import assert from "node:assert/strict"

/** Given what the other checks do, by their words. */
export const ourExtensions = ({ publish, subscribe, refused, fresh, payloads, stats }) => {
  const hello = async (peer, more = {}) => {
    const answer = await peer.ask({ type: "hello", version: 1, ...more })
    assert.equal(answer.type, "response", JSON.stringify(answer))
    assert.equal(answer.success, true)
    return answer.payload
  }
  const produce = (peer, producer_id, sequence, payload, more = {}) =>
    peer.ask({ type: "publish", producer_id, sequence, payload, ...more })

  return {
    "a correlation_id is echoed in the answer of its frame, refusals included": async (open) => {
      const peer = await open()
      peer.send(
        { type: "publish", payload: 1, correlation_id: "p" },
        { type: "get_stats", correlation_id: 7 },
        { type: "nonsense", correlation_id: "n" },
        { type: "subscribe", subscriber_id: fresh("s"), correlation_id: "s" },
        { type: "unsubscribe", subscriber_id: "nobody", correlation_id: "u" },
        { type: "ack", message_id: "99999999", correlation_id: "a" },
        { type: "ping", correlation_id: "ping" }
      )
      for (const id of ["p", 7, "n", "s", "u", "a", "ping"]) {
        assert.equal((await peer.answer()).correlation_id, id)
      }
    },
    "ping is answered": async (open) => {
      const peer = await open()
      assert.equal((await peer.ask({ type: "ping" })).success, true)
    },
    "hello tells the log's id, and where a producer is": async (open) => {
      const id = fresh("producer")
      const first = await open()
      const unknown = await hello(first, { producer_id: id })
      assert.equal(typeof unknown.log_id, "string")
      assert.equal(unknown.sequence ?? null, null)
      assert.equal((await produce(first, id, 0, "a", { position: "at 0" })).success, true)
      const second = await open()
      const known = await hello(second, { producer_id: id })
      assert.deepEqual([known.log_id, known.sequence, known.position], [unknown.log_id, 0, "at 0"])
    },
    "hello that is not the first frame is refused": async (open) => {
      const peer = await open()
      await publish(peer, "first")
      refused(await peer.ask({ type: "hello", version: 1 }))
    },
    "a sequence is appended once, whoever sends it again": async (open) => {
      const id = fresh("producer")
      const [one, two] = [await open(), await open()]
      const first = await produce(one, id, 5, "five")
      assert.ok(!first.duplicate)
      assert.equal((await produce(one, id, 6, "six")).success, true)
      for (const peer of [one, two]) {
        const again = await produce(peer, id, 5, "five")
        assert.deepEqual([again.success, again.duplicate, again.offset ?? 0], [true, true, first.offset ?? 0])
      }
      await subscribe(one, fresh("s"), { offset: first.offset ?? 0 })
      assert.deepEqual(payloads(await one.messages(2)), ["five", "six"])
    },
    "a gap in the sequences is refused, and nothing overtakes a refused publish": async (open) => {
      const id = fresh("producer")
      const peer = await open()
      await produce(peer, id, 0, "zero")
      peer.send(
        { type: "publish", producer_id: id, sequence: 2, payload: "two" },
        { type: "publish", producer_id: id, sequence: 3, payload: "three" },
        { type: "publish", producer_id: id, sequence: 1, payload: "one" }
      )
      refused(await peer.answer(), /^sequence gap, expected 1$/)
      refused(await peer.answer(), /^sequence gap, expected 1$/)
      assert.equal((await peer.answer()).success, true)
    },
    "a position of 1 KiB is kept, a longer one is refused, and so is no sequence": async (open) => {
      const id = fresh("producer")
      const peer = await open()
      refused(await produce(peer, id, 0, "a", { position: "x".repeat(1025) }))
      refused(await peer.ask({ type: "publish", producer_id: id, payload: "a" }))
      refused(await produce(peer, id, -1, "a"))
      assert.equal((await produce(peer, id, 0, "a", { position: "x".repeat(1024) })).success, true)
      assert.equal((await hello(await open(), { producer_id: id })).position, "x".repeat(1024))
    },
    "a hello fences whoever used the producer before": async (open) => {
      const id = fresh("producer")
      const [first, second] = [await open(), await open()]
      await hello(first, { producer_id: id })
      await produce(first, id, 0, "a")
      await hello(second, { producer_id: id })
      refused(await produce(first, id, 1, "lost"), /fenced/)
      assert.equal((await produce(second, id, 1, "b")).success, true)
    },
    "after hello, messages name their subscriber, and no more are out than it takes": async (open) => {
      const [peer, publisher] = [await open(), await open()]
      const id = fresh("careful")
      await hello(peer, { max_in_flight: 2 })
      await subscribe(peer, id)
      await publish(publisher, "a", "b", "c", "d")
      const messages = await peer.messages(2)
      assert.deepEqual(
        messages.map(({ subscriber_id }) => subscriber_id),
        [id, id]
      )
      assert.equal((await peer.ask({ type: "ping" })).success, true)
      assert.equal(peer.received.length, 0, "no third message before an ack")
      await peer.ask({ type: "ack", subscriber_id: id, message_id: messages[0].message_id })
      assert.deepEqual(payloads(await peer.messages(1)), ["c"])
    },
    "resume starts at the checkpoint, or makes one where it starts": async (open) => {
      const id = fresh("resumes")
      const [peer, publisher] = [await open(), await open()]
      const start = await publish(publisher, "a", "b")
      await hello(peer)
      await subscribe(peer, id, { offset: start, resume: true })
      await peer.messages(2)
      peer.close()
      const again = await open()
      await hello(again)
      await subscribe(again, id, { offset: -1, resume: true })
      assert.deepEqual(payloads(await again.messages(2)), ["a", "b"])
      const own = (await stats(again)).subscribers.find((subscriber) => subscriber.id === id)
      assert.equal(own.current_offset, start + 2)
    },
    "without resume, after hello, a subscription starts where it says": async (open) => {
      const id = fresh("anew")
      const [peer, publisher] = [await open(), await open()]
      await hello(peer)
      await subscribe(peer, id, { offset: -1, resume: true })
      await publish(publisher, "missed")
      await peer.messages(1)
      peer.close()
      const again = await open()
      await hello(again)
      await subscribe(again, id, { offset: -1 })
      await publish(publisher, "news")
      assert.deepEqual(payloads(await again.messages(1)), ["news"])
    },
    "a commit acks everything below, never lowers, never exceeds what was delivered": async (open) => {
      const id = fresh("commits")
      const [peer, publisher, other] = [await open(), await open(), await open()]
      await hello(peer)
      const start = await publish(publisher, "a", "b", "c")
      await subscribe(peer, id, { offset: start, resume: true })
      await peer.messages(3)
      const commit = (offset, from = peer) => from.ask({ type: "commit", subscriber_id: id, offset })
      assert.equal((await commit(start + 2)).success, true)
      assert.equal((await commit(start + 1)).success, true)
      refused(await commit(start + 4))
      await hello(other)
      refused(await commit(start + 3, other))
      peer.close()
      const again = await open()
      await hello(again)
      await subscribe(again, id, { offset: -2, resume: true })
      assert.deepEqual(payloads(await again.messages(1)), ["c"])
    }
  }
}
