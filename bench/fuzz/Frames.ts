/** Frames that a broken or hostile peer may send: random bytes, requests of all kinds, and requests that were damaged. */
import { encodePublish } from "../../src/protocol/wire/BinaryFrames.ts"

/** A number from 0 up to but not with 1, of a sequence that a seed fixes (mulberry32). */
export const randomOf = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const types = [
  "publish",
  "subscribe",
  "unsubscribe",
  "ack",
  "nack",
  "commit",
  "get_stats",
  "ping",
  "hello",
  "dance"
]
const fields = [
  "payload",
  "subscriber_id",
  "offset",
  "message_id",
  "correlation_id",
  "producer_id",
  "sequence",
  "position",
  "resume",
  "max_in_flight",
  "max_in_flight_bytes",
  "binary",
  "ranges",
  "token",
  "version",
  "time"
]

/** Makes one frame after the other. Subscribers and producers are few, so that they meet. */
export const makeFrames = (random: () => number) => {
  const below = (count: number): number => Math.floor(random() * count)
  const one = <A>(of: ReadonlyArray<A>): A => of[below(of.length)]!
  const name = (): string => `fuzz-${below(20)}`

  const value = (depth: number): unknown => {
    switch (below(depth > 3 ? 6 : 8)) {
      case 0:
        return below(100)
      case 1:
        return one([-1, -2, 1.5, 1e300, 2 ** 53, -0, null, true, false])
      case 2:
        return name()
      case 3:
        return String(below(1_000))
      case 4:
        return one(["", "\u0000", "é\ud800", "x".repeat(below(300)), "2025-07-18T20:42:34Z"])
      case 5:
        return [[below(100), below(100)]]
      case 6:
        return Array.from({ length: below(4) }, () => value(depth + 1))
      default:
        return Object.fromEntries(Array.from({ length: below(4) }, () => [one(fields), value(depth + 1)]))
    }
  }
  const sensible = (): object =>
    one<() => object>([
      () => ({ type: "publish", payload: value(0) }),
      () => ({
        type: "publish",
        payload: value(0),
        producer_id: name(),
        sequence: below(50),
        position: name()
      }),
      () => ({
        type: "subscribe",
        subscriber_id: name(),
        offset: below(2_000) - 2,
        resume: random() < 0.5,
        max_in_flight: below(50)
      }),
      () => ({ type: "ack", message_id: String(below(2_000)) }),
      () => ({ type: "nack", message_id: String(below(2_000)) }),
      () => ({ type: "commit", subscriber_id: name(), offset: below(2_000) }),
      () => ({ type: "unsubscribe", subscriber_id: name() }),
      // Rarely, as it ends the connection of whoever is subscribed.
      () => ({
        type: below(10) === 0 ? "set_offset" : "commit",
        subscriber_id: name(),
        offset: below(100) - 2
      }),
      () => ({ type: "ping", correlation_id: value(0) })
    ])()
  const anything = (): object => ({
    type: random() < 0.9 ? one(types) : value(0),
    ...Object.fromEntries(Array.from({ length: below(5) }, () => [one(fields), value(0)]))
  })
  const binary = (): Buffer => {
    const payloads = Array.from({ length: 1 + below(5) }, () => Buffer.from(JSON.stringify(value(0))))
    const positions = payloads.map(() => (random() < 0.5 ? name() : null))
    const firstSequence = random() < 0.5 ? below(100) : null
    return Buffer.from(
      encodePublish({ correlation: below(100), firstSequence, payloads, positions })
    ).subarray(4)
  }
  const damage = (body: Buffer): Buffer => {
    const damaged = Buffer.from(body)
    for (let flips = 1 + below(3); flips > 0; flips--) damaged[below(damaged.length)] = below(256)
    return random() < 0.3 ? damaged.subarray(0, below(damaged.length)) : damaged
  }
  const body = (): Buffer => {
    const kind = random()
    if (kind < 0.1) return Buffer.from(Array.from({ length: below(40) }, () => below(256)))
    const whole = kind < 0.2 ? binary() : Buffer.from(JSON.stringify(kind < 0.6 ? sensible() : anything()))
    return random() < 0.5 ? whole : damage(whole)
  }

  return {
    below,
    /** A hello that is taken. */
    hello: (): Buffer =>
      framed(Buffer.from(JSON.stringify({ type: "hello", version: 1, binary: true, producer_id: name() }))),
    /** A frame; rarely one whose length is not that of its body. */
    next: (): Buffer => {
      const frame = framed(body())
      if (random() < 0.0005) frame.writeUInt32BE(below(2 ** 32))
      return frame
    }
  }
}

const framed = (body: Buffer): Buffer => {
  const frame = Buffer.alloc(4 + body.length)
  frame.writeUInt32BE(body.length)
  body.copy(frame, 4)
  return frame
}
