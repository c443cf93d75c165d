/**
 * A proxy before a server that fails as networks and servers fail: what becomes of each request is decided by the test.
 *
 * It waits for nothing: what hangs, hangs until the client gives up or the proxy is closed.
 */
import {
  createServer,
  type IncomingMessage,
  request as openRequest,
  type Server,
  type ServerResponse
} from "node:http"
import type { AddressInfo, Socket } from "node:net"

export type Fault =
  /** The connection is reset before anything has arrived at the server. */
  | { readonly type: "reset" }
  /** The server is not asked, and nobody answers. */
  | { readonly type: "hang" }
  /** The server has done it, and nobody answers. */
  | { readonly type: "hangAnswer" }
  /** The server has done it, and the connection is reset before it says so. */
  | { readonly type: "loseAnswer" }
  /** The server gets so many bytes of the body, then the connection breaks. */
  | { readonly type: "cutRequest"; readonly bytes: number }
  /** The client gets so many bytes of the answer, its head included, then the connection breaks. */
  | { readonly type: "cutAnswer"; readonly bytes: number }
  /** This is answered, and the server is not asked. */
  | {
      readonly type: "answer"
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
    }

/** A request as a test chooses among them. */
export interface Asked {
  readonly method: string
  readonly path: string
}

/** What becomes of a request; `undefined` goes through. */
export type Plan = (asked: Asked) => Fault | undefined

interface Answer {
  readonly status: number
  readonly headers: ReadonlyArray<readonly [string, string]>
  readonly body: Buffer
}

const bodyOf = async (message: IncomingMessage): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

export class FaultProxy {
  /** What becomes of the requests from now on. */
  plan: Plan = () => undefined
  /** Called when the server has done what nobody will be told of. */
  afterwards: () => void = () => {}
  /** Goes to the server instead of the client's own token, where set. */
  token: string | undefined
  /** Requests that arrived. */
  readonly asked: Array<Asked> = []
  private readonly sockets = new Set<Socket>()
  private server: Server
  private port = 0

  private constructor(private readonly target: URL) {
    this.server = this.makeServer()
  }

  static async start(targetUrl: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(new URL(targetUrl))
    await proxy.accept()
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Refuses connections from now on, and breaks those that are open. */
  async refuse(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve))
    for (const socket of this.sockets) socket.destroy()
    await closed
  }

  /** Accepts connections again, at the same port. */
  async accept(): Promise<void> {
    this.server = this.makeServer()
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject).listen(this.port, "127.0.0.1", resolve)
    })
    this.port = (this.server.address() as AddressInfo).port
  }

  private makeServer(): Server {
    return createServer((message, response) => {
      // A client that breaks off ends its request, and nothing else.
      this.handle(message, response).catch(() => message.socket.destroy())
    }).on("connection", (socket: Socket) => {
      this.sockets.add(socket)
      socket.once("close", () => this.sockets.delete(socket))
    })
  }

  private async handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = { method: message.method ?? "", path: message.url ?? "" }
    this.asked.push(asked)
    const fault = this.plan(asked)
    const { socket } = message
    if (fault?.type === "reset") {
      socket.resetAndDestroy()
      return
    }
    const body = await bodyOf(message)
    switch (fault?.type) {
      case "hang":
        return
      case "answer":
        response.writeHead(fault.status, fault.headers).end(fault.body)
        return
      case "cutRequest":
        await this.forwardPart(message, body, fault.bytes)
        socket.resetAndDestroy()
        return
    }
    const answer = await this.forward(message, body)
    switch (fault?.type) {
      case "hangAnswer":
        this.afterwards()
        return
      case "loseAnswer":
        this.afterwards()
        socket.resetAndDestroy()
        return
      case "cutAnswer": {
        const head = answer.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")
        const text = `HTTP/1.1 ${answer.status} \r\n${head}\r\n`
        const bytes = Buffer.concat([Buffer.from(text), answer.body]).subarray(0, fault.bytes)
        socket.write(bytes, () => socket.destroy())
        return
      }
      default:
        response.writeHead(answer.status, answer.headers.flat()).end(answer.body)
    }
  }

  private open({ method, url, headers }: IncomingMessage) {
    return openRequest({
      host: this.target.hostname,
      port: this.target.port,
      method,
      path: url,
      // A connection for each, so that one that is cut has nothing to do with others.
      agent: false,
      headers: {
        ...headers,
        ...(this.token === undefined ? {} : { authorization: `Token ${this.token}` })
      }
    })
  }

  private forward(message: IncomingMessage, body: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = this.open(message)
      outgoing.once("error", reject).once("response", (incoming) => {
        const headers: Array<readonly [string, string]> = []
        for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
          const name = incoming.rawHeaders[i]!
          // The whole answer is at hand: it has a length and is in one piece.
          if (!/^(transfer-encoding|connection|content-length)$/i.test(name)) {
            headers.push([name, incoming.rawHeaders[i + 1]!])
          }
        }
        bodyOf(incoming).then((content) => {
          const status = incoming.statusCode ?? 0
          if (status !== 204) headers.push(["content-length", String(content.length)])
          resolve({ status, headers, body: content })
        }, reject)
      })
      outgoing.end(body)
    })
  }

  /** Resolves when the server has a part of the body and an end of the connection. */
  private forwardPart(message: IncomingMessage, body: Buffer, bytes: number): Promise<void> {
    return new Promise((resolve) => {
      const outgoing = this.open(message)
      outgoing.once("error", () => resolve()).once("close", () => resolve())
      const part = body.subarray(0, Math.min(bytes, body.length - 1))
      outgoing.write(part, () => outgoing.destroy())
    })
  }
}
