/**
 * The frames that peers of ours negotiate in `hello` (`binary: true`): many messages in one frame, and no text around them. Their bodies
 * begin with a byte that no JSON begins with. Payloads are JSON all the same, and proven to be. Numbers are big-endian.
 *
 * Publish, from the client. Answered by one `placed` or `refused` frame, in the order of all requests:
 * | bytes | |
 * |---|---|
 * | 1 | 1 |
 * | 4 | correlation, repeated in the answer |
 * | 1 | 1: by the producer that said hello, under sequences that follow each other; 0: by none |
 * | 8 | sequence of the first message; 0 by no producer |
 * | 4 | count of messages, at least 1 |
 * | 6 each | length of the payload (4), and of the position + 1 (2); 0 where it has none |
 * | … | the positions, in UTF-8, one after the other |
 * | … | the payloads, one after the other, to the end of the frame |
 *
 * Placed, from the server: all are in the log.
 * | 1 | 2 |
 * | 4 | correlation |
 * | 4 | count of runs |
 * | 13 each | count of messages (4); 1 where they are duplicates, + 2 where their offset is remembered (1); offset of the first, or 0 (8) |
 *
 * Refused, from the server: the runs are those before the first refused message; nothing behind it is in the log.
 * | 1 | 3 |
 * | 4 | correlation |
 * | 1, … | length and ASCII of the code, a name of WireErrors.ts |
 * | 2, … | length and UTF-8 of the problem, in words |
 * | 4, 13 each | runs, as above |
 *
 * Messages, from the server, instead of `message` frames:
 * | 1 | 4 |
 * | 4 | number of the subscription, from the response to `subscribe` |
 * | 8 | offset of the first |
 * | 4 | count of messages, at least 1 |
 * | 4 each | length of the payload |
 * | … | the payloads, one after the other, to the end of the frame |
 */
import { payloadBytesMax, positionBytesMax } from "../Limits.ts"
import { offsetOf, type PlacedRun } from "../Log.ts"
import { lengthBytes, readUint32, writeUint32 } from "./FrameReader.ts"
import { JsonScanner } from "./JsonScanner.ts"
import { textOf } from "./Members.ts"

export const binaryTypes = { publish: 1, placed: 2, refused: 3, messages: 4 } as const

/** Whether a body is one of these frames, and not JSON. */
export const isBinary = (bytes: Uint8Array, start: number, end: number): boolean =>
  start < end && bytes[start]! >= binaryTypes.publish && bytes[start]! <= binaryTypes.messages

export interface BinaryPublish {
  readonly correlation: number
  /** `null` where no producer publishes. */
  readonly firstSequence: number | null
  readonly payloads: ReadonlyArray<Uint8Array>
  /** One for each payload. */
  readonly positions: ReadonlyArray<string | null>
}

export interface BinaryPlaced {
  readonly type: "placed"
  readonly correlation: number
  readonly placed: ReadonlyArray<PlacedRun>
}

export interface BinaryRefused {
  readonly type: "refused"
  readonly correlation: number
  readonly code: string
  readonly problem: string
  readonly placed: ReadonlyArray<PlacedRun>
}

export interface BinaryMessages {
  readonly type: "messages"
  readonly subscription: number
  readonly firstOffset: number
  readonly payloads: ReadonlyArray<Uint8Array>
}

const publishHeaderBytes = 18
const publishRecordBytes = 6
const runBytes = 13
const messagesHeaderBytes = 17

/** What a message takes of a publish frame beside payload and position, and what the frame takes beside its messages. */
export const publishOverhead = { frameBytes: publishHeaderBytes, recordBytes: publishRecordBytes } as const

const writeUint64 = (bytes: Uint8Array, at: number, value: number): void => {
  writeUint32(bytes, at, Math.floor(value / 0x1_0000_0000))
  writeUint32(bytes, at + 4, value % 0x1_0000_0000)
}

/** `undefined` where a double does not hold it. */
const readUint64 = (bytes: Uint8Array, at: number): number | undefined => {
  const value = readUint32(bytes, at) * 0x1_0000_0000 + readUint32(bytes, at + 4)
  return Number.isSafeInteger(value) ? value : undefined
}

