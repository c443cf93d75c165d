/** The broker's server on TCP, with TLS or without, on node:net itself: a stream of Effect's would read without bound. */
import { readFile } from "node:fs/promises"
import { createServer, type Server, type Socket } from "node:net"
import { createServer as createTlsServer, type TlsOptions } from "node:tls"
import { Effect, Layer, Runtime, Scope } from "effect"
import { errorFrame } from "../../protocol/wire/Answers.ts"
import { wireErrors } from "../../protocol/wire/WireErrors.ts"
import { Broker } from "../Broker.ts"
import { BrokerServer, BrokerServerConfig, BrokerServerFailed, type TlsSettings } from "../BrokerServer.ts"
import { Rejects } from "../Rejects.ts"
import { Connection } from "./Connection.ts"
import * as RangeCache from "./RangeCache.ts"
import { type Counters, countError, type Surroundings } from "./Surroundings.ts"

/** Messages that are kept as they are sent, for subscribers that read the same. */
const sharedRangeBytesMax = 16 * 1024 * 1024
/** Between two looks at what only time tells; less where a timeout is short. */
const sweepIntervalMsMax = 1_000
/** Silence after which the operating system asks whether the other side is still there. */
const keepAliveMs = 30_000
/** Output that is buffered before a subscription waits for its peer to take it. */
const outputBytesMax = 256 * 1024

const listenProblems: Record<string, string> = {
  EADDRINUSE: "the port is in use",
  EACCES: "the port needs more rights",
  EADDRNOTAVAIL: "the host is not an address of this machine",
  ENOTFOUND: "the host is not known"
}

const failed = (problem: string) => (cause: unknown) => new BrokerServerFailed({ problem, cause })

const readPem = (path: string): Effect.Effect<Buffer, BrokerServerFailed> =>
  Effect.tryPromise({ try: () => readFile(path), catch: failed(`can't read ${path}`) })

const tlsOptions = ({
  certPath,
  keyPath,
  clientCaPath
}: TlsSettings): Effect.Effect<TlsOptions, BrokerServerFailed> =>
  Effect.map(
    Effect.all([
      readPem(certPath),
      readPem(keyPath),
      clientCaPath === undefined ? Effect.succeed(undefined) : readPem(clientCaPath)
    ]),
    ([cert, key, ca]): TlsOptions => ({
      cert,
      key,
      ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true })
    })
  )

const newCounters = (): Counters => ({
  pendingBytes: 0,
  accepted: 0,
  bytesRead: 0,
  bytesWritten: 0,
  framesRead: 0,
  subscriptions: 0,
  errors: {}
})

/** The connections of a server. */
class Connections {
  readonly open = new Set<Connection>()
  /** Sockets, also of those that are not heard yet. */
  private sockets = new Set<Socket>()
  private onEmpty: (() => void) | undefined

  constructor(private readonly surroundings: Surroundings) {}

  /** A socket has come in, perhaps with a handshake ahead; false where there are too many. */
  admit(socket: Socket): boolean {
    if (this.sockets.size >= this.surroundings.config.connectionsMax) return false
    this.sockets.add(socket)
    socket.on("close", () => this.sockets.delete(socket))
    return true
  }

  serve(socket: Socket): void {
    this.surroundings.counters.accepted++
    socket.setNoDelay(true)
    socket.setKeepAlive(true, keepAliveMs)
    const connection: Connection = new Connection(this.surroundings, socket, () => {
      if (!this.open.delete(connection)) return
      this.surroundings.run(connection.peer.close, () => {})
      if (this.open.size === 0) this.onEmpty?.()
    })
    this.open.add(connection)
  }

  sweep(): void {
    const { counters, config } = this.surroundings
    const nowMs = performance.now()
    for (const connection of this.open) connection.sweep(nowMs)
    if (counters.pendingBytes < config.pendingBytesMax) return
    // Parts of frames whose rest does not come keep others from sending theirs: the largest goes.
    let largest: Connection | undefined
    for (const connection of this.open) {
      if (connection.strandedBytes > (largest?.strandedBytes ?? 0)) largest = connection
    }
    largest?.fail("too_many_pending_bytes")
  }

