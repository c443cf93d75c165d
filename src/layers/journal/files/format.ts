/**
 * The bytes of a journal's file, named `<journal>.<generation>`: the journal is in the one with the highest generation.
 *
 * All numbers are little-endian. A file starts with a header; it has its name only when that and the first batch are on the disk:
 *
 * ```
 *  0   8  magic "GPUJRNL\n"
 *  8   4  version, 1
 * 12   4  salt, a random number that seeds the checksums of batches
 * 16   4  CRC32C of bytes 0 to 15
 * ```
 *
 * Behind it one batch per append, each whole or not there at all:
 *
 * ```
 *  0   4  magic D7 4A 4E 4C
 *  4   4  bytes of its texts
 *  8   4  texts
 * 12   8  position up to which the file was known to be on the disk when this was written
 * 20   4  CRC32C of the texts
 * 24   4  CRC32C of bytes 0 to 23, seeded with salt and position of the batch (xor of their lower halves)
 * ```
 *
 * and its texts, each with 1 byte that is 1 for a snapshot and 0 for an entry, 4 bytes for its length, and itself in UTF-8. Only
 * the first text can be a snapshot. A batch without texts is a mark: everything before it is on the disk.
 */
import { crc32c } from "@node-rs/crc32"
import type { JournalContent } from "../../Journal.ts"

const fileMagic = Buffer.from("GPUJRNL\n", "latin1")
const version = 1
export const fileHeaderBytes = 20
const batchMagic = Buffer.from([0xd7, 0x4a, 0x4e, 0x4c])
const batchHeaderBytes = 28
const textHeaderBytes = 5

export type Content = JournalContent<string, string>

const seedOf = (salt: number, position: number): number => (salt ^ position) >>> 0

export const encodeFileHeader = (salt: number): Buffer => {
  const bytes = Buffer.alloc(fileHeaderBytes)
  fileMagic.copy(bytes)
  bytes.writeUInt32LE(version, 8)
  bytes.writeUInt32LE(salt, 12)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 16)), 16)
  return bytes
}

export interface BatchPlace {
  readonly salt: number
  readonly position: number
  /** Position up to which the file is known to be on the disk. */
  readonly durableBefore: number
}

export const encodeBatch = (
  { snapshot, entries }: Content,
  { salt, position, durableBefore }: BatchPlace
): Buffer => {
  const texts = snapshot === undefined ? entries : [snapshot, ...entries]
  const bodyBytes = texts.reduce((bytes, text) => bytes + textHeaderBytes + Buffer.byteLength(text), 0)
  const bytes = Buffer.allocUnsafe(batchHeaderBytes + bodyBytes)
  let at = batchHeaderBytes
  for (const [place, text] of texts.entries()) {
    const length = bytes.write(text, at + textHeaderBytes)
    bytes[at] = snapshot !== undefined && place === 0 ? 1 : 0
    bytes.writeUInt32LE(length, at + 1)
    at += textHeaderBytes + length
  }
  batchMagic.copy(bytes)
  bytes.writeUInt32LE(bodyBytes, 4)
  bytes.writeUInt32LE(texts.length, 8)
  bytes.writeBigUInt64LE(BigInt(durableBefore), 12)
  bytes.writeUInt32LE(crc32c(bytes.subarray(batchHeaderBytes)), 20)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 24), seedOf(salt, position)), 24)
  return bytes
}

interface BatchHeader {
  readonly bodyBytes: number
  readonly texts: number
  readonly durableBefore: number
}

const readHeader = (bytes: Buffer, at: number, salt: number): BatchHeader | undefined => {
  if (at + batchHeaderBytes > bytes.length || !bytes.subarray(at, at + 4).equals(batchMagic)) return undefined
  if (crc32c(bytes.subarray(at, at + 24), seedOf(salt, at)) !== bytes.readUInt32LE(at + 24)) return undefined
  return {
    bodyBytes: bytes.readUInt32LE(at + 4),
    texts: bytes.readUInt32LE(at + 8),
    durableBefore: Number(bytes.readBigUInt64LE(at + 12))
  }
}

/** What a file holds up to where it is whole, and what it says of the rest. */
export interface Decoded {
  readonly content: Content
  readonly salt: number
  /** Where what is whole ends, and whether that is with a mark. */
  readonly end: number
  readonly endsWithMark: boolean
  /** Whether what is behind was on the disk, so that it is damage and not the unfinished end of an append. */
  readonly isDamaged: boolean
}

/** The greatest position of which a batch says that the file was on the disk up to there, behind a position. */
const durableBehind = (bytes: Buffer, from: number, salt: number): number => {
  let durable = 0
  for (let at = bytes.indexOf(batchMagic, from); at !== -1; at = bytes.indexOf(batchMagic, at + 1)) {
    const header = readHeader(bytes, at, salt)
    if (header !== undefined && header.durableBefore <= at) durable = Math.max(durable, header.durableBefore)
  }
  return durable
}

/** Reads a file; what is wrong with its header, in words, where that can't be read. */
export const decode = (bytes: Buffer): Decoded | string => {
  if (bytes.length < fileHeaderBytes) return "it is too short to have a header"
  if (crc32c(bytes.subarray(0, 16)) !== bytes.readUInt32LE(16)) return "the checksum of its header is wrong"
  if (!bytes.subarray(0, 8).equals(fileMagic)) return "it is no journal"
  if (bytes.readUInt32LE(8) !== version) return "a newer version of this program made it"
  const salt = bytes.readUInt32LE(12)
  let snapshot: string | undefined
  const entries: Array<string> = []
  let at = fileHeaderBytes
  let endsWithMark = false
  for (;;) {
    const header = readHeader(bytes, at, salt)
    const bodyStart = at + batchHeaderBytes
    const bodyEnd = bodyStart + (header?.bodyBytes ?? 0)
    const isWhole =
      header !== undefined &&
      bodyEnd <= bytes.length &&
      crc32c(bytes.subarray(bodyStart, bodyEnd)) === bytes.readUInt32LE(at + 20)
    if (!isWhole) break
    for (let text = bodyStart; text < bodyEnd; ) {
      const length = bytes.readUInt32LE(text + 1)
      const start = text + textHeaderBytes
      if (bytes[text] === 1) snapshot = bytes.toString("utf8", start, start + length)
      else entries.push(bytes.toString("utf8", start, start + length))
      text = start + length
    }
    endsWithMark = header.texts === 0
    at = bodyEnd
  }
  const isDamaged = at < bytes.length && durableBehind(bytes, at, salt) > at
  return { content: { snapshot, entries }, salt, end: at, endsWithMark, isDamaged }
}
