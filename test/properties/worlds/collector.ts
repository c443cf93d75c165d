/**
 * A world for the Collector machine: a broker that loses subscriptions, a store that fails and refuses, a mailbox in which
 * answers of earlier subscriptions may still stand.
 */
import { FastCheck } from "effect"
import { expect } from "vitest"
import {
  type CollectorRequest,
  type CollectorSnapshot,
  type CollectorTimer,
  collectorStepper
} from "../../../src/actors/Collector.ts"
import type { CollectorFact } from "../../../src/protocol/CollectorFact.ts"
import { offsetOf } from "../../../src/protocol/Log.ts"
import { Play } from "./Play.ts"

export type CollectorOp =
  | "subscribed"
  | "subscribeFails"
  | "deliver"
  | "gap"
  | "lose"
  | "stored"
  | "unavailable"
  | "committed"
  | "commitLost"
  | "timer"

/** What goes well happens more often than what does not. */
const weightedOps: ReadonlyArray<CollectorOp> = [
  ...([
    "subscribed",
    "subscribed",
    "subscribeFails",
    "deliver",
    "deliver",
    "deliver",
    "gap",
    "lose"
  ] as const),
  ...(["stored", "stored", "stored", "unavailable", "committed", "committed", "commitLost", "timer"] as const)
]

/** How many samples each message of the log holds, the samples that the store refuses, and what happens in which order. */
export const collectorHistory = FastCheck.record({
  messages: FastCheck.array(FastCheck.nat(4), { minLength: 1, maxLength: 12 }),
  poison: FastCheck.array(FastCheck.tuple(FastCheck.nat(11), FastCheck.nat(3)), { maxLength: 2 }),
  ops: FastCheck.array(
    FastCheck.record({
      op: FastCheck.constantFrom(...weightedOps),
      which: FastCheck.nat(5),
      /** Requests of the mailbox that are handled after it. */
      handles: FastCheck.constantFrom(0, 1, 5)
    }),
    { maxLength: 60, size: "max" }
  )
})
type History = typeof collectorHistory extends FastCheck.Arbitrary<infer A> ? A : never

export const isCollectorFact = (event: CollectorRequest | CollectorFact): event is CollectorFact =>
  event.type === "SubscriptionStarted" ||
  event.type === "BatchPersisted" ||
  event.type === "GapNoted" ||
  event.type === "CheckpointCommitted"

type CollectorCommand = ReturnType<typeof collectorStepper.initial>[1][number]

/** What the store knows a sample by. */
const sampleKey = (offset: number, index: number): string => `${offset}.${index}`

/** Writes that the store has not answered, those of earlier subscriptions included. */
const writesMax = 2

export class CollectorWorld {
  readonly play: Play<CollectorSnapshot, CollectorRequest | CollectorFact, CollectorCommand>
  readonly stored = new Set<string>()
  readonly quarantined = new Set<string>()
  readonly missed = new Set<number>()
  checkpoint = 0
  readonly writes: Array<{ readonly write: number; readonly keys: ReadonlyArray<string> }> = []
  private readonly mailbox: Array<CollectorRequest> = []
  private readonly held = new Map<number, ReadonlyArray<string>>()
  private readonly timers = new Set<CollectorTimer>()
  private readonly commits: Array<{ readonly offset: number; readonly attempt: number }> = []
  private readonly poison: ReadonlySet<string>
  private attempt: { readonly number: number; state: "asked" | "open" | "ended"; cursor: number } = {
    number: 0,
    state: "ended",
    cursor: 0
  }

  constructor(private readonly history: Pick<History, "messages" | "poison">) {
    this.poison = new Set(history.poison.map(([offset, index]) => sampleKey(offset, index)))
    this.play = new Play({
      stepper: collectorStepper,
      initial: collectorStepper.initial({
        writesMax,
        writeSamplesMax: 5,
        retryDelayMsMin: 100,
        retryDelayMsMax: 1_000
      }),
      isFact: isCollectorFact,
      handle: (command) => this.handle(command)
    }).start()
  }

  run(ops: History["ops"]): this {
    for (const { op, which, handles } of ops) {
      this.happen(op, which)
      this.handleMailbox(handles)
    }
    return this
  }

  /** Lets all that is under way end well, again and again, until everything is committed. */
  settle(): this {
    const end = this.history.messages.length
    for (let round = 0; round < 200; round++) {
      if (this.play.snapshot.context.recoverable.checkpoint === end) return this
      this.handleMailbox(Number.POSITIVE_INFINITY)
      for (const op of ["subscribed", "deliver", "stored", "committed", "timer"] as const) {
        this.happen(op, 0)
        this.handleMailbox(Number.POSITIVE_INFINITY)
      }
    }
    return this
  }

  private handleMailbox(count: number): void {
    for (let handled = 0; handled < count; handled++) {
      const request = this.mailbox.shift()
      if (request === undefined) return
      this.play.request(request)
    }
  }