  /** Ends all of them when they are answered, or after a time. */
  readonly drain = Effect.async<void>((resume) => {
    const { drainTimeoutMs } = this.surroundings.config
    const deadline = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy()
      done()
    }, drainTimeoutMs)
    const done = () => {
      clearTimeout(deadline)
      this.onEmpty = undefined
      for (const socket of this.sockets) socket.destroy()
      resume(Effect.void)
    }
    this.onEmpty = done
    for (const connection of this.open) connection.drain()
    if (this.open.size === 0) done()
  })
}

const listen = (server: Server, host: string, port: number): Effect.Effect<number, BrokerServerFailed> =>
  Effect.async((resume) => {
    const onError = (cause: NodeJS.ErrnoException) => {
      const problem = listenProblems[cause.code ?? ""] ?? cause.message
      resume(Effect.fail(failed(`can't listen on ${host}:${port}: ${problem}`)(cause)))
    }
    server.once("error", onError)
    server.listen(port, host, () => {
      server.off("error", onError)
      // Accepting one connection may fail (too many open files); the others go on.
      server.on("error", () => {})
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
    })
  })

const make = Effect.gen(function* () {
  const config = yield* BrokerServerConfig
  const runtime = yield* Effect.runtime()
  const scope = yield* Effect.scope
  const counters = newCounters()
  const interrupts = new Set<() => void>()
  const runCallback = Runtime.runCallback(runtime)
  const surroundings: Surroundings = {
    broker: yield* Broker,
    rejects: yield* Rejects,
    config,
    counters,
    ranges: RangeCache.make(sharedRangeBytesMax),
    makeScope: () => Effect.runSync(Scope.make()),
    run: (effect, onExit) => {
      // It may end before it is known how to interrupt it.
      let interrupt: (() => void) | undefined
      let hasEnded = false
      interrupt = runCallback(effect, {
        onExit: (exit) => {
          hasEnded = true
          if (interrupt !== undefined) interrupts.delete(interrupt)
          onExit(exit)
        }
      })
      if (!hasEnded) interrupts.add(interrupt)
      return interrupt
    }
  }
  const connections = new Connections(surroundings)
  const options = { allowHalfOpen: true, highWaterMark: outputBytesMax }
  const serve = (socket: Socket) => connections.serve(socket)
  const tls = config.tls === undefined ? undefined : yield* tlsOptions(config.tls)
  const server = yield* Effect.try({
    try: () =>
      tls === undefined
        ? createServer(options)
        : createTlsServer({ ...tls, ...options, handshakeTimeout: config.helloTimeoutMs }, serve),
    catch: failed("the certificate or its key can't be used")
  })
  server.on("connection", (socket: Socket) => {
    if (connections.admit(socket)) {
      if (tls === undefined) serve(socket)
      return
    }
    countError(counters, "too_many_connections")
    socket.on("error", () => {})
    if (tls === undefined) {
      socket.end(errorFrame(undefined, "too_many_connections", wireErrors.too_many_connections), "latin1")
    }
    socket.destroySoon()
  })
  const port = yield* listen(server, config.host, config.port)
  const sweepMs = Math.min(
    sweepIntervalMsMax,
    ...[config.helloTimeoutMs, config.idleTimeoutMs, config.writeStallTimeoutMs].map((ms) =>
      Math.max(5, ms / 4)
    )
  )
  const sweeper = setInterval(() => connections.sweep(), sweepMs)
  yield* Scope.addFinalizer(
    scope,
    Effect.gen(function* () {
      server.close()
      yield* connections.drain
      clearInterval(sweeper)
      for (const interrupt of interrupts) interrupt()
      yield* Effect.forEach(connections.open, (connection) => connection.peer.close, { discard: true })
    })
  )
  return BrokerServer.of({
    address: { host: config.host, port },
    figures: Effect.sync(() => ({
      ...counters,
      errors: { ...counters.errors },
      connections: connections.open.size
    }))
  })
})

/** Serves a broker until its scope closes; then answers under way go out, and connections end. */
export const layerTcpServer: Layer.Layer<
  BrokerServer,
  BrokerServerFailed,
  Broker | BrokerServerConfig | Rejects
> = Layer.scoped(BrokerServer, make)
