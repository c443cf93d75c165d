/**
 * The bytes of a segment file. All numbers are little-endian and unsigned; `u64` holds at most 2^53 - 1.
 *
 * A file is named `<base offset, 20 digits>.log`. It starts with a header, written and synced before the file has its name:
 *
 * ```
 *  0   8  magic "GPULOG\r\n"
 *  8   4  version, 1
 * 12  16  log id, the bytes of a UUID
 * 28   8  base offset: no record of the file is below
 * 36   4  salt of the log, a random number that seeds every other checksum
 * 40   4  CRC32C of bytes 0 to 39
 * ```
 *
 * Behind it one batch per append, each whole or not there at all:
 *
 * ```
 *  0   4  magic D7 42 43 48
 *  4   4  bytes of its records
 *  8   8  offset of its first record
 * 16   4  records
 * 20   8  bytes of its records as every limit counts them
 * 28   8  when it was appended, ms since 1970
 * 36   8  position up to which the file was known to be on the disk when this was written
 * 44   4  CRC32C of bytes 0 to 43, seeded with salt, position of the batch, and base offset (xor of their lower halves)
 * ```
 *
 * and its records:
 *
 * ```
 *  0   4  CRC32C of the rest of the record, seeded with salt and offset (xor of their lower halves)
 *  4   4  bytes of the payload
 *  8   4  bytes of the position
 * 12   2  bytes of the producer id
 * 14   1  flags: 1 has a producer, 2 has a position
 * 15   1  0
 * 16   8  sequence; 0 without a producer
 * 24      producer id, position (UTF-8 both), payload
 * ```
 *
 * Offsets are dense from one batch to the next. A batch without records is a mark: everything before it is on the disk, and
 * the next record has the offset that it names, which is higher than expected where records in between were lost to damage.
 * A log that is closed cleanly ends with one.
 *
 * Who publishes a payload that looks like a batch does not know the salt, so that none is ever taken for one.
 *
 * The file `log.id` holds a header alone, with base offset 0: whose log it is, and the salt.
 */
import { crc32c } from "@node-rs/crc32"
import { LogId, type ProducerId } from "../../../protocol/Log.ts"
import { type RecordRun, runBytes } from "../../OffsetLog.ts"

export const fileHeaderBytes = 44
export const batchHeaderBytes = 48
const recordHeaderBytes = 24

const fileMagic = Buffer.from("GPULOG\r\n", "latin1")
const version = 1
export const batchMagic = Buffer.from([0xd7, 0x42, 0x43, 0x48])
const batchMagicNumber = batchMagic.readUInt32LE()

const hasProducer = 1
const hasPosition = 2

const halfRange = 2 ** 32
const writeU64 = (bytes: Buffer, value: number, at: number): void => {
  bytes.writeUInt32LE(value % halfRange, at)
  bytes.writeUInt32LE(Math.floor(value / halfRange), at + 4)
}
const readU64 = (bytes: Buffer, at: number): number =>
  bytes.readUInt32LE(at + 4) * halfRange + bytes.readUInt32LE(at)

/** Whose log a file is of, and what seeds its checksums. */
export interface LogIdentity {
  readonly logId: LogId
  readonly salt: number
}

export interface FileHeader extends LogIdentity {
  readonly base: number
}

export const encodeFileHeader = ({ logId, base, salt }: FileHeader): Buffer => {
  const bytes = Buffer.alloc(fileHeaderBytes)
  fileMagic.copy(bytes)
  bytes.writeUInt32LE(version, 8)
  bytes.write(logId.replaceAll("-", ""), 12, "hex")
  writeU64(bytes, base, 28)
  bytes.writeUInt32LE(salt, 36)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 40)), 40)
  return bytes
}

/** The header at the start of a file; what is wrong with it, in words, where it can't be read. */
export const decodeFileHeader = (bytes: Buffer): FileHeader | string => {
  if (bytes.length < fileHeaderBytes) return "it is too short to have a header"
  if (bytes.readUInt32LE(40) !== crc32c(bytes.subarray(0, 40))) return "the checksum of its header is wrong"
  if (!bytes.subarray(0, 8).equals(fileMagic)) return "it is no segment of a log"
  if (bytes.readUInt32LE(8) !== version) return `a newer version of this program made it`
  const hex = bytes.toString("hex", 12, 28)
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
  return { logId: LogId.make(parts.join("-")), base: readU64(bytes, 28), salt: bytes.readUInt32LE(36) }
}

