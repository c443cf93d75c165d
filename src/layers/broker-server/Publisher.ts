/**
 * Publishes of a connection: those that follow each other become one call of the Broker, and each is answered by where its part
 * of it is.
 *
 * One call is out at a time; what comes meanwhile becomes the next one, so that the calls grow with the load, and a slow
 * log is written to in few of them.
 */
import { Cause, Effect, Exit, Option } from "effect"
import {
  offsetOf,
  type PlacedRun,
  type ProducerId,
  type Sequence,
  type SourcePosition,
  sequenceOf
} from "../../protocol/Log.ts"
import { errorFrame, publishedFrame } from "../../protocol/wire/Answers.ts"
import { encodePlaced, encodeRefused } from "../../protocol/wire/BinaryFrames.ts"
import { latin1Of } from "../../protocol/wire/Members.ts"
import { wireErrors } from "../../protocol/wire/WireErrors.ts"
import type {
  BrokerUnavailable,
  PublishNumbered,
  PublishReceipt,
  PublishRefused,
  WhenFull
} from "../Broker.ts"
import type { Outbox, Slot } from "./Outbox.ts"
import { countError, type Surroundings } from "./Surroundings.ts"

/** Bytes and requests beyond which a call takes in no more. */
const callBytesMax = 4 * 1024 * 1024
const callRequestsMax = 8_192

/** A text of a peer that publishes in JSON, a number of one that does in binary. */
type Correlation = string | number

interface Entry {
  readonly slot: Slot
  readonly count: number
  readonly correlation: Correlation
}

/** Requests that are published by one call. */
class Call {
  readonly payloads: Array<Uint8Array> = []
  readonly positions: Array<SourcePosition | null> = []
  readonly entries: Array<Entry> = []
  payloadBytes = 0
  heldBytes = 0
  /** Bytes that were read with these: what a payload that is kept may keep from being freed. */
  spanBytes = 0
  constructor(
    readonly producerId: ProducerId | null,
    readonly firstSequence: Sequence | null
  ) {}

  takes(producerId: ProducerId | null, firstSequence: Sequence | null): boolean {
    return (
      this.producerId === producerId &&
      (firstSequence === null
        ? this.firstSequence === null
        : this.firstSequence !== null && this.firstSequence + this.payloads.length === firstSequence) &&
      this.payloadBytes < callBytesMax &&
      this.entries.length < callRequestsMax
    )
  }

  /** Copies payloads out of what was read with them where that is much more than they are. */
  pack(): void {
    if (this.spanBytes < 2 * this.payloadBytes + 1_024) return
    const packed = Buffer.allocUnsafeSlow(this.payloadBytes)
    let at = 0
    for (const [index, payload] of this.payloads.entries()) {
      packed.set(payload, at)
      this.payloads[index] = packed.subarray(at, at + payload.length)
      at += payload.length
    }
  }
}

type Publish = Effect.Effect<PublishReceipt, PublishRefused | BrokerUnavailable>

export interface PublisherOptions {
  readonly surroundings: Surroundings
  readonly outbox: Outbox
  /** How a producer of this connection publishes. */
  readonly session: (producerId: ProducerId) => Effect.Effect<PublishNumbered, BrokerUnavailable>
  readonly whenFull: () => WhenFull
  /** Requests were answered, and give back what they took. */
  readonly onAnswered: (heldBytes: number) => void
  readonly onUnavailable: (problem: string) => void
}

export class Publisher {
  private calls: Array<Call> = []
  private isOut = false
  private interrupt = () => {}
  private waiting: Array<() => void> = []

  constructor(private readonly options: PublisherOptions) {}

  get isDone(): boolean {
    return !this.isOut && this.calls.length === 0
  }

  /** Takes in a request of one record, which takes `heldBytes` of the connection's budget until it is answered. */
  add(
    payload: Uint8Array,
    position: SourcePosition | null,
    producerId: ProducerId | null,
    sequence: Sequence | null,
    correlation: Correlation,
    heldBytes: number
  ): void {
    const call = this.callFor(producerId, sequence)
    call.payloads.push(payload)
    call.positions.push(position)
    call.payloadBytes += payload.length
    this.enter(call, 1, correlation, heldBytes)
  }