/** A whole publish frame, its length in front. */
export const encodePublish = ({
  correlation,
  firstSequence,
  payloads,
  positions
}: BinaryPublish): Uint8Array => {
  const texts = positions.map((position) => (position === null ? null : Buffer.from(position, "utf8")))
  let length = publishHeaderBytes + publishRecordBytes * payloads.length
  for (let index = 0; index < payloads.length; index++) {
    length += payloads[index]!.length + (texts[index]?.length ?? 0)
  }
  const frame = Buffer.allocUnsafeSlow(lengthBytes + length)
  writeUint32(frame, 0, length)
  frame[4] = binaryTypes.publish
  writeUint32(frame, 5, correlation)
  frame[9] = firstSequence === null ? 0 : 1
  writeUint64(frame, 10, firstSequence ?? 0)
  writeUint32(frame, 18, payloads.length)
  let at = lengthBytes + publishHeaderBytes
  for (let index = 0; index < payloads.length; index++) {
    writeUint32(frame, at, payloads[index]!.length)
    frame.writeUInt16BE((texts[index]?.length ?? -1) + 1, at + 4)
    at += publishRecordBytes
  }
  for (const text of texts) {
    if (text === null || text === undefined) continue
    frame.set(text, at)
    at += text.length
  }
  for (const payload of payloads) {
    frame.set(payload, at)
    at += payload.length
  }
  return frame
}

const payloadScanner = new JsonScanner([])

/** Decodes the body of a publish frame, whose payloads are then known to be JSON; a text says what is wrong with it. */
export const decodePublish = (bytes: Uint8Array, start: number, end: number): BinaryPublish | string => {
  if (end - start < publishHeaderBytes || bytes[start] !== binaryTypes.publish) return "not a publish frame"
  const correlation = readUint32(bytes, start + 1)
  const isNumbered = bytes[start + 5] === 1
  const firstSequence = readUint64(bytes, start + 6)
  const count = readUint32(bytes, start + 14)
  const lengths = start + publishHeaderBytes
  let at = lengths + publishRecordBytes * count
  if (firstSequence === undefined || !Number.isSafeInteger(firstSequence + count)) return "sequence too high"
  if (count === 0 || at > end) return "count of messages does not fit the frame"
  const positions: Array<string | null> = new Array(count)
  for (let index = 0; index < count; index++) {
    const entry = lengths + publishRecordBytes * index
    const length = bytes[entry + 4]! * 0x100 + bytes[entry + 5]! - 1
    if (length > positionBytesMax || at + length > end) return "position too long"
    positions[index] = length === -1 ? null : textOf(bytes, at, at + length)
    if (length > 0) at += length
  }
  const payloads: Array<Uint8Array> = new Array(count)
  for (let index = 0; index < count; index++) {
    const length = readUint32(bytes, lengths + publishRecordBytes * index)
    if (length > payloadBytesMax || at + length > end) return "payload too long"
    if (!payloadScanner.scanValue(bytes, at, at + length)) return `payload ${index} is not JSON`
    payloads[index] = bytes.subarray(at, at + length)
    at += length
  }
  if (at !== end) return "bytes behind the last payload"
  return { correlation, firstSequence: isNumbered ? firstSequence : null, payloads, positions }
}

const writeRuns = (frame: Uint8Array, from: number, placed: ReadonlyArray<PlacedRun>): void => {
  writeUint32(frame, from, placed.length)
  let at = from + 4
  for (const { count, firstOffset, isDuplicate } of placed) {
    writeUint32(frame, at, count)
    frame[at + 4] = (isDuplicate ? 1 : 0) + (firstOffset === null ? 0 : 2)
    writeUint64(frame, at + 5, firstOffset ?? 0)
    at += runBytes
  }
}

/** A whole `placed` frame, its length in front. */
export const encodePlaced = (correlation: number, placed: ReadonlyArray<PlacedRun>): Uint8Array => {
  const length = 9 + runBytes * placed.length
  const frame = Buffer.allocUnsafe(lengthBytes + length)
  writeUint32(frame, 0, length)
  frame[4] = binaryTypes.placed
  writeUint32(frame, 5, correlation)
  writeRuns(frame, 9, placed)
  return frame
}

/** A whole `refused` frame, its length in front. */
export const encodeRefused = ({
  correlation,
  code,
  problem,
  placed
}: Omit<BinaryRefused, "type">): Uint8Array => {
  const name = Buffer.from(code, "latin1")
  const words = Buffer.from(problem.slice(0, 1_024), "utf8")
  const length = 12 + name.length + words.length + runBytes * placed.length
  const frame = Buffer.allocUnsafe(lengthBytes + length)
  writeUint32(frame, 0, length)
  frame[4] = binaryTypes.refused
  writeUint32(frame, 5, correlation)
  frame[9] = name.length
  frame.set(name, 10)
  const at = 10 + name.length
  frame.writeUInt16BE(words.length, at)
  frame.set(words, at + 2)
  writeRuns(frame, at + 2 + words.length, placed)
  return frame
}

