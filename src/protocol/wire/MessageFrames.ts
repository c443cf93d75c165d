/**
 * `message` frames in JSON: many in one buffer, each with the bytes of its payload as they were published.
 *
 * `{"type":"message","message_id":"17","offset":17,"subscriber_id":"collector-1","payload":…}`, the subscriber's id only for a
 * peer that said hello. The header of a frame is that of the one before with another offset, so that most of it is
 * copied and not made.
 */
import { lengthBytes, writeUint32 } from "./FrameReader.ts"

const letters = (text: string): Uint8Array => Buffer.from(text, "utf8")
const zero = 0x30
const nine = 0x39
const closeBrace = 0x7d

/** A header, with the places where the last digits of the offset stand in it. */
interface Header {
  readonly bytes: Uint8Array
  readonly idEnd: number
  readonly offsetEnd: number
}

const headerOf = (offset: number, subscriberMember: string): Header => {
  const upToId = `{"type":"message","message_id":"${offset}`
  const upToOffset = `${upToId}","offset":${offset}`
  return {
    bytes: letters(`${upToOffset}${subscriberMember},"payload":`),
    idEnd: upToId.length,
    offsetEnd: upToOffset.length
  }
}

/** Adds one to the decimal number that ends at a place; false where it would need another digit. */
const increment = (bytes: Uint8Array, end: number): boolean => {
  let at = end - 1
  while (bytes[at] === nine) bytes[at--] = zero
  if (bytes[at]! < zero || bytes[at]! > nine) return false
  bytes[at]!++
  return true
}

/** The frames of payloads that follow each other from an offset on; `undefined` for a peer that did not say hello. */
export const encodeMessages = (
  firstOffset: number,
  payloads: ReadonlyArray<Uint8Array>,
  subscriberId?: string
): Uint8Array => {
  const member = subscriberId === undefined ? "" : `,"subscriber_id":${JSON.stringify(subscriberId)}`
  let total = 0
  const longest = headerOf(firstOffset + payloads.length, member).bytes.length + lengthBytes + 1
  for (const payload of payloads) total += longest + payload.length
  const frames = Buffer.allocUnsafeSlow(total)
  let header = headerOf(firstOffset, member)
  let at = 0
  for (let index = 0; index < payloads.length; index++) {
    const payload = payloads[index]!
    const { bytes } = header
    writeUint32(frames, at, bytes.length + payload.length + 1)
    at += lengthBytes
    frames.set(bytes, at)
    at += bytes.length
    frames.set(payload, at)
    at += payload.length
    frames[at++] = closeBrace
    if (!increment(bytes, header.idEnd) || !increment(bytes, header.offsetEnd)) {
      header = headerOf(firstOffset + index + 1, member)
    }
  }
  return at === total ? frames : frames.subarray(0, at)
}
