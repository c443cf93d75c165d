/** A world for the Streamer machine: a source of numbered rows, one sample each, and a broker that is lost and comes back. */
import { FastCheck } from "effect"
import { expect } from "vitest"
import {
  type StreamerRequest,
  type StreamerSnapshot,
  type StreamerTimer,
  streamerStepper
} from "../../../src/actors/Streamer.ts"
import { type SourcePosition, sequenceOf } from "../../../src/protocol/Log.ts"
import type { StreamerFact } from "../../../src/protocol/StreamerFact.ts"
import { Play } from "./Play.ts"

export type StreamerOp =
  | "hello"
  | "helloFails"
  | "opened"
  | "read"
  | "published"
  | "lostBefore"
  | "lostAfter"
  | "late"
  | "collect"
  | "retry"
  | "drain"

/** Reading and publishing happen more often than anything else; draining, at most once and last. */
const weightedOps: ReadonlyArray<StreamerOp> = [
  ...(["hello", "hello", "helloFails", "opened", "read", "read", "read", "read", "late"] as const),
  ...(["published", "published", "published", "lostBefore", "lostAfter", "collect", "retry"] as const)
]

export const streamerHistory = FastCheck.record({
  rows: FastCheck.nat(80),
  /** Batches of an earlier life that are in the log already, of two rows each. */
  earlier: FastCheck.nat(3),
  /** Payloads that turn out too large are sealed as two. */
  oversized: FastCheck.boolean(),
  windowBytes: FastCheck.constantFrom(30, 1_000),
  ops: FastCheck.array(
    FastCheck.record({
      op: FastCheck.constantFrom(...weightedOps),
      rows: FastCheck.integer({ min: 1, max: 12 })
    }),
    { maxLength: 60, size: "max" }
  ),
  drains: FastCheck.boolean()
})
type History = typeof streamerHistory extends FastCheck.Arbitrary<infer A> ? A : never

export const streamerInput = {
  batchSize: 5,
  collectIntervalMs: 1_000,
  windowBatches: 4,
  windowBytes: 1_000,
  readRowsMax: 12,
  retryDelayMsMin: 100,
  retryDelayMsMax: 1_000
}

export const isStreamerFact = (event: StreamerRequest | StreamerFact): event is StreamerFact =>
  event.type === "ProducerResumed" ||
  event.type === "BatchesSealed" ||
  event.type === "BatchesAcknowledged" ||
  event.type === "SourceEnded"

type StreamerCommand = ReturnType<typeof streamerStepper.initial>[1][number]
interface Publish {
  readonly connection: number
  readonly first: number
  readonly next: number
}

const bytesPerRow = 5

export class StreamerWorld {
  readonly play: Play<StreamerSnapshot, StreamerRequest | StreamerFact, StreamerCommand>
  /** The rows of each record in the log, by sequence. */
  readonly log: Array<ReadonlyArray<number>>
  rowsRead: number
  finished = false
  private greeted = 0
  private connection = 0
  private opening = false
  private reading = false
  private stopsReading = false
  private readonly publishes: Array<Publish> = []
  private readonly late: Array<number> = []
  private readonly timers = new Set<StreamerTimer>()
  private unsealed: ReadonlyArray<number> = []
  private readonly sealed = new Map<number, ReadonlyArray<number>>()

  constructor(private readonly history: Pick<History, "rows" | "earlier" | "oversized" | "windowBytes">) {
    this.log = Array.from({ length: history.earlier }, (_, batch) => [2 * batch, 2 * batch + 1])
    this.rowsRead = 2 * history.earlier
    this.play = new Play({
      stepper: streamerStepper,
      initial: streamerStepper.initial({ ...streamerInput, windowBytes: history.windowBytes }),
      isFact: isStreamerFact,
      handle: (command) => this.handle(command)
    }).start()
  }

  private get end(): number {
    return 2 * this.history.earlier + this.history.rows
  }

  run(ops: History["ops"]): this {
    for (const { op, rows } of ops) {
      this.happen(op, rows)
      this.checkBounds()
    }
    return this
  }

  /** Lets everything go well until nothing is under way. */
  settle(): this {
    for (let round = 0; round < 200 && !this.finished; round++) {
      for (const op of ["hello", "opened", "read", "collect", "published", "late", "retry"] as const) {
        this.happen(op, 7)
        this.checkBounds()
      }
    }
    return this
  }

  happen(op: StreamerOp, rows: number): void {
    const { play } = this
    switch (op) {
      case "hello":
      case "helloFails":
        this.answerHello(op === "hello")
        return
      case "opened":
        if (!this.opening) return
        this.opening = false
        play.request({ type: "SourceOpened" })
        return
      case "read":
        this.read(rows)
        return
      case "published":
      case "lostBefore":
      case "lostAfter":
        this.answerPublish(op)
        return
      case "late": {
        const next = this.late.shift()
        if (next !== undefined) play.request({ type: "PublishAnswered", next: sequenceOf(next) })
        return
      }
      case "collect":
      case "retry":
        if (this.timers.delete(op)) play.request({ type: "TimerFired", timer: op })
        return
      case "drain":
        play.request({ type: "Drain" })
    }
  }

