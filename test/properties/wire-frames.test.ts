/** Frames come out as they went in, however the stream is cut, and any bytes are answered by a value. */
import { Buffer } from "node:buffer"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { offsetOf } from "../../src/protocol/Log.ts"
import { decodeAnswer } from "../../src/protocol/wire/AnswerDecoder.ts"
import { errorFrame, gapFrame, publishedFrame, responseFrame } from "../../src/protocol/wire/Answers.ts"
import * as Binary from "../../src/protocol/wire/BinaryFrames.ts"
import { FrameReader } from "../../src/protocol/wire/FrameReader.ts"
import { encodeMessages } from "../../src/protocol/wire/MessageFrames.ts"
import { decodeRequest } from "../../src/protocol/wire/RequestDecoder.ts"
import { encodeRequest, type Request } from "../../src/protocol/wire/Requests.ts"

const framed = (body: Uint8Array): Buffer => {
  const frame = Buffer.alloc(4 + body.length)
  frame.writeUInt32BE(body.length)
  frame.set(body, 4)
  return frame
}

/** The bodies in a stream that comes in chunks that end at these places. */
const bodiesOf = (stream: Buffer, cuts: ReadonlyArray<number>, reader = new FrameReader()): Array<Buffer> => {
  const bodies: Array<Buffer> = []
  const ends = [...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b)
  let from = 0
  for (const end of ends) {
    reader.push(stream.subarray(from, end))
    from = end
    while (reader.next()) bodies.push(Buffer.from(reader.bytes.subarray(reader.start, reader.end)))
  }
  return bodies
}

const cuts = fc.array(fc.nat(), { maxLength: 20 })
const body = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.nat({ max: 20_000 }).map((length) => new Uint8Array(length).fill(7))
)
const decoded = <A>(decode: (bytes: Uint8Array, start: number, end: number) => A, bytes: Uint8Array): A => {
  const around = Buffer.concat([Buffer.from("?"), bytes, Buffer.from("?")])
  return decode(around, 1, 1 + bytes.length)
}
/** The body of a frame that is given as one character per byte. */
const bodyOf = (text: string): Buffer => {
  const [only, ...more] = bodiesOf(Buffer.from(text, "latin1"), [])
  expect(more).toEqual([])
  return only!
}

const count = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const id = fc.fullUnicodeString({ minLength: 1, maxLength: 30 })
const optional = <A>(arbitrary: fc.Arbitrary<A>) => fc.option(arbitrary, { nil: undefined })
const correlation = fc
  .option(fc.jsonValue(), { nil: undefined })
  .map((value) => (value === undefined ? "" : Buffer.from(JSON.stringify(value)).toString("latin1")))
  .filter((text) => text.length <= 1_024)
const json = fc.json().map((text) => Buffer.from(text))
const credit = optional(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }))
const offset = fc.integer({ min: -2, max: Number.MAX_SAFE_INTEGER })

const request: fc.Arbitrary<Request> = fc.oneof(
  fc
    .record({ correlation, payload: json, producer: optional(fc.tuple(id, count, optional(id))) })
    .map(({ producer, ...rest }) => ({
      ...rest,
      type: "publish" as const,
      producerId: producer?.[0],
      sequence: producer?.[1],
      position: producer?.[2]
    })),
  fc.record({
    type: fc.constant("hello" as const),
    correlation,
    version: count,
    token: optional(id),
    maxInFlight: credit,
    maxInFlightBytes: credit,
    producerId: optional(id),
    binary: fc.boolean()
  }),
  fc.record({
    type: fc.constant("subscribe" as const),
    correlation,
    subscriberId: id,
    offset,
    resume: fc.boolean(),
    maxInFlight: credit,
    maxInFlightBytes: credit
  }),
  fc.record({ type: fc.constant("unsubscribe" as const), correlation, subscriberId: id }),
  fc
    .record({
      type: fc.constant("ack" as const),
      correlation,
      subscriberId: optional(id),
      ranges: fc.array(
        fc.tuple(count, fc.nat({ max: 9 })).map(([from, length]) => [from, from + length] as const)
      )
    })
    .filter(({ ranges }) => ranges.every(([, to]) => Number.isSafeInteger(to))),
  fc.record({ type: fc.constant("nack" as const), correlation, subscriberId: optional(id), offset: count }),
  fc.record({ type: fc.constant("commit" as const), correlation, subscriberId: id, offset: count }),
  fc.record({
    type: fc.constant("set_offset" as const),
    correlation,
    subscriberId: id,
    to: fc.oneof(fc.record({ offset }), fc.record({ time: id }))
  }),
  fc.record({ type: fc.constantFrom("ping" as const, "get_stats" as const), correlation })
)

