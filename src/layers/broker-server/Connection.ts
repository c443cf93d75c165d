/**
 * One connection of the broker's server: it finds requests in what comes, stops reading while too many of their bytes are not
 * answered, and ends when its peer has and everything is answered.
 */
import type { Socket } from "node:net"
import { busyFrame, type ErrorFields, errorFrame } from "../../protocol/wire/Answers.ts"
import { FrameReader } from "../../protocol/wire/FrameReader.ts"
import { type WireErrorCode, wireErrors } from "../../protocol/wire/WireErrors.ts"
import { Outbox } from "./Outbox.ts"
import { Peer } from "./Peer.ts"
import { countError, type Surroundings } from "./Surroundings.ts"

/** What a connection may hold even where all of them together hold too much: what frees space is short. */
const guaranteedBytes = 64 * 1024
/**
 * Time that a peer has to take the last of what it was sent, and to close; and time without an answer after which nothing that
 * waits for the log is waited for any more, where the peer has left.
 */
const lingerMs = 2_000

export class Connection {
  readonly outbox: Outbox
  readonly peer: Peer

  private readonly reader = new FrameReader()
  private readonly openedMs = performance.now()
  private readMs = this.openedMs
  /** Bytes of requests that are not answered, and of what was not looked at. */
  private heldBytes = 0
  private readerBytes = 0
  /** What has to be done before the next request is looked at. */
  private blocks = 0
  private isPaused = false
  /** Nothing more comes from the peer: it has closed its side, or all of it, or the server ends. */
  private hasEnded = false
  private hasLeft = false
  private isClosed = false
  private isDone = false
  private isDraining = false
  /** When it last turned out that something goes on. */
  private progressMs = this.openedMs
  /** Since when nothing that comes is looked at any more. */
  private endingMs: number | undefined

  constructor(
    private readonly surroundings: Surroundings,
    readonly socket: Socket,
    /** The socket is closed, and nothing of it is under way any more. */
    private readonly onDone: () => void
  ) {
    const { counters } = surroundings
    this.outbox = new Outbox(
      socket,
      (bytes) => {
        counters.bytesWritten += bytes
      },
      (bytes) => {
        this.hold(bytes)
        if (bytes < 0) this.goOnSoon()
      }
    )
    this.peer = new Peer(surroundings, this)
    socket.on("data", (chunk: Buffer) => this.onData(chunk))
    socket.on("end", () => this.leave())
    socket.on("error", () => {})
    socket.on("close", () => {
      this.isClosed = true
      this.leave()
    })
  }

  get remote(): string {
    return this.socket.remoteAddress ?? "a connection"
  }

  get isGone(): boolean {
    return this.socket.destroyed
  }

  /** Takes bytes out of the budget until they are released. */
  hold(bytes: number): void {
    if (this.isDone) return
    this.heldBytes += bytes
    this.surroundings.counters.pendingBytes += bytes
  }

  release(bytes: number): void {
    this.hold(-bytes)
    this.progressMs = performance.now()
    this.goOnSoon()
  }

  /** Looks at no further request until that many blocks are taken back. */
  block(): void {
    this.blocks++
  }

  unblock(): void {
    this.blocks--
    this.goOnSoon()
  }

  /** Ends the connection for a reason that its peer is told, ahead of answers that are not known yet. */
  fail(code: WireErrorCode, fields: ErrorFields = {}): void {
    if (this.endingMs !== undefined) return
    countError(this.surroundings.counters, code)
    this.outbox.sendNow(errorFrame(undefined, code, wireErrors[code], fields))
    this.end()
  }

  /** The server ends: no further request is looked at, and the connection ends when those that were are answered. */
  drain(): void {
    this.isDraining = true
    this.stopReading()
  }

  /** Looks after what only time tells. */
  sweep(nowMs: number): void {
    const { config, counters } = this.surroundings
    const silentMs = nowMs - this.readMs
    if (this.endingMs !== undefined) {
      if (nowMs - this.endingMs > lingerMs) this.socket.destroy()
    } else if (this.hasLeft && nowMs - this.progressMs > lingerMs) {
      if (!this.isGone) this.fail("unavailable", { problem: "the peer has left what has no room yet" })
      this.peer.abandon()
    } else if (!this.peer.isAuthorized && nowMs - this.openedMs > config.helloTimeoutMs) {
      this.fail("unauthorized")
    } else if (
      this.socket.writableLength > 0 &&
      Math.min(silentMs, nowMs - this.outbox.progressMs) > config.writeStallTimeoutMs
    ) {
      countError(counters, "write_stalled")
      this.socket.destroy()
    } else if (!this.peer.hasSubscriptions && !this.hasWork && silentMs > config.idleTimeoutMs) {
      this.fail("idle")
    } else if (this.isPaused && this.peer.saidHello && this.outbox.hasPending) {
      // Its pings are not read.
      this.outbox.sendNow(busyFrame)
    }
    // What all connections share may have become free.
    if (this.isPaused) this.goOnSoon()
  }

