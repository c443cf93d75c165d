/**
 * A node:http server in a scope: typed failure to listen, timeouts against clients that send or read too slowly, and an
 * end that waits for answers under way, but not for ever.
 *
 * Platform's own server waits on close for as long as any client stays, and offers no place in front of the router.
 */
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { Effect, Schema, type Scope } from "effect"

/** The address can't be listened on. */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  host: Schema.String,
  port: Schema.Number,
  /** What is wrong with it, as a clause: `the port is in use`. */
  problem: Schema.String,
  cause: Schema.Defect
}) {
  override get message(): string {
    return `cannot listen on ${this.host}:${this.port}: ${this.problem}`
  }
}

export interface ListenOptions {
  /** Address to listen on. */
  readonly host: string
  /** Port to listen on; 0 takes a free one. */
  readonly port: number
  /** How long a client may take to send a request, and to send the next on a connection it keeps. */
  readonly readTimeoutMs: number
  /** How long nothing may flow on a connection while an answer is under way. */
  readonly writeTimeoutMs: number
  /** How long answers under way may take to end when the server stops. */
  readonly drainTimeoutMs: number
}

/** All but the port, which no two servers of a machine can share. */
export const listenDefaults: Omit<ListenOptions, "port"> = {
  host: "127.0.0.1",
  readTimeoutMs: 10_000,
  writeTimeoutMs: 10_000,
  drainTimeoutMs: 5_000
}

/** Where a server listens. */
export interface Listening {
  readonly host: string
  readonly port: number
  /** A URL under which this machine reaches it, without a slash at its end. */
  readonly url: string
}

const listenProblems: Record<string, string> = {
  EADDRINUSE: "the port is in use",
  EACCES: "permission denied",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "no such host"
}

const problemOf = (error: NodeJS.ErrnoException): string =>
  listenProblems[error.code ?? ""] ?? error.code ?? error.message

/** How often connections that went idle are looked for while the server ends. */
const idleCheckIntervalMs = 25

/**
 * Serves until the scope closes. Then nothing new is accepted, answers under way may end within `drainTimeoutMs`, and what
 * is left is cut off.
 */
export const listen = (
  handler: RequestListener,
  options: ListenOptions
): Effect.Effect<Listening, ListenError, Scope.Scope> =>
  Effect.acquireRelease(open(handler, options), (server) => drain(server, options.drainTimeoutMs)).pipe(
    Effect.map((server) => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : options.port
      return { host: options.host, port, url: `http://${reachableHost(options.host)}:${port}` }
    })
  )

const reachableHost = (host: string): string =>
  host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host

const open = (handler: RequestListener, options: ListenOptions): Effect.Effect<Server, ListenError> =>
  Effect.async((resume) => {
    /** The answers under way, by the connection that they are for. */
    const answering = new WeakMap<Socket, ServerResponse>()
    const server = createServer(
      {
        // Of the headers too.
        requestTimeout: options.readTimeoutMs,
        keepAliveTimeout: options.readTimeoutMs,
        // Node looks for late requests only this often.
        connectionsCheckingInterval: Math.min(1_000, Math.max(1, options.readTimeoutMs / 4))
      },
      (request, response) => {
        answering.set(request.socket, response)
        handler(request, response)
      }
    )
    // Counts from the last byte in either direction.
    server.setTimeout(options.writeTimeoutMs, (socket: Socket) => {
      const response = answering.get(socket)
      if (response === undefined || response.headersSent || response.writableEnded) {
        socket.destroy()
        return
      }
      giveUp(response, options.writeTimeoutMs)
      // A client that does not take even that is cut off after as long again.
      socket.setTimeout(options.writeTimeoutMs)
    })
    server.on("clientError", refuse)
    const onError = (cause: NodeJS.ErrnoException) => {
      const { host, port } = options
      resume(Effect.fail(new ListenError({ host, port, problem: problemOf(cause), cause })))
    }
    server.once("error", onError)
    server.listen(options.port, options.host, () => {
      server.off("error", onError)
      resume(Effect.succeed(server))
    })
  })

const drain = (server: Server, drainTimeoutMs: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    const deadline = setTimeout(() => server.closeAllConnections(), drainTimeoutMs)
    // A connection whose answer ended meanwhile is kept alive by node, and would hold the server open.
    const idleCheck = setInterval(() => server.closeIdleConnections(), idleCheckIntervalMs)
    server.close(() => {
      clearTimeout(deadline)
      clearInterval(idleCheck)
      resume(Effect.void)
    })
  })

const problem = (status: number, title: string, error: string, detail = title): string =>
  JSON.stringify({ type: "about:blank", title, status, detail, error, message: detail })

/** Answers a client that has waited for as long as it may, instead of leaving it without a word. */
const giveUp = (response: ServerResponse, waitedMs: number): void => {
  const body = problem(503, "Service Unavailable", "unavailable", `no answer was found within ${waitedMs} ms`)
  response.writeHead(503, {
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(body),
    connection: "close"
  })
  response.end(body)
}

/** Answers what node could not read as a request. */
const refuse = (error: NodeJS.ErrnoException, socket: Socket & { bytesWritten: number }): void => {
  // Behind an answer that has begun, more bytes would be taken for a part of it.
  if (error.code === "ECONNRESET" || !socket.writable || socket.bytesWritten > 0) {
    socket.destroy()
    return
  }
  const [status, title] =
    error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? ([408, "Request Timeout"] as const)
      : error.code === "HPE_HEADER_OVERFLOW"
        ? ([431, "Request Header Fields Too Large"] as const)
        : ([400, "Bad Request"] as const)
  const body = problem(status, title, "bad_request")
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
  )
}
