/**
 * Finds frames in a stream of bytes, however it is cut.
 *
 * A frame is a 4-byte big-endian unsigned length and that many bytes of body. A body that lies in one chunk is not copied; one
 * that is spread over several is gathered in a buffer that grows with what has come, so that announcing a long frame
 * costs its sender as many bytes as it costs the reader.
 */
import { frameBytesMax } from "../Limits.ts"

/** Bytes of the length before each body. */
export const lengthBytes = 4

/** The first buffer of a body that is spread over chunks. */
const gatheredBytesMin = 4_096
/** How many times what has come a buffer is made for. More than two, since growing copies; what is not written yet takes no memory. */
const growth = 4

const nothing = new Uint8Array(0)

/**
 * Push a chunk, then call `next` until it answers false, before pushing another one. After each true the body is
 * `bytes` from `start` to `end`, until the next call; it may be empty, which is an error of its sender.
 */
export class FrameReader {
  bytes: Uint8Array = nothing
  start = 0
  end = 0
  /** Length of a frame that is longer than any may be: the stream can't be followed any further, and `next` stays false. */
  tooLong: number | undefined

  private chunk: Uint8Array = nothing
  private at = 0
  private readonly header = new Uint8Array(lengthBytes)
  private headerBytes = 0
  /** The body under way: its length, -1 where none is, and what of it has come. */
  private bodyBytes = -1
  private gathered: Uint8Array = nothing
  private gatheredBytes = 0

  constructor(private readonly bodyBytesMax: number = frameBytesMax) {}

  /** Bytes that are held and belong to no frame that was answered: what was not looked at yet, and part of a frame. */
  get pendingBytes(): number {
    return this.chunk.length - this.at + this.gatheredBytes + this.headerBytes
  }

  push(chunk: Uint8Array): void {
    if (this.at === this.chunk.length) {
      this.chunk = chunk
      this.at = 0
      return
    }
    const rest = this.chunk.length - this.at
    const joined = new Uint8Array(rest + chunk.length)
    joined.set(this.chunk.subarray(this.at))
    joined.set(chunk, rest)
    this.chunk = joined
    this.at = 0
  }

  next(): boolean {
    if (this.tooLong !== undefined) return false
    if (this.bodyBytes === -1 && !this.readLength()) return this.forget()
    const length = this.bodyBytes
    if (this.gatheredBytes === 0 && this.chunk.length - this.at >= length) {
      this.bytes = this.chunk
      this.start = this.at
      this.end = this.at += length
      this.bodyBytes = -1
      return true
    }
    return this.gather(length)
  }

  /** All of the chunk was looked at: whoever waits for the next one does not keep it. */
  private forget(): false {
    this.chunk = nothing
    this.bytes = nothing
    this.at = 0
    return false
  }

  private readLength(): boolean {
    const { chunk } = this
    let length: number
    if (this.headerBytes === 0 && chunk.length - this.at >= lengthBytes) {
      length = readUint32(chunk, this.at)
      this.at += lengthBytes
    } else {
      while (this.headerBytes < lengthBytes) {
        if (this.at === chunk.length) return false
        this.header[this.headerBytes++] = chunk[this.at++]!
      }
      length = readUint32(this.header, 0)
      this.headerBytes = 0
    }
    if (length > this.bodyBytesMax) {
      this.tooLong = length
      this.chunk = nothing
      this.at = 0
      return false
    }
    this.bodyBytes = length
    return true
  }

  private gather(length: number): boolean {
    const taken = Math.min(length - this.gatheredBytes, this.chunk.length - this.at)
    const held = this.gatheredBytes + taken
    if (held > this.gathered.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(length, Math.max(gatheredBytesMin, growth * held)))
      grown.set(this.gathered.subarray(0, this.gatheredBytes))
      this.gathered = grown
    }
    this.gathered.set(this.chunk.subarray(this.at, this.at + taken), this.gatheredBytes)
    this.at += taken
    this.gatheredBytes = held
    if (held < length) return this.forget()
    this.bytes = this.gathered
    this.start = 0
    this.end = length
    this.gathered = nothing
    this.gatheredBytes = 0
    this.bodyBytes = -1
    return true
  }
}

export const readUint32 = (bytes: Uint8Array, at: number): number =>
  bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)

export const writeUint32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
