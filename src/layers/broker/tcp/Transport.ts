/**
 * A connection to a broker as frames: callbacks, no fiber and no Effect per frame.
 *
 * What is sent within one turn of the event loop goes out in one write. Reading pauses while whoever takes what comes is
 * behind. It ends once, with a problem in words, and tells nothing afterwards.
 */
import { connect as connectPlain, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import { frameBytesMax, silenceLooks } from "../../../protocol/Limits.ts"
import { FrameReader } from "../../../protocol/wire/FrameReader.ts"
import type { BrokerClientConfig } from "./Config.ts"
import { socketProblem, strangerProblem } from "./problems.ts"

export interface TransportListener {
  /** A frame's body lies in `bytes`, which may be kept. */
  readonly frame: (bytes: Uint8Array, start: number, end: number) => void
  /** All frames that came together were told. */
  readonly chunkEnd: () => void
  /** Nothing has come for a while: the other side may be asked for a sign of life. */
  readonly quiet: () => void
  readonly ended: (problem: string) => void
}

const openSocket = ({ host, port, tls }: BrokerClientConfig["Type"]): Socket => {
  if (tls === undefined) return connectPlain({ host, port, noDelay: true })
  const { ca, certificate: cert, key, servername = host } = tls
  const socket = connectTls({
    host,
    port,
    // An address is no name that may be asked for.
    ...(/^[\d.]+$|:/.test(servername) ? {} : { servername }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key })
  })
  return socket.setNoDelay(true)
}

export class Transport {
  private readonly socket: Socket
  private readonly reader = new FrameReader(frameBytesMax)
  private readonly at: string
  private corked = false
  private paused = false
  private hasEnded = false
  /** Something came since the last look, and the looks in a row for which nothing did. */
  private heard = true
  private quietLooks = 0
  private framesSeen = false

  constructor(
    private readonly config: BrokerClientConfig["Type"],
    private readonly listener: TransportListener
  ) {
    const { host, port, tls } = config
    this.at = `${host}:${port}`
    this.socket = openSocket(config)
    this.socket.on(tls === undefined ? "connect" : "secureConnect", () => {
      this.heard = true
    })
    this.socket.on("data", (chunk) => this.receive(chunk))
    this.socket.on("error", (error) => this.end(socketProblem(error, this.at, tls?.servername ?? host)))
    this.socket.on("close", () => this.end(this.closedProblem))
  }

  private get closedProblem(): string {
    const closed = `${this.at} has closed the connection`
    if (this.framesSeen) return closed
    // Neither can be said by a server that waits for a handshake, or checks a certificate after it.
    if (this.config.tls === undefined) return `${closed} at once; it may ask for TLS`
    return this.config.tls.certificate === undefined
      ? closed
      : `${closed} at once; it may not accept the client certificate`
  }

  send(frame: Uint8Array): void {
    if (this.hasEnded) return
    if (!this.corked) {
      this.corked = true
      this.socket.cork()
      setImmediate(() => {
        this.corked = false
        this.socket.uncork()
      })
    }
    this.socket.write(frame)
  }

  /** Reads no more until `resume`: what the broker still sends waits on its side. */
  pause(): void {
    this.paused = true
    this.socket.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.socket.resume()
  }

  /** Ends it in good order: what was sent still goes out, and nothing is told any more. */
  close(): void {
    if (this.hasEnded) return
    this.hasEnded = true
    const { socket } = this
    socket.removeAllListeners("data")
    socket.resume()
    socket.setTimeout(this.config.silenceMsMax, () => socket.destroy())
    socket.end(() => socket.destroy())
    socket.unref()
  }

  /** Ends it at once, and says so. */
  end(problem: string): void {
    if (this.hasEnded) return
    this.hasEnded = true
    this.socket.destroy()
    this.listener.ended(problem)
  }

  /** To be called `silenceLooks` times within the time after which a silent connection is taken for dead. */
  look(): void {
    if (this.hasEnded) return
    // Whoever doesn't read hears nothing.
    if (this.heard || this.paused) {
      this.heard = false
      this.quietLooks = 0
    } else if (++this.quietLooks < silenceLooks) this.listener.quiet()
    else {
      const seconds = this.config.silenceMsMax / 1000
      this.end(`nothing came from ${this.at} for ${seconds} s: the connection is taken for dead`)
    }
  }

  private receive(chunk: Uint8Array): void {
    this.heard = true
    const { reader, listener } = this
    const isFirst = !this.framesSeen
    if (isFirst && chunk.length >= 4 && (chunk[0]! > 0 || chunk[1]! > 0xa0)) {
      this.end(strangerProblem(chunk, this.at))
      return
    }
    reader.push(chunk)
    while (!this.hasEnded && reader.next()) {
      this.framesSeen = true
      listener.frame(reader.bytes, reader.start, reader.end)
    }
    if (reader.tooLong !== undefined) {
      this.end(`${this.at} sent a frame of ${reader.tooLong} bytes, longer than any may be`)
      return
    }
    if (!this.hasEnded) listener.chunkEnd()
  }
}