  /** What is held is bounded: batches by the window, rows by what is read at a time. */
  private checkBounds(): void {
    const { recoverable, volatile } = this.play.snapshot.context
    const cut = this.history.oversized ? 2 : 1
    const batches = (recoverable.nextSequence ?? 0) - recoverable.acknowledged
    expect(batches).toBeLessThanOrEqual(cut * streamerInput.windowBatches)
    expect(volatile.buffered).toBe(this.unsealed.length)
    expect(this.unsealed.length).toBeLessThan(streamerInput.batchSize + streamerInput.readRowsMax)
  }

  private answerHello(succeeds: boolean): void {
    if (this.greeted === 0) return
    const connection = this.greeted
    this.greeted = 0
    if (!succeeds) {
      this.play.request({ type: "HelloFailed", connection })
      return
    }
    this.connection = connection
    const last = this.log.length - 1
    const position = this.log[last]?.at(-1)
    this.play.request({
      type: "HelloAnswered",
      connection,
      lastSequence: last < 0 ? null : sequenceOf(last),
      lastPosition: position === undefined ? null : (String(position) as SourcePosition)
    })
  }

  private read(rows: number): void {
    if (!this.reading) return
    this.reading = false
    const count = this.stopsReading ? 0 : Math.min(rows, this.end - this.rowsRead)
    if (count === 0 && !this.stopsReading) {
      this.play.request({ type: "SourceExhausted" })
      return
    }
    const taken = Array.from({ length: count }, (_, index) => this.rowsRead + index)
    this.rowsRead += count
    this.unsealed = [...this.unsealed, ...taken]
    this.play.request({ type: "RowsRead", samples: count })
  }

  /** The oldest publish is answered, or its connection is lost before or after it was appended. */
  private answerPublish(outcome: "published" | "lostBefore" | "lostAfter"): void {
    const publish = this.publishes.shift()
    if (publish === undefined) return
    const { connection, first, next } = publish
    const isFenced = connection !== this.connection
    const isGap = first > this.log.length
    if (isFenced || isGap || outcome === "lostBefore") {
      this.play.request({ type: "PublishFailed", connection })
      return
    }
    for (let sequence = Math.max(first, this.log.length); sequence < next; sequence++) {
      this.log.push(this.sealed.get(sequence)!)
    }
    if (outcome === "published") {
      this.play.request({ type: "PublishAnswered", next: sequenceOf(next) })
      return
    }
    this.late.push(next)
    this.play.request({ type: "PublishFailed", connection })
  }

  private handle(command: StreamerCommand): ReadonlyArray<StreamerRequest | StreamerFact> {
    switch (command.type) {
      case "sayHello":
        this.greeted = command.params.connection
        return []
      case "openSource":
        expect(command.params.position).toBe(this.rowsRead === 0 ? null : String(this.rowsRead - 1))
        this.opening = true
        return []
      case "readSource":
        expect(this.reading, "one read at a time").toBe(false)
        this.reading = true
        return []
      case "stopReading":
        this.stopsReading = true
        return []
      case "sealBatches":
        return [this.seal(command.params)]
      case "publishBatches": {
        const { connection, firstSequence: first, next } = command.params
        for (let sequence: number = first; sequence < next; sequence++) {
          expect(this.sealed.has(sequence), "what is published is still held").toBe(true)
        }
        this.publishes.push({ connection, first, next })
        return []
      }
      case "forgetBatches":
        expect(command.params.next, "only what is in the log is forgotten").toBeLessThanOrEqual(
          this.log.length
        )
        for (const sequence of this.sealed.keys()) {
          if (sequence < command.params.next) this.sealed.delete(sequence)
        }
        return []
      case "armTimer":
        this.timers.add(command.params.timer)
        return []
      case "disarmTimer":
        this.timers.delete(command.params.timer)
        return []
      case "record":
        return [command.params.fact]
      case "finish":
        this.finished = true
        return []
      case "fail":
        throw new Error(command.params.problem)
    }
  }

  private seal({
    firstSequence,
    samples,
    batchSize
  }: Extract<StreamerCommand, { type: "sealBatches" }>["params"]): StreamerFact {
    const size = this.history.oversized ? Math.ceil(batchSize / 2) : batchSize
    expect(samples).toBeLessThanOrEqual(this.unsealed.length)
    let sequence: number = firstSequence
    for (let from = 0; from < samples; from += size) {
      this.sealed.set(sequence++, this.unsealed.slice(from, Math.min(samples, from + size)))
    }
    this.unsealed = this.unsealed.slice(samples)
    const bytes = samples * bytesPerRow
    return { type: "BatchesSealed", firstSequence, count: sequence - firstSequence, samples, bytes }
  }
}