  /** Bytes of part of a frame, where nothing else is under way: only its sender can free them. */
  get strandedBytes(): number {
    return this.hasWork || this.endingMs !== undefined ? 0 : this.readerBytes
  }

  private get hasWork(): boolean {
    return this.blocks > 0 || !this.peer.isDone
  }

  /** Whether another request may be looked at. */
  private get mayTake(): boolean {
    return this.blocks === 0 && this.endingMs === undefined && !this.isDraining
  }

  private onData(chunk: Buffer): void {
    this.surroundings.counters.bytesRead += chunk.length
    this.readMs = performance.now()
    if (this.endingMs !== undefined) return
    this.reader.push(chunk)
    this.pump()
  }

  /** Takes as many requests as there are and as may be under way. */
  private pump(): void {
    const { reader, peer, outbox } = this
    while (this.mayTake && !this.isOverBudget() && reader.next()) {
      peer.take(reader.bytes, reader.start, reader.end)
    }
    const isThrough = this.mayTake && !this.isOverBudget()
    peer.flush()
    outbox.flush()
    if (this.hasLeft && isThrough) peer.leave()
    if (reader.tooLong !== undefined && this.mayTake) this.refuseLength(reader.tooLong)
    this.measure()
    this.endWhenDone()
  }

  /** The stream can't be followed: that is told behind the answers to what came before. */
  private refuseLength(bytes: number): void {
    countError(this.surroundings.counters, "frame_too_long")
    const slot = this.outbox.reserve()
    this.block()
    slot.onSent = () => setImmediate(() => this.end())
    const text = errorFrame(undefined, "frame_too_long", wireErrors.frame_too_long, {
      problem: `${bytes} bytes`
    })
    this.outbox.settle(slot, text)
    this.outbox.flush()
  }

  private isOverBudget(): boolean {
    const { config, counters } = this.surroundings
    const mine = this.heldBytes + this.outbox.unsentBytes
    return (
      mine >= config.pendingBytesPerConnectionMax ||
      (counters.pendingBytes >= config.pendingBytesMax && mine + this.readerBytes >= guaranteedBytes)
    )
  }

  /** Notes what the reader holds, and stops or goes on with reading. */
  private measure(): void {
    const bytes = this.endingMs === undefined ? this.reader.pendingBytes : 0
    this.surroundings.counters.pendingBytes += bytes - this.readerBytes
    this.readerBytes = bytes
    const pauses = this.endingMs === undefined && (!this.mayTake || this.isOverBudget())
    if (pauses === this.isPaused) return
    this.isPaused = pauses
    if (pauses) this.socket.pause()
    else this.socket.resume()
  }

  /** Whoever asks for it may be in the midst of something. */
  private goOnSoon(): void {
    if (this.isPaused || this.hasEnded) setImmediate(() => this.pump())
  }

  /** The peer sends nothing more; perhaps it is gone altogether, which only writing to it tells. */
  private leave(): void {
    this.hasLeft = true
    this.progressMs = performance.now()
    this.stopReading()
  }

  private stopReading(): void {
    this.hasEnded = true
    this.pump()
  }

  private end(): void {
    if (this.endingMs !== undefined) return
    this.endingMs = performance.now()
    this.outbox.flush()
    this.socket.end()
    // What still comes is thrown away: a socket that is closed with something unread takes back what it sent.
    this.measure()
    this.socket.resume()
    this.endWhenDone()
  }

  private endWhenDone(): void {
    if (this.hasEnded && this.endingMs === undefined && !this.hasWork) this.end()
    if (!this.isClosed || this.endingMs === undefined || this.isDone) return
    // What a failed broker has not answered is answered no more.
    this.hold(-this.heldBytes)
    this.isDone = true
    this.peer.abandon()
    this.onDone()
  }
}