const placed = fc.array(
  fc.record({
    count: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    firstOffset: fc.option(count.map(offsetOf), { nil: null }),
    isDuplicate: fc.boolean()
  })
)
const uint32 = fc.nat({ max: 2 ** 32 - 1 })

describe("frames", () => {
  test("are found however the stream is cut, and are bounded", () => {
    fc.assert(
      fc.property(fc.array(body), cuts, (bodies, places) => {
        const stream = Buffer.concat(bodies.map(framed))
        const found = bodiesOf(stream, places)
        expect(found.length).toBe(bodies.length)
        expect(bodies.every((bytes, index) => Buffer.compare(bytes, found[index]!) === 0)).toBe(true)
      }),
      { numRuns: 500 }
    )
  })

  test("of single bytes too, and nothing is held once all are out", () => {
    const reader = new FrameReader()
    const stream = Buffer.concat([new Uint8Array(0), new Uint8Array(9_000), new Uint8Array(1)].map(framed))
    const every = Array.from({ length: stream.length }, (_, index) => index)
    expect(bodiesOf(stream, every, reader).map(({ length }) => length)).toEqual([0, 9_000, 1])
    expect(reader.pendingBytes).toBe(0)
  })

  test("that are too long end the stream, behind those before", () => {
    fc.assert(
      fc.property(cuts, (places) => {
        const reader = new FrameReader(10)
        const stream = Buffer.concat([new Uint8Array(10), new Uint8Array(11), new Uint8Array(1)].map(framed))
        expect(bodiesOf(stream, places, reader).map(({ length }) => length)).toEqual([10])
        expect(reader.tooLong).toBe(11)
      })
    )
  })
})