  /** The same of many records. */
  addAll(
    payloads: ReadonlyArray<Uint8Array>,
    positions: ReadonlyArray<SourcePosition | null>,
    producerId: ProducerId | null,
    firstSequence: Sequence | null,
    correlation: Correlation,
    heldBytes: number
  ): void {
    const call = this.callFor(producerId, firstSequence)
    for (const [index, payload] of payloads.entries()) {
      call.payloads.push(payload)
      call.positions.push(positions[index]!)
      call.payloadBytes += payload.length
    }
    this.enter(call, payloads.length, correlation, heldBytes)
  }

  private callFor(producerId: ProducerId | null, firstSequence: Sequence | null): Call {
    const last = this.calls[this.calls.length - 1]
    if (last?.takes(producerId, firstSequence) === true) return last
    const call = new Call(producerId, firstSequence)
    this.calls.push(call)
    return call
  }

  private enter(call: Call, count: number, correlation: Correlation, heldBytes: number): void {
    const { outbox } = this.options
    const before = call.entries[call.entries.length - 1]?.slot
    // Answers in a row share a place.
    const slot = before !== undefined && before === outbox.last ? before : outbox.reserve()
    call.heldBytes += heldBytes
    call.entries.push({ slot, count, correlation })
  }

  /** So many bytes were read since the last call of this; publishes what is to be. */
  flush(readBytes: number): void {
    for (const call of this.calls) call.spanBytes += readBytes
    this.next()
  }

  /** Begins something once everything is answered, or after a time. */
  whenAnswered(begin: () => void, timeoutMs: number): void {
    if (this.isDone) {
      begin()
      return
    }
    const once = () => {
      clearTimeout(timer)
      this.waiting = this.waiting.filter((other) => other !== once)
      begin()
    }
    const timer = setTimeout(once, timeoutMs)
    this.waiting.push(once)
  }

  /** Takes back what has no room yet, and begins nothing of what was taken in; none of it is answered. */
  abandon(): void {
    const { calls } = this
    this.calls = []
    for (const { heldBytes } of calls) this.options.onAnswered(heldBytes)
    if (this.isOut) this.interrupt()
  }

  private next(): void {
    if (this.isOut) return
    const call = this.calls.shift()
    if (call === undefined) {
      for (const begin of this.waiting) begin()
      return
    }
    this.isOut = true
    call.pack()
    this.publish(call, new Answers(this.options.outbox), 0, 0)
  }

  /** Publishes the requests of a call from one on, whose first record is `record`. */
  private publish(call: Call, answers: Answers, entry: number, record: number): void {
    const { surroundings, onUnavailable, onAnswered } = this.options
    let hasEnded = false
    const interrupt = surroundings.run(this.publishing(call, record), (exit) => {
      hasEnded = true
      if (Exit.isSuccess(exit))
        this.answerPlaced(answers, call.entries.slice(entry), new PlacedRuns(exit.value.placed))
      else {
        const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
        if (failure?._tag !== "PublishRefused") {
          this.isOut = false
          onAnswered(call.heldBytes)
          if (!Exit.isInterrupted(exit)) onUnavailable(failure?.problem ?? "it failed to publish")
          return
        }
        const behind = this.answerRefused(answers, call, entry, failure)
        if (behind !== undefined) {
          this.publish(call, answers, behind.entry, behind.record)
          return
        }
      }
      this.isOut = false
      answers.settle()
      this.options.outbox.flush()
      onAnswered(call.heldBytes)
      this.next()
    })
    // It may have ended at once, and another one may have begun.
    if (!hasEnded) this.interrupt = interrupt
  }

