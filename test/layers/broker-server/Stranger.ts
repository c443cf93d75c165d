/** A peer that knows the protocol by its document alone: it writes bytes, and reads JSON. */
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { type ConnectionOptions, connect as connectTls } from "node:tls"

export type Frame = { readonly type: string } & Record<string, unknown>

/** A frame of JSON, or of any bytes. */
export const frameOf = (body: unknown): Buffer => {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
  const frame = Buffer.alloc(4 + bytes.length)
  frame.writeUInt32BE(bytes.length)
  bytes.copy(frame, 4)
  return frame
}

export class Stranger {
  /** Bodies that came and were not taken yet. */
  private bodies: Array<Buffer> = []
  private wake = () => {}
  private rest = Buffer.alloc(0)
  hasClosed = false

  constructor(readonly socket: Socket) {
    socket.on("data", (chunk: Buffer) => {
      this.rest = Buffer.concat([this.rest, chunk])
      while (this.rest.length >= 4 && this.rest.length >= 4 + this.rest.readUInt32BE()) {
        const end = 4 + this.rest.readUInt32BE()
        this.bodies.push(this.rest.subarray(4, end))
        this.rest = this.rest.subarray(end)
      }
      this.wake()
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      this.hasClosed = true
      this.wake()
    })
  }

  static async connect(port: number, tls?: ConnectionOptions): Promise<Stranger> {
    const socket =
      tls === undefined ? connect(port, "127.0.0.1") : connectTls({ port, host: "127.0.0.1", ...tls })
    socket.setNoDelay(true)
    const stranger = new Stranger(socket)
    await once(socket, tls === undefined ? "connect" : "secureConnect")
    return stranger
  }

  /** Writes frames in one packet. */
  send(...bodies: ReadonlyArray<unknown>): void {
    this.socket.write(Buffer.concat(bodies.map(frameOf)))
  }

  /** The next frame's bytes. */
  async body(): Promise<Buffer> {
    while (this.bodies.length === 0) {
      if (this.hasClosed) throw new Error("closed")
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    return this.bodies.shift()!
  }

  async next(): Promise<Frame> {
    return JSON.parse((await this.body()).toString())
  }

  async take(count: number): Promise<ReadonlyArray<Frame>> {
    const frames: Array<Frame> = []
    while (frames.length < count) frames.push(await this.next())
    return frames
  }

  /** Asks and answers the next frame. */
  ask(body: unknown): Promise<Frame> {
    this.send(body)
    return this.next()
  }

  /** What comes until the other side closes. */
  async untilClosed(): Promise<ReadonlyArray<Frame>> {
    while (!this.hasClosed) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    return this.bodies.splice(0).map((body) => JSON.parse(body.toString()))
  }

  close(): void {
    this.socket.destroy()
  }
}
