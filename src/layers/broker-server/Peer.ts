/**
 * What the peer of a connection asks, in order. Publishes and acks are started as they come. What changes the connection
 * itself (hello, subscribe, unsubscribe) holds up the requests behind it until it is done.
 */
import { createHash, timingSafeEqual } from "node:crypto"
import { Cause, Effect, Exit, Option, Scope } from "effect"
import { type ProducerId, type SourcePosition, sequenceOf } from "../../protocol/Log.ts"
import { busyFrame, errorFrame, responseFrame } from "../../protocol/wire/Answers.ts"
import { decodePublish, encodeRefused, isBinary } from "../../protocol/wire/BinaryFrames.ts"
import { readUint32 } from "../../protocol/wire/FrameReader.ts"
import { latin1Of } from "../../protocol/wire/Members.ts"
import { decodeRequest } from "../../protocol/wire/RequestDecoder.ts"
import type { HelloRequest, PublishRequest, Request } from "../../protocol/wire/Requests.ts"
import { type WireErrorCode, wireErrors } from "../../protocol/wire/WireErrors.ts"
import type { BrokerUnavailable, PublishNumbered } from "../Broker.ts"
import { Acknowledger } from "./Acknowledger.ts"
import type { Connection } from "./Connection.ts"
import { answer, type Controlled } from "./controlling.ts"
import type { Slot } from "./Outbox.ts"
import { Publisher } from "./Publisher.ts"
import type { Subscriber } from "./Subscriber.ts"
import { countError, type Surroundings } from "./Surroundings.ts"

/** What a request takes of the budget beside its bytes. */
const requestOverheadBytes = 128
/** For how long a subscribe waits for the publishes before it: they may wait for room that it is to make. */
const publishWaitMs = 1_000
/** What is kept of a frame that is no request. */
const rejectedBytesMax = 1_024

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest()

export class Peer {
  readonly subscribers = new Map<string, Subscriber>()
  /** Ids that others took over from this connection. */
  readonly lost = new Set<string>()
  readonly scope: Scope.CloseableScope
  hello: HelloRequest | undefined
  /** How the producer of the hello publishes. */
  helloSession: PublishNumbered | undefined
  subscriptionsOpened = 0

  private readonly publisher: Publisher
  private readonly acknowledger: Acknowledger
  /** Producers that did not say hello, once they have a session. */
  private readonly joined = new Map<string, PublishNumbered | undefined>()
  private framesTaken = 0
  /** Bytes that were taken since the last flush. */
  private takenBytes = 0
  private underWay = 0
  private isAbandoned = false

  constructor(
    readonly surroundings: Surroundings,
    readonly connection: Connection
  ) {
    this.scope = surroundings.makeScope()
    const shared = {
      surroundings,
      outbox: connection.outbox,
      onAnswered: (bytes: number) => connection.release(bytes),
      onUnavailable: (problem: string) => connection.fail("unavailable", { problem })
    }
    this.publisher = new Publisher({
      ...shared,
      session: (producerId) => this.session(producerId),
      // Nothing that frees space may wait behind what needs it; and for a peer that is gone nothing waits.
      whenFull: () => (this.hasSubscriptions || this.isAbandoned || connection.isGone ? "refuse" : "wait")
    })
    this.acknowledger = new Acknowledger({ ...shared, subscribers: this.subscribers, lost: this.lost })
  }

  get hasSubscriptions(): boolean {
    return this.subscribers.size > 0
  }

  get saidHello(): boolean {
    return this.hello !== undefined
  }

  /** Whether it has shown a token, where one is needed. */
  get isAuthorized(): boolean {
    return this.surroundings.config.token === undefined || this.saidHello
  }

  /** Whether everything that was taken is answered. */
  get isDone(): boolean {
    return this.underWay === 0 && this.publisher.isDone && this.acknowledger.isDone
  }