  private publishing({ payloads, positions, producerId, firstSequence }: Call, from: number): Publish {
    const { surroundings, session, whenFull } = this.options
    const rest = from === 0 ? payloads : payloads.slice(from)
    if (producerId === null) return surroundings.broker.publish(rest, whenFull())
    const numbered = {
      firstSequence: sequenceOf(firstSequence! + from),
      payloads: rest,
      positions: from === 0 ? positions : positions.slice(from),
      whenFull: whenFull()
    }
    return Effect.flatMap(session(producerId), (publish) => publish(numbered))
  }

  /** Answers requests all of whose records are in the log. */
  private answerPlaced(answers: Answers, entries: ReadonlyArray<Entry>, runs: PlacedRuns): void {
    for (const { slot, correlation, count } of entries) {
      if (typeof correlation === "number") {
        answers.addBinary(slot, encodePlaced(correlation, runs.take(count)))
      } else {
        const { isDuplicate, firstOffset } = runs.takeOne()
        answers.add(slot, publishedFrame(correlation, firstOffset, isDuplicate), correlation !== "")
      }
    }
  }

  /** Answers up to the refused one, and all that its refusal holds for; answers where it goes on. */
  private answerRefused(
    answers: Answers,
    { entries }: Call,
    from: number,
    { reason, problem, placed }: PublishRefused
  ): { readonly entry: number; readonly record: number } | undefined {
    let left = placed.reduce((records, { count }) => records + count, 0)
    let refused = from
    while (left >= entries[refused]!.count) left -= entries[refused++]!.count
    const runs = new PlacedRuns(placed)
    this.answerPlaced(answers, entries.slice(from, refused), runs)
    // A record that is too large says nothing of those behind it.
    const end = reason === "too_large" ? refused + 1 : entries.length
    const error = reason === "sequence_gap" ? problem : wireErrors[reason]
    for (const { slot, correlation } of entries.slice(refused, end)) {
      countError(this.options.surroundings.counters, reason)
      if (typeof correlation === "number") {
        answers.addBinary(
          slot,
          encodeRefused({ correlation, code: reason, problem, placed: runs.take(left) })
        )
        left = 0
      } else answers.add(slot, errorFrame(correlation, reason, error, { problem }), correlation !== "")
    }
    if (end === entries.length) return undefined
    return { entry: end, record: entries.slice(0, end).reduce((records, { count }) => records + count, 0) }
  }
}

/** The answers to the requests of a call, put together by their places. */
class Answers {
  private slot: Slot | undefined
  private text = ""
  private essential = ""
  constructor(private readonly outbox: Outbox) {}

  /** An answer, and whether it is sent also to a peer that reads nothing. */
  add(slot: Slot, text: string, isEssential: boolean): void {
    if (slot !== this.slot) this.settle()
    this.slot = slot
    this.text += text
    if (isEssential) this.essential += text
  }

  addBinary(slot: Slot, frame: Uint8Array): void {
    this.add(slot, latin1Of(frame, 0, frame.length), true)
  }

  settle(): void {
    if (this.slot !== undefined) this.outbox.settle(this.slot, this.text, this.essential)
    this.slot = undefined
    this.text = ""
    this.essential = ""
  }
}

/** Where records are, taken from the front. */
class PlacedRuns {
  private index = 0
  private taken = 0
  constructor(private readonly placed: ReadonlyArray<PlacedRun>) {}

  takeOne(): PlacedRun {
    return this.takeSome(1)
  }

  /** Runs of so many records, or of as many as there are. */
  take(count: number): ReadonlyArray<PlacedRun> {
    const runs: Array<PlacedRun> = []
    for (let left = count; left > 0 && this.index < this.placed.length; ) {
      const run = this.takeSome(left)
      runs.push(run)
      left -= run.count
    }
    return runs
  }

  private takeSome(countMax: number): PlacedRun {
    const { count, firstOffset, isDuplicate } = this.placed[this.index]!
    const before = this.taken
    const taken = Math.min(countMax, count - before)
    this.taken += taken
    if (this.taken === count) {
      this.index++
      this.taken = 0
    }
    return {
      count: taken,
      firstOffset: firstOffset === null ? null : offsetOf(firstOffset + before),
      isDuplicate
    }
  }
}
