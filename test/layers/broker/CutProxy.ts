/**
 * A proxy before a TCP server that fails as networks do: connections that are reset after so many bytes, that swallow what
 * is sent, or that are refused.
 */
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"

/** What becomes of a connection. */
export interface Fate {
  /** Bytes that go through before it is reset; without a limit where absent. */
  readonly toServerMax?: number
  readonly toClientMax?: number
  /** Behind these bytes nothing goes through any more, and nobody is told. */
  readonly swallowsAfter?: boolean
}

export class CutProxy {
  /** What becomes of the connections from now on, in their order; those behind the last go through. */
  readonly fates: Array<Fate> = []
  /** Connections that were accepted, and the bytes that went through all of them. */
  accepted = 0
  bytesToServer = 0
  bytesToClient = 0
  private readonly pairs = new Set<readonly [Socket, Socket]>()
  private constructor(
    private readonly server: Server,
    private target: number
  ) {}

  static async start(target: number): Promise<CutProxy> {
    const server = createServer()
    const proxy = new CutProxy(server, target)
    server.on("connection", (client) => proxy.accept(client))
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    return proxy
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Where connections go from now on. */
  redirect(target: number): void {
    this.target = target
  }

  /** Resets all connections that are open. */
  resetAll(): void {
    for (const [client, server] of this.pairs) reset(client, server)
  }

  /** From now on nothing goes through those that are open, and nobody is told. */
  swallowAll(): void {
    for (const [client, server] of this.pairs) {
      for (const socket of [client, server]) {
        socket.removeAllListeners("data")
        socket.on("data", () => {})
      }
    }
  }

  async close(): Promise<void> {
    this.resetAll()
    this.server.close()
    await once(this.server, "close")
  }

  private accept(client: Socket): void {
    this.accepted++
    const { toServerMax = Infinity, toClientMax = Infinity, swallowsAfter = false } = this.fates.shift() ?? {}
    const server = connect({ port: this.target, host: "127.0.0.1", noDelay: true })
    client.setNoDelay(true)
    const pair = [client, server] as const
    this.pairs.add(pair)
    const pass = (from: Socket, to: Socket, bytesMax: number, count: (bytes: number) => void) => {
      let left = bytesMax
      from.on("data", (chunk) => {
        const passed = chunk.subarray(0, Math.min(left, chunk.length))
        left -= passed.length
        count(passed.length)
        if (passed.length > 0) to.write(passed)
        if (left > 0 || passed.length === chunk.length || swallowsAfter) return
        // What went through before arrives.
        to.end(() => reset(client, server))
      })
    }
    pass(client, server, toServerMax, (bytes) => {
      this.bytesToServer += bytes
    })
    pass(server, client, toClientMax, (bytes) => {
      this.bytesToClient += bytes
    })
    for (const [own, other] of [pair, [server, client] as const]) {
      own.on("error", () => reset(client, server))
      own.on("end", () => other.end())
      own.on("close", () => {
        this.pairs.delete(pair)
        if (!swallowsAfter) other.destroy()
      })
    }
  }
}

const reset = (...sockets: ReadonlyArray<Socket>): void => {
  for (const socket of sockets) socket.resetAndDestroy()
}