  /** Ends its subscriptions and its sessions. */
  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    Effect.zipRight(this.closeSubscriptions, Scope.close(this.scope, Exit.void))
  )

  private readonly closeSubscriptions: Effect.Effect<void> = Effect.suspend(() => {
    this.surroundings.counters.subscriptions -= this.subscribers.size
    const subscribers = [...this.subscribers.values()]
    this.subscribers.clear()
    return Effect.forEach(subscribers, ({ close }) => close, { discard: true })
  })

  /**
   * It asks nothing more. Its subscriptions end as soon as its acks are answered: whoever is not there must not hold the log
   * back, least of all for a publish of its own that waits for room.
   */
  leave(): void {
    if (!this.hasSubscriptions || this.underWay > 0 || !this.acknowledger.isDone) return
    this.surroundings.run(this.closeSubscriptions, () => {})
  }

  /** Nothing that it published and that is not in the log yet is waited for any more. */
  abandon(): void {
    this.isAbandoned = true
    this.publisher.abandon()
  }

  /** Begins what was taken. */
  flush(): void {
    this.publisher.flush(this.takenBytes)
    this.takenBytes = 0
    this.acknowledger.flush()
  }

  take(bytes: Uint8Array, start: number, end: number): void {
    this.framesTaken++
    this.takenBytes += end - start
    this.surroundings.counters.framesRead++
    const held = end - start + requestOverheadBytes
    if (isBinary(bytes, start, end)) {
      this.takeBinary(bytes, start, end, held)
      return
    }
    const request = decodeRequest(bytes, start, end)
    if (request.type === "malformed") {
      const { correlation, code, error } = request
      if (this.isAuthorized)
        this.reject(error, bytes.subarray(start, Math.min(end, start + rejectedBytesMax)))
      this.refuse(correlation, code, error)
    } else if (!this.isAuthorized && request.type !== "hello") {
      this.refuse(request.correlation, "unauthorized")
    } else this.serve(request, held)
  }

  /** Sends an error that answers no request, and goes on. */
  tell(code: WireErrorCode, error: string, subscriberId: string): void {
    countError(this.surroundings.counters, code)
    this.connection.outbox.sendNow(errorFrame(undefined, code, error, { subscriber_id: subscriberId }))
  }

  private serve(request: Request, held: number): void {
    const { connection } = this
    const { outbox } = connection
    switch (request.type) {
      case "publish":
        this.publish(request, held)
        return
      case "ack":
        connection.hold(held)
        this.acknowledger.ack(request, held)
        return
      case "nack":
        connection.hold(held)
        this.acknowledger.nack(request, held)
        return
      case "ping": {
        const isWaiting = outbox.hasPending
        const slot = outbox.reserve()
        // Told at once that the connection lives, where the answer has to wait its turn.
        if (isWaiting && this.saidHello) outbox.sendNow(busyFrame)
        connection.hold(held)
        slot.onSent = () => connection.release(held)
        outbox.settle(slot, responseFrame(request.correlation))
        return
      }
      case "hello":
        if (this.framesTaken > 1) this.refuse(request.correlation, "late_hello")
        else if (!this.isToken(request.token)) connection.fail("unauthorized")
        else {
          this.hello = request
          this.start(request, held)
        }
        return
      default:
        this.start(request, held)
    }
  }

  /**
   * Starts what one effect answers, once the acks before it are answered. But for what only looks, or commits, it holds up
   * what comes behind it.
   */
  private start(request: Controlled, held: number): void {
    const { connection } = this
    const slot = connection.outbox.reserve()
    const holdsUp = request.type !== "get_stats" && request.type !== "commit"
    if (holdsUp) connection.block()
    connection.hold(held)
    this.underWay++
    this.flush()
    this.acknowledger.whenAnswered(() => {
      const begin = () => this.control(request, slot, held, holdsUp)
      // It starts behind what was published before it.
      if (request.type === "subscribe") this.publisher.whenAnswered(begin, publishWaitMs)
      else begin()
    })
  }

  private control(request: Controlled, slot: Slot, held: number, holdsUp: boolean): void {
    const { connection, surroundings } = this
    const { outbox } = connection
    // Nothing is taken over for a peer that is gone.
    const isVoid = request.type === "subscribe" && connection.isGone
    surroundings.run(isVoid ? Effect.succeed("") : answer(this, request, slot), (exit) => {
      this.underWay--
      if (Exit.isSuccess(exit)) outbox.settle(slot, exit.value)
      else {
        const problem =
          Option.getOrUndefined(Cause.failureOption(exit.cause))?.problem ?? "it failed to answer"
        connection.fail("unavailable", { problem })
      }
      outbox.flush()
      if (holdsUp) connection.unblock()
      connection.release(held)
    })
  }

  private publish(request: PublishRequest, held: number): void {
    const { correlation, payload, sequence, position } = request
    const producerId = request.producerId ?? (sequence === undefined ? undefined : this.hello?.producerId)
    if (sequence !== undefined && producerId === undefined) {
      this.refuse(correlation, "bad_request", "sequence without producer_id")
      return
    }
    if (producerId !== undefined && !this.admits(producerId)) {
      this.refuse(correlation, "too_many_producers")
      return
    }
    this.connection.hold(held)
    this.publisher.add(
      payload,
      (position ?? null) as SourcePosition | null,
      (producerId ?? null) as ProducerId | null,
      sequence === undefined ? null : sequenceOf(sequence),
      correlation,
      held
    )
  }

  private takeBinary(bytes: Uint8Array, start: number, end: number, held: number): void {
    if (this.hello?.binary !== true) {
      this.refuse("", this.isAuthorized ? "not_negotiated" : "unauthorized")
      return
    }
    const request = decodePublish(bytes, start, end)
    if (typeof request === "string") {
      this.reject(request, bytes.subarray(start, Math.min(end, start + rejectedBytesMax)))
      // Behind a frame that can't be read there may be others that build on it.
      this.refuseBinary(end - start >= 5 ? readUint32(bytes, start + 1) : 0, request)
      return
    }
    const { correlation, firstSequence, payloads, positions } = request
    const producerId = this.hello.producerId
    if (firstSequence !== null && producerId === undefined) {
      this.refuseBinary(correlation, "a sequence, and hello named no producer")
      return
    }
    this.connection.hold(held)
    this.publisher.addAll(
      payloads,
      positions as ReadonlyArray<SourcePosition | null>,
      firstSequence === null ? null : (producerId as ProducerId),
      firstSequence === null ? null : sequenceOf(firstSequence),
      correlation,
      held
    )
  }

  private refuseBinary(correlation: number, problem: string): void {
    countError(this.surroundings.counters, "bad_request")
    const frame = encodeRefused({ correlation, code: "bad_request", problem, placed: [] })
    const { outbox } = this.connection
    outbox.settle(outbox.reserve(), latin1Of(frame, 0, frame.length))
  }

  private refuse(correlation: string, code: WireErrorCode, error: string = wireErrors[code]): void {
    countError(this.surroundings.counters, code)
    const { outbox } = this.connection
    outbox.settle(outbox.reserve(), errorFrame(correlation, code, error))
  }

  private reject(error: string, input: Uint8Array): void {
    this.surroundings.rejects.add("bad_frame", () => ({
      origin: `${this.connection.remote}: ${error}`,
      input: Buffer.from(input).toString()
    }))
  }

  private isToken(token: string | undefined): boolean {
    const { token: expected } = this.surroundings.config
    return expected === undefined || timingSafeEqual(sha256(token ?? ""), sha256(expected))
  }

  private admits(producerId: string): boolean {
    if (producerId === this.hello?.producerId || this.joined.has(producerId)) return true
    if (this.joined.size >= this.surroundings.config.producersPerConnectionMax) return false
    this.joined.set(producerId, undefined)
    return true
  }

  /** Opens what lives as long as the connection. */
  extend<A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> {
    return Scope.extend(effect, this.scope)
  }

  private session(producerId: ProducerId): Effect.Effect<PublishNumbered, BrokerUnavailable> {
    const known = producerId === this.hello?.producerId ? this.helloSession : this.joined.get(producerId)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.map(this.extend(this.surroundings.broker.join(producerId)), ({ publish }) => {
      this.joined.set(producerId, publish)
      return publish
    })
  }
}