export interface BatchHeader {
  /** Bytes of its records in the file. */
  readonly bodyBytes: number
  readonly firstOffset: number
  readonly records: number
  /** Bytes of its records as every limit counts them. */
  readonly countedBytes: number
  readonly appendedMs: number
  readonly durableBefore: number
}

/** What a header's checksum is seeded with: a batch is none in another place of the log. */
export interface Place {
  readonly salt: number
  readonly base: number
}
const seedOf = ({ salt, base }: Place, position: number): number => (salt ^ position ^ base) >>> 0

export const writeBatchHeader = (
  bytes: Buffer,
  at: number,
  header: BatchHeader,
  place: Place,
  position: number
): void => {
  bytes.writeUInt32LE(batchMagicNumber, at)
  bytes.writeUInt32LE(header.bodyBytes, at + 4)
  writeU64(bytes, header.firstOffset, at + 8)
  bytes.writeUInt32LE(header.records, at + 16)
  writeU64(bytes, header.countedBytes, at + 20)
  writeU64(bytes, header.appendedMs, at + 28)
  writeU64(bytes, header.durableBefore, at + 36)
  bytes.writeUInt32LE(crc32c(bytes.subarray(at, at + 44), seedOf(place, position)), at + 44)
}

/** The batch header in the bytes at `at`, which are those of `position`; `undefined` where there is none. */
export const readBatchHeader = (
  bytes: Buffer,
  at: number,
  place: Place,
  position: number
): BatchHeader | undefined => {
  if (at + batchHeaderBytes > bytes.length || bytes.readUInt32LE(at) !== batchMagicNumber) return undefined
  const checksum = crc32c(bytes.subarray(at, at + 44), seedOf(place, position))
  if (checksum !== bytes.readUInt32LE(at + 44)) return undefined
  return {
    bodyBytes: bytes.readUInt32LE(at + 4),
    firstOffset: readU64(bytes, at + 8),
    records: bytes.readUInt32LE(at + 16),
    countedBytes: readU64(bytes, at + 20),
    appendedMs: readU64(bytes, at + 28),
    durableBefore: readU64(bytes, at + 36)
  }
}

/** A batch without records: everything before it is on the disk, and the next record has that offset. */
export const encodeMark = (
  place: Place,
  { nextOffset, nowMs, position }: Record<"nextOffset" | "nowMs" | "position", number>
): Buffer => {
  const bytes = Buffer.alloc(batchHeaderBytes)
  const header = { bodyBytes: 0, firstOffset: nextOffset, records: 0, countedBytes: 0, appendedMs: nowMs }
  writeBatchHeader(bytes, 0, { ...header, durableBefore: position }, place, position)
  return bytes
}

/** Bytes that records take in the file. */
const bodyBytesOf = (runs: ReadonlyArray<RecordRun>): number => {
  let bytes = 0
  for (const { payloads, producer } of runs) {
    const idBytes = producer === null ? 0 : Buffer.byteLength(producer.id)
    bytes += payloads.length * (recordHeaderBytes + idBytes)
    for (let index = 0; index < payloads.length; index++) {
      bytes += payloads[index]!.length
      const position = producer?.positions[index]
      if (position !== null && position !== undefined) bytes += Buffer.byteLength(position)
    }
  }
  return bytes
}

const recordSeed = (salt: number, offset: number): number => (salt ^ offset) >>> 0

const writeRun = (
  bytes: Buffer,
  start: number,
  { payloads, producer }: RecordRun,
  firstOffset: number,
  salt: number
): number => {
  const id = producer === null ? undefined : Buffer.from(producer.id)
  let at = start
  for (let index = 0; index < payloads.length; index++) {
    const payload = payloads[index]!
    const position = producer?.positions[index] ?? null
    let end = at + recordHeaderBytes
    if (id !== undefined) {
      bytes.set(id, end)
      end += id.length
    }
    const positionBytes = position === null ? 0 : bytes.write(position, end)
    end += positionBytes
    bytes.set(payload, end)
    end += payload.length
    bytes.writeUInt32LE(payload.length, at + 4)
    bytes.writeUInt32LE(positionBytes, at + 8)
    bytes.writeUInt16LE(id?.length ?? 0, at + 12)
    bytes[at + 14] = (producer === null ? 0 : hasProducer) | (position === null ? 0 : hasPosition)
    bytes[at + 15] = 0
    writeU64(bytes, producer === null ? 0 : producer.firstSequence + index, at + 16)
    bytes.writeUInt32LE(crc32c(bytes.subarray(at + 4, end), recordSeed(salt, firstOffset + index)), at)
    at = end
  }
  return at
}

