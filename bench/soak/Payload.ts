/**
 * Payloads that tell whose they are: the producer's number and the sequence stand in front, and length and bytes behind
 * them follow from the two. Whoever reads one can tell that it is whole without having kept anything.
 */

/** A producer's number and a sequence in one number, so that a table of many is a `Float64Array`. */
export type MessageId = number

const sequencesMax = 2 ** 44
export const idOf = (producer: number, sequence: number): MessageId => producer * sequencesMax + sequence
export const producerOf = (id: MessageId): number => Math.floor(id / sequencesMax)
export const sequenceIn = (id: MessageId): number => id % sequencesMax
export const nameOf = (id: MessageId): string => `message ${sequenceIn(id)} of producer ${producerOf(id)}`

const headerBytes = 8
const smallBytesMax = 400
const largeBytesMax = 4_096

const hashOf = (producer: number, sequence: number): number => {
  let hash = Math.imul(sequence ^ Math.imul(producer + 1, 0x9e3779b1), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35)
  return (hash ^ (hash >>> 13)) >>> 0
}

/** Every eighth or so is large. */
const sizeFor = (hash: number): number =>
  headerBytes + ((hash >>> 8) % ((hash & 7) === 0 ? largeBytesMax : smallBytesMax))

/** What stands behind the headers: a stretch of these, which begins where the hash says. */
const filler = Buffer.from(Array.from({ length: 64 * 1024 }, (_, index) => hashOf(255, index) & 0xff))
const fillerStart = (hash: number): number => (hash >>> 3) % (filler.length - largeBytesMax)

const payloadOf = (producer: number, sequence: number): Uint8Array => {
  const hash = hashOf(producer, sequence)
  // From Node's pool of small slabs: of one allocation per batch, a slow subscriber would keep all for a message of it.
  const bytes = Buffer.allocUnsafe(sizeFor(hash))
  bytes.writeUInt16LE(producer, 0)
  bytes.writeUIntLE(sequence, 2, 6)
  filler.copy(bytes, headerBytes, fillerStart(hash), fillerStart(hash) + bytes.length - headerBytes)
  return bytes
}

/** Payloads of consecutive sequences. */
export const payloadsOf = (producer: number, first: number, count: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: count }, (_, index) => payloadOf(producer, first + index))

/** Whose a payload is; `undefined` where it is not one that was made here, to the last byte. */
export const readPayload = (payload: Uint8Array): MessageId | undefined => {
  if (payload.length < headerBytes) return undefined
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length)
  const producer = bytes.readUInt16LE(0)
  const sequence = bytes.readUIntLE(2, 6)
  const hash = hashOf(producer, sequence)
  if (payload.length !== sizeFor(hash)) return undefined
  const from = fillerStart(hash)
  const isWhole =
    filler.compare(bytes, headerBytes, bytes.length, from, from + bytes.length - headerBytes) === 0
  return isWhole ? idOf(producer, sequence) : undefined
}

/** Whether a subscriber that acknowledges one by one refuses this one each time it comes. */
export const isPoison = (id: MessageId): boolean => hashOf(producerOf(id), sequenceIn(id)) % 1_009 === 0
