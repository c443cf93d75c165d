/**
 * A peer of the broker that knows nothing of ours: it speaks what CONTRACTS.md says, over node:net, and nothing else.
 *
 * It answers frame by frame what it got; what that has to be is said in the checks beside it.
 */
import { connect } from "node:net"

/** The bytes of a frame: a length of four bytes, big-endian, and that many bytes of UTF-8 JSON. */
export const frameOf = (value) => framed(Buffer.from(JSON.stringify(value)))

/** Any bytes as a frame. */
export const framed = (body) => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}

export class Peer {
  /** Opens a connection. */
  static open(port, host = "127.0.0.1") {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host, noDelay: true })
      socket.once("error", reject)
      socket.once("connect", () => {
        socket.removeListener("error", reject)
        resolve(new Peer(socket))
      })
    })
  }

  constructor(socket) {
    this.socket = socket
    this.received = []
    this.isClosed = false
    this.waiting = []
    let pending = Buffer.alloc(0)
    socket.on("data", (bytes) => {
      pending = Buffer.concat([pending, bytes])
      while (pending.length >= 4) {
        const length = pending.readUInt32BE(0)
        if (pending.length < 4 + length) break
        this.received.push(JSON.parse(pending.subarray(4, 4 + length).toString("utf8")))
        pending = pending.subarray(4 + length)
      }
      this.#wake()
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      this.isClosed = true
      this.#wake()
    })
  }

  #wake() {
    for (const look of this.waiting.splice(0)) look()
  }

  #changed() {
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  /** Sends frames, in one write. */
  send(...values) {
    this.socket.write(Buffer.concat(values.map(frameOf)))
  }

  sendBytes(bytes) {
    this.socket.write(bytes)
  }

  /** The next frame that came; of several kinds, the next of those that are wanted, the others stay. */
  async next(isWanted = () => true) {
    for (;;) {
      const index = this.received.findIndex(isWanted)
      if (index >= 0) return this.received.splice(index, 1)[0]
      if (this.isClosed) throw new Error("the connection was closed")
      await this.#changed()
    }
  }

  /** The next answer: what is no message and no gap. */
  answer() {
    return this.next(({ type }) => type === "response" || type === "error")
  }

  /** The next messages, as they come. */
  async messages(count) {
    const all = []
    while (all.length < count) all.push(await this.next(({ type }) => type === "message"))
    return all
  }

  /** Sends a frame and waits for its answer. */
  async ask(value) {
    this.send(value)
    return this.answer()
  }

  async closed() {
    while (!this.isClosed) await this.#changed()
  }

  /** Reads no more from the connection, as a peer that hangs. */
  stopReading() {
    this.socket.pause()
  }

  close() {
    this.socket.destroy()
  }
}