/** Where a batch goes: its place, what it is told of it, and memory that is used again and again. */
export interface BatchPlace extends Place {
  readonly position: number
  readonly firstOffset: number
  readonly appendedMs: number
  readonly durableBefore: number
  /** Gives at least so many bytes. */
  readonly memory: (bytes: number) => Buffer
}

export interface EncodedBatch {
  readonly bytes: Buffer
  readonly header: BatchHeader
}

export const encodeBatch = (runs: ReadonlyArray<RecordRun>, place: BatchPlace): EncodedBatch => {
  const bodyBytes = bodyBytesOf(runs)
  const bytes = place.memory(batchHeaderBytes + bodyBytes)
  let at = batchHeaderBytes
  let records = 0
  let countedBytes = 0
  for (const run of runs) {
    at = writeRun(bytes, at, run, place.firstOffset + records, place.salt)
    records += run.payloads.length
    countedBytes += runBytes(run)
  }
  const { firstOffset, appendedMs, durableBefore } = place
  const header = { bodyBytes, firstOffset, records, countedBytes, appendedMs, durableBefore }
  writeBatchHeader(bytes, 0, header, place, place.position)
  return { bytes: bytes.subarray(0, at), header }
}

/** Bytes of the record that starts at `at`; as many as its header has, where those are not all there. */
export const recordLength = (bytes: Buffer, at: number): number =>
  at + recordHeaderBytes > bytes.length
    ? recordHeaderBytes
    : recordHeaderBytes +
      bytes.readUInt32LE(at + 4) +
      bytes.readUInt32LE(at + 8) +
      bytes.readUInt16LE(at + 12)

/** Whether the bytes at `at` are the record that was written under an offset. */
export const isRecordIntact = (
  bytes: Buffer,
  at: number,
  length: number,
  { salt, offset }: { readonly salt: number; readonly offset: number }
): boolean => crc32c(bytes.subarray(at + 4, at + length), recordSeed(salt, offset)) === bytes.readUInt32LE(at)

/** The parts of an intact record; payload and id are views. */
export interface RecordParts {
  readonly payload: Buffer
  readonly producer: {
    readonly id: Buffer
    readonly sequence: number
    readonly position: string | null
  } | null
}

export const readRecord = (bytes: Buffer, at: number): RecordParts => {
  const flags = bytes[at + 14]!
  const idStart = at + recordHeaderBytes
  const positionStart = idStart + bytes.readUInt16LE(at + 12)
  const payloadStart = positionStart + bytes.readUInt32LE(at + 8)
  const payload = bytes.subarray(payloadStart, payloadStart + bytes.readUInt32LE(at + 4))
  if ((flags & hasProducer) === 0) return { payload, producer: null }
  const id = bytes.subarray(idStart, positionStart)
  const position = (flags & hasPosition) === 0 ? null : bytes.toString("utf8", positionStart, payloadStart)
  return { payload, producer: { id, sequence: readU64(bytes, at + 16), position } }
}

/** Whether the bytes at `at` hold precisely the records that a batch header names, all of them intact. */
export const isBodyIntact = (
  bytes: Buffer,
  at: number,
  { bodyBytes, records, firstOffset }: BatchHeader,
  salt: number
): boolean => {
  const end = at + bodyBytes
  let next = at
  for (let record = 0; record < records; record++) {
    const length = recordLength(bytes, next)
    const place = { salt, offset: firstOffset + record }
    if (next + length > end || !isRecordIntact(bytes, next, length, place)) return false
    next += length
  }
  return next === end
}

export const producerIdOf = (bytes: Buffer): ProducerId => bytes.toString("utf8") as ProducerId