describe("what is encoded is decoded as it was", () => {
  test("requests", () => {
    fc.assert(
      fc.property(request, (asked) => {
        expect(decoded(decodeRequest, encodeRequest(asked))).toEqual(asked)
      }),
      { numRuns: 2_000 }
    )
  })

  test("answers", () => {
    fc.assert(
      fc.property(correlation, fc.option(count, { nil: null }), fc.boolean(), (repeated, at, duplicate) => {
        expect(decoded(decodeAnswer, bodyOf(publishedFrame(repeated, at, duplicate)))).toMatchObject({
          type: "response",
          success: true,
          correlation: repeated,
          offset: at ?? undefined,
          duplicate
        })
      })
    )
    fc.assert(
      fc.property(correlation, id, fc.jsonValue(), (repeated, text, payload) => {
        const response = decoded(decodeAnswer, bodyOf(responseFrame(repeated, { payload })))
        expect(response).toMatchObject({ type: "response", correlation: repeated })
        const bytes = Buffer.from(response.type === "response" ? response.payload! : [])
        expect(JSON.parse(bytes.toString())).toEqual(JSON.parse(JSON.stringify(payload)))
        const error = errorFrame(repeated, "fenced", text, { problem: text, subscriber_id: text })
        expect(decoded(decodeAnswer, bodyOf(error))).toEqual({
          type: "error",
          correlation: repeated,
          error: text,
          code: "fenced",
          problem: text,
          unsolicited: false,
          subscriberId: text
        })
        expect(decoded(decodeAnswer, bodyOf(gapFrame(text, 1, 2)))).toEqual({
          type: "gap",
          subscriberId: text,
          from: 1,
          to: 2
        })
      })
    )
  })

  test("messages in JSON, across any number of digits", () => {
    const first = fc.oneof(fc.constantFrom(0, 9, 98, 99_999, 999_999_999), fc.nat({ max: 2 ** 40 }))
    fc.assert(
      fc.property(
        first,
        fc.array(json, { minLength: 1, maxLength: 30 }),
        optional(id),
        (from, payloads, name) => {
          const frames = bodiesOf(Buffer.from(encodeMessages(from, payloads, name)), [])
          expect(frames.map((bytes) => decoded(decodeAnswer, bytes))).toEqual(
            payloads.map((payload, index) => ({
              type: "message",
              offset: from + index,
              subscriberId: name,
              payload: expect.objectContaining({ length: payload.length })
            }))
          )
          for (const [index, bytes] of frames.entries()) {
            const text = payloads[index]!.toString()
            expect(bytes.toString()).toContain(`"message_id":"${from + index}","offset":${from + index}`)
            expect(bytes.toString().endsWith(`,"payload":${text}}`)).toBe(true)
          }
        }
      )
    )
  })

  test("publishes, placed and refused, and messages in binary", () => {
    const record = fc.tuple(json, fc.option(id, { nil: null }))
    const sequence = fc.option(fc.nat({ max: 2 ** 50 }), { nil: null })
    fc.assert(
      fc.property(
        uint32,
        sequence,
        fc.array(record, { minLength: 1 }),
        placed,
        id,
        (number, first, records, runs, text) => {
          const payloads = records.map(([payload]) => payload)
          const published = {
            correlation: number,
            firstSequence: first,
            payloads,
            positions: records.map(([, position]) => position)
          }
          const frame = Buffer.from(Binary.encodePublish(published))
          expect(decoded(Binary.decodePublish, bodiesOf(frame, [])[0]!)).toEqual(published)
          const places = Buffer.from(Binary.encodePlaced(number, runs))
          expect(decoded(Binary.decodeBinaryAnswer, bodiesOf(places, [])[0]!)).toEqual({
            type: "placed",
            correlation: number,
            placed: runs
          })
          const refused = { correlation: number, code: "log_full", problem: text, placed: runs }
          const refusal = Buffer.from(Binary.encodeRefused(refused))
          expect(decoded(Binary.decodeBinaryAnswer, bodiesOf(refusal, [])[0]!)).toEqual({
            type: "refused",
            ...refused
          })
          const shared = Binary.encodeMessagesBody(first ?? 0, payloads)
          const messages = Buffer.concat([Binary.messagesHeader(number, shared), shared])
          expect(decoded(Binary.decodeBinaryAnswer, bodiesOf(messages, [])[0]!)).toEqual({
            type: "messages",
            subscription: number,
            firstOffset: first ?? 0,
            payloads
          })
        }
      )
    )
  })
})

describe("any bytes", () => {
  test("are decoded to a value that says what is wrong, and never throw", () => {
    const flip = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))
    const valid = fc.oneof(
      request.map((asked) => Buffer.from(encodeRequest(asked))),
      fc.array(json, { minLength: 1, maxLength: 4 }).map((payloads) =>
        Buffer.from(
          Binary.encodePublish({
            correlation: 1,
            firstSequence: 1,
            payloads,
            positions: payloads.map(() => "x")
          })
        ).subarray(4)
      ),
      placed.map((runs) => Buffer.from(Binary.encodePlaced(1, runs)).subarray(4))
    )
    const damaged = fc
      .tuple(valid, fc.array(flip, { maxLength: 4 }), fc.nat())
      .map(([bytes, flips, length]) => {
        const copy = Buffer.from(bytes)
        for (const [at, byte] of flips) copy[at % copy.length] = byte
        return copy.subarray(0, length % 3 === 0 ? length % copy.length : copy.length)
      })
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 60 })), (bytes) => {
        expect(decoded(decodeRequest, bytes)).toHaveProperty("type")
        expect(decoded(decodeAnswer, bytes)).toHaveProperty("type")
        expect(["string", "object"]).toContain(typeof decoded(Binary.decodePublish, bytes))
        decoded(Binary.decodeBinaryAnswer, bytes)
      }),
      { numRuns: 5_000 }
    )
  })
})