  private happen(op: CollectorOp, which: number): void {
    switch (op) {
      case "subscribed":
      case "subscribeFails":
        this.answerSubscribe(op === "subscribed")
        return
      case "deliver":
      case "gap":
        this.deliver(op === "gap", which + 1)
        return
      case "lose":
        if (this.attempt.state !== "open") return
        this.attempt.state = "ended"
        this.lose(this.attempt.number)
        return
      case "stored":
      case "unavailable":
        this.answerWrite(op === "stored", which)
        return
      case "committed":
      case "commitLost":
        this.answerCommit(op === "committed")
        return
      case "timer": {
        const [timer] = this.timers
        if (timer === undefined) return
        this.timers.delete(timer)
        this.mailbox.push({ type: "TimerFired", timer })
      }
    }
  }

  private lose(attempt: number): void {
    this.mailbox.push({ type: "SubscriptionLost", attempt })
  }

  private answerSubscribe(succeeds: boolean): void {
    if (this.attempt.state !== "asked") return
    const { number: attempt } = this.attempt
    this.attempt.state = succeeds ? "open" : "ended"
    this.attempt.cursor = this.checkpoint
    const start = offsetOf(this.checkpoint)
    this.mailbox.push(
      succeeds ? { type: "SubscribeAnswered", attempt, start } : { type: "SubscribeFailed", attempt }
    )
  }

  private deliver(asGap: boolean, count: number): void {
    const { messages } = this.history
    if (this.attempt.state !== "open") return
    const { cursor: from, number: attempt } = this.attempt
    const end = Math.min(messages.length, from + count)
    this.attempt.cursor = end
    if (asGap && end > from) {
      for (let offset = from; offset < end; offset++) this.missed.add(offset)
      this.mailbox.push({ type: "GapTold", attempt, from: offsetOf(from), to: offsetOf(end) })
      return
    }
    for (let offset = from; offset < end; offset++) {
      const samples = messages[offset]!
      this.held.set(
        offset,
        Array.from({ length: samples }, (_, index) => sampleKey(offset, index))
      )
      const range = { from: offsetOf(offset), to: offsetOf(offset + 1) }
      this.mailbox.push({ type: "MessagesReceived", attempt, ...range, samples })
    }
  }

  private answerWrite(succeeds: boolean, which: number): void {
    const [done] = this.writes.splice(which % Math.max(1, this.writes.length), 1)
    if (done === undefined) return
    const { write, keys } = done
    if (!succeeds) {
      const asked = which % 2 === 0 ? {} : { retryAfterMs: 500 }
      this.mailbox.push({ type: "PersistFailed", write, ...asked })
    } else if (keys.some((key) => this.poison.has(key))) {
      this.mailbox.push({ type: "PersistRefused", write, problem: "poison" })
    } else {
      for (const key of keys) this.stored.add(key)
      this.mailbox.push({ type: "PersistSucceeded", write })
    }
  }

  /** Where the connection is lost, the commit may have been made all the same: here it was. */
  private answerCommit(arrives: boolean): void {
    const commit = this.commits.shift()
    if (commit === undefined) return
    const { offset, attempt } = commit
    this.checkpoint = Math.max(this.checkpoint, offset)
    if (arrives) this.mailbox.push({ type: "CommitAnswered", attempt, offset: offsetOf(this.checkpoint) })
    else this.lose(attempt)
  }

  /** The samples below an offset that are nowhere. */
  unaccounted(below: number): ReadonlyArray<string> {
    return this.history.messages
      .slice(0, below)
      .flatMap((samples, offset) =>
        this.missed.has(offset)
          ? []
          : Array.from({ length: samples }, (_, index) => sampleKey(offset, index)).filter(
              (key) => !this.stored.has(key) && !this.quarantined.has(key)
            )
      )
  }

  private handle(command: CollectorCommand): ReadonlyArray<CollectorRequest | CollectorFact> {
    switch (command.type) {
      case "subscribe":
        this.attempt = { number: command.params.attempt, state: "asked", cursor: 0 }
        return []
      case "persistBatch": {
        const { write, from, to, firstSample, samples } = command.params
        const keys = this.samples(from, to).slice(firstSample, firstSample + samples)
        expect(keys.length, "a write finds the samples that it is to write").toBe(samples)
        this.writes.push({ write, keys })
        expect(this.writes.length, "no more writes are under way").toBeLessThanOrEqual(writesMax)
        return []
      }
      case "quarantineSample": {
        const { from, to, sample } = command.params
        const key = this.samples(from, to)[sample]!
        expect(this.poison.has(key), "only what the store refuses is put in quarantine").toBe(true)
        this.quarantined.add(key)
        return []
      }
      case "forgetMessages":
        for (const offset of this.held.keys()) {
          if (offset < command.params.below) this.held.delete(offset)
        }
        return []
      case "forgetAllMessages":
        this.held.clear()
        return []
      case "commitOffset": {
        const { offset } = command.params
        expect(this.unaccounted(offset), "nothing is committed before the store has it").toEqual([])
        expect(this.attempt.state, "a commit needs a subscription").not.toBe("asked")
        this.commits.push({ offset, attempt: this.attempt.number })
        return []
      }
      case "armTimer":
        this.timers.add(command.params.timer)
        return []
      case "record":
        return [command.params.fact]
      default:
        return []
    }
  }

  private samples(from: number, to: number): ReadonlyArray<string> {
    return Array.from({ length: to - from }, (_, index) => this.held.get(from + index) ?? []).flat()
  }
}