/** Runs that fill the bytes from one place up to another. */
const readRuns = (bytes: Uint8Array, from: number, to: number): ReadonlyArray<PlacedRun> | undefined => {
  if (from + 4 > to) return undefined
  const count = readUint32(bytes, from)
  if (from + 4 + runBytes * count !== to) return undefined
  const placed: Array<PlacedRun> = new Array(count)
  for (let index = 0; index < count; index++) {
    const at = from + 4 + runBytes * index
    const flags = bytes[at + 4]!
    const firstOffset = readUint64(bytes, at + 5)
    if (firstOffset === undefined) return undefined
    placed[index] = {
      count: readUint32(bytes, at),
      firstOffset: (flags & 2) === 0 ? null : offsetOf(firstOffset),
      isDuplicate: (flags & 1) === 1
    }
  }
  return placed
}

/**
 * What messages of all subscribers that read the same range have in common: the body of their frame, behind the
 * subscription's number.
 */
export const encodeMessagesBody = (firstOffset: number, payloads: ReadonlyArray<Uint8Array>): Uint8Array => {
  let length = 12 + 4 * payloads.length
  for (const payload of payloads) length += payload.length
  const body = Buffer.allocUnsafeSlow(length)
  writeUint64(body, 0, firstOffset)
  writeUint32(body, 8, payloads.length)
  let at = 12
  for (const payload of payloads) {
    writeUint32(body, at, payload.length)
    at += 4
  }
  for (const payload of payloads) {
    body.set(payload, at)
    at += payload.length
  }
  return body
}

/** What stands before that body: the frame's length and type, and the subscription's number. */
export const messagesHeader = (subscription: number, body: Uint8Array): Uint8Array => {
  const header = Buffer.allocUnsafe(9)
  writeUint32(header, 0, 5 + body.length)
  header[4] = binaryTypes.messages
  writeUint32(header, 5, subscription)
  return header
}

/** Decodes the body of a frame that a server sends; `undefined` where it is none. */
export const decodeBinaryAnswer = (
  bytes: Uint8Array,
  start: number,
  end: number
): BinaryPlaced | BinaryRefused | BinaryMessages | undefined => {
  if (end - start < 9) return undefined
  switch (bytes[start]) {
    case binaryTypes.placed: {
      const placed = readRuns(bytes, start + 5, end)
      return placed && { type: "placed", correlation: readUint32(bytes, start + 1), placed }
    }
    case binaryTypes.refused:
      return refusedOf(bytes, start, end)
    case binaryTypes.messages:
      return messagesOf(bytes, start, end)
    default:
      return undefined
  }
}

const refusedOf = (bytes: Uint8Array, start: number, end: number): BinaryRefused | undefined => {
  const code = start + 6
  const problem = code + bytes[start + 5]! + 2
  if (problem > end) return undefined
  const runs = problem + bytes[problem - 2]! * 0x100 + bytes[problem - 1]!
  const placed = readRuns(bytes, runs, end)
  if (placed === undefined) return undefined
  return {
    type: "refused",
    correlation: readUint32(bytes, start + 1),
    code: textOf(bytes, code, problem - 2),
    problem: textOf(bytes, problem, runs),
    placed
  }
}

const messagesOf = (bytes: Uint8Array, start: number, end: number): BinaryMessages | undefined => {
  if (end - start < messagesHeaderBytes) return undefined
  const firstOffset = readUint64(bytes, start + 5)
  const count = readUint32(bytes, start + 13)
  let at = start + messagesHeaderBytes + 4 * count
  if (firstOffset === undefined || at > end) return undefined
  const payloads: Array<Uint8Array> = new Array(count)
  for (let index = 0; index < count; index++) {
    const length = readUint32(bytes, start + messagesHeaderBytes + 4 * index)
    if (at + length > end) return undefined
    payloads[index] = bytes.subarray(at, at + length)
    at += length
  }
  return at === end
    ? { type: "messages", subscription: readUint32(bytes, start + 1), firstOffset, payloads }
    : undefined
}
