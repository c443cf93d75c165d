/** A world for the Broker machine: a log of records that may fail to append, a journal, and clients that err in every way. */
import { FastCheck, HashMap, Option } from "effect"
import { type BrokerSnapshot, brokerStepper } from "../../../src/actors/Broker.ts"
import type { PublishRun, Settlement, Take } from "../../../src/actors/broker/Admission.ts"
import type { BrokerPolicy, BrokerRequest, BrokerState, Resume } from "../../../src/actors/broker/State.ts"
import { describeRun, type RecordRun, runBytes, sliceRun } from "../../../src/layers/OffsetLog.ts"
import { type BrokerFact, isBrokerFact, type JournalledBrokerFact } from "../../../src/protocol/BrokerFact.ts"
import {
  type LogBounds,
  type LogSegment,
  offsetOf,
  ProducerId,
  type Run,
  type SourcePosition,
  type StartFrom,
  SubscriberId,
  sequenceOf
} from "../../../src/protocol/Log.ts"
import { Play } from "./Play.ts"

export type BrokerOp =
  | {
      readonly op: "publish"
      /** Null publishes without a producer. */
      readonly producer: number | null
      readonly session: number
      /** First sequence, relative to the producer's next one: below zero are duplicates, above zero is a gap. */
      readonly ahead: number
      /** Records of each run of the group. */
      readonly counts: ReadonlyArray<number>
      /** Every how manieth record carries a position. */
      readonly positionEvery: number
      readonly whenFull: "wait" | "refuse"
      /** What becomes of an append that it leads to, and whether that shows at once or some operations later. */
      readonly fails: boolean
      readonly isSlow: boolean
    }
  /** What the next operation would write to the journal is not written. */
  | { readonly op: "journalFails" }
  /** A slow append ends. */
  | { readonly op: "appendEnds" }
  /** Nobody waits any more for one of the latest publishes. */
  | { readonly op: "withdraw"; readonly back: number }
  | { readonly op: "setCheckpoint"; readonly subscriber: number; readonly to: number }
  | { readonly op: "hello"; readonly producer: number; readonly session: number }
  | { readonly op: "subscribe"; readonly subscriber: number; readonly from: number; readonly resume: Resume }
  | { readonly op: "commit"; readonly subscriber: number; readonly share: number; readonly stale: boolean }
  | { readonly op: "leave"; readonly subscriber: number }
  | { readonly op: "unsubscribe"; readonly subscriber: number; readonly stale: boolean }
  | { readonly op: "tick"; readonly afterMs: number }

const few = FastCheck.nat(2)

export const brokerOp: FastCheck.Arbitrary<BrokerOp> = FastCheck.oneof(
  {
    weight: 6,
    arbitrary: FastCheck.record({
      op: FastCheck.constant("publish" as const),
      producer: FastCheck.option(few, { freq: 6 }),
      session: few,
      ahead: FastCheck.constantFrom(0, 0, 0, 0, -1, -3, -40, 1),
      counts: FastCheck.array(FastCheck.constantFrom(1, 2, 5, 40, 90), { minLength: 1, maxLength: 3 }),
      positionEvery: FastCheck.constantFrom(1, 1, 2, 1_000),
      whenFull: FastCheck.constantFrom("wait" as const, "wait" as const, "refuse" as const),
      fails: FastCheck.constantFrom(false, false, false, false, true),
      isSlow: FastCheck.boolean()
    })
  },
  { weight: 3, arbitrary: FastCheck.record({ op: FastCheck.constant("appendEnds" as const) }) },
  FastCheck.record({ op: FastCheck.constant("journalFails" as const) }),
  FastCheck.record({ op: FastCheck.constant("withdraw" as const), back: few }),
  FastCheck.record({
    op: FastCheck.constant("setCheckpoint" as const),
    subscriber: few,
    to: FastCheck.integer({ min: -2, max: 100 })
  }),
  FastCheck.record({ op: FastCheck.constant("hello" as const), producer: few, session: few }),
  {
    weight: 2,
    arbitrary: FastCheck.record({
      op: FastCheck.constant("subscribe" as const),
      subscriber: few,
      from: FastCheck.integer({ min: -2, max: 100 }),
      resume: FastCheck.constantFrom(
        "never" as const,
        "if_known" as const,
        "always" as const,
        "always" as const
      )
    })
  },
  {
    weight: 4,
    arbitrary: FastCheck.record({
      op: FastCheck.constant("commit" as const),
      subscriber: few,
      share: FastCheck.double({ min: 0, max: 1, noNaN: true }),
      stale: FastCheck.constantFrom(false, false, false, true)
    })
  },
  FastCheck.record({ op: FastCheck.constant("leave" as const), subscriber: few }),
  FastCheck.record({
    op: FastCheck.constant("unsubscribe" as const),
    subscriber: few,
    stale: FastCheck.constantFrom(false, false, false, true)
  }),
  {
    weight: 2,
    arbitrary: FastCheck.record({
      op: FastCheck.constant("tick" as const),
      // Within a minute, an hour, a day, a fortnight.
      afterMs: FastCheck.constantFrom(1_000, 59_000, 61_000, 3_700_000, 90_000_000, 1_300_000_000)
    })
  }
)

/** A log that is full after some dozens of records, and one that never is. */
export const retentionRecords = FastCheck.constantFrom(100, 100_000)
export const brokerHistory = FastCheck.record({
  ops: FastCheck.array(brokerOp, { maxLength: 30, size: "max" }),
  retentionRecords,
  retentionMs: FastCheck.constantFrom(null, null, 3_600_000),
  whenFull: FastCheck.constantFrom("block" as const, "block" as const, "drop_oldest" as const)
})
type BrokerHistory = typeof brokerHistory extends FastCheck.Arbitrary<infer A> ? A : never

/** A policy that waits for every checkpoint of the last day. */
export const blockingPolicy = (retentionBytes: number): BrokerPolicy => ({
  retentionBytes,
  retentionMs: null,
  whenFull: "block",
  subscriberTtlMs: 24 * 3_600_000
})

type BrokerCommand = ReturnType<typeof brokerStepper.initial>[1][number]
type Group = { readonly id: number; readonly runs: ReadonlyArray<RecordRun> }

/** Size of every record here: no payload worth mentioning, so that only the number of records counts. */
const recordSize = 130
const segmentRecords = 20

export class BrokerWorld {
  readonly play: Play<BrokerSnapshot, BrokerRequest | BrokerFact, BrokerCommand>
  /** All that was ever appended, dropped or not. */
  readonly appended: Array<RecordRun> = []
  readonly settled: Array<Settlement> = []
  readonly commands: Array<BrokerCommand> = []
  /** What the journal holds. */
  journal: { snapshot: BrokerState | undefined; entries: ReadonlyArray<JournalledBrokerFact> } = {
    snapshot: undefined,
    entries: []
  }
  private segments: ReadonlyArray<LogSegment> = []
  private oldest = offsetOf(0)
  /** What becomes of the next append, and the one that has not ended. */
  private appendFails = false
  private isSlow = false
  private journalFails = false
  private pending: ReadonlyArray<Take> | undefined
  private groups: Array<Group> = []
  private subscriptions = new Map<number, number>()
  private nextId = 0
  private nowMs = 0
  readonly policy: BrokerPolicy

  constructor({ retentionRecords, retentionMs, whenFull }: Omit<BrokerHistory, "ops">) {
    this.policy = { ...blockingPolicy(retentionRecords * recordSize), retentionMs, whenFull }
    this.play = new Play({
      stepper: brokerStepper,
      initial: brokerStepper.initial({ policy: this.policy, nowMs: this.nowMs, bounds: this.bounds() }),
      isFact: isBrokerFact,
      handle: (command) => {
        this.commands.push(command)
        return this.handle(command)
      }
    }).start()
  }

  get recoverable(): BrokerState {
    return this.play.snapshot.context.recoverable
  }

  bounds(): LogBounds {
    return {
      oldest: this.oldest,
      next: offsetOf(this.appended.reduce((sum, run) => sum + run.payloads.length, 0)),
      bytes: this.segments.reduce((sum, segment) => sum + segment.bytes, 0),
      segments: this.segments
    }
  }

  run(ops: ReadonlyArray<BrokerOp>): this {
    for (const op of ops) {
      const request = this.requestOf(op)
      if (request !== undefined) this.play.request(request)
      this.journalFails = op.op === "journalFails"
    }
    this.isSlow = false
    const last = this.endAppend()
    if (last !== undefined) this.play.request(last)
    return this
  }

  private endAppend(): BrokerRequest | undefined {
    const takes = this.pending
    this.pending = undefined
    return takes && this.append(takes)
  }

  private requestOf(op: BrokerOp): BrokerRequest | undefined {
    const replyTo = this.nextId++
    switch (op.op) {
      case "journalFails":
        return undefined
      case "appendEnds":
        return this.endAppend()
      case "withdraw": {
        const group = this.groups.at(-1 - op.back)
        return group && { type: "Withdraw", group }
      }
      case "setCheckpoint":
        return {
          type: "SetCheckpoint",
          replyTo,
          subscriberId: subscriberOf(op.subscriber),
          to: placeOf(op.to)
        }
      case "publish":
        if (this.pending === undefined) {
          this.appendFails = op.fails
          this.isSlow = op.isSlow
        }
        return { type: "Publish", runs: this.publishRuns(op) }
      case "hello":
        return { type: "Hello", replyTo, session: op.session, producerId: producerOf(op.producer) }
      case "subscribe": {
        this.subscriptions.set(op.subscriber, replyTo)
        const { resume } = op
        const subscriberId = subscriberOf(op.subscriber)
        const from = placeOf(op.from)
        return { type: "Subscribe", replyTo, subscription: replyTo, subscriberId, from, resume }
      }
      case "leave":
        return { type: "Leave", ...this.holder(op.subscriber, false) }
      case "commit": {
        const offset = offsetOf(Math.floor(this.recoverable.nextOffset * op.share))
        return { type: "Commit", replyTo, ...this.holder(op.subscriber, op.stale), offset }
      }
      case "unsubscribe":
        return { type: "Unsubscribe", replyTo, ...this.holder(op.subscriber, op.stale) }
      case "tick":
        this.nowMs += op.afterMs
        return { type: "Tick", nowMs: this.nowMs }
    }
  }

  private holder(subscriber: number, stale: boolean) {
    const held = this.subscriptions.get(subscriber) ?? -1
    return { subscription: stale ? held - 1 : held, subscriberId: subscriberOf(subscriber) }
  }

  private publishRuns(op: Extract<BrokerOp, { op: "publish" }>): ReadonlyArray<PublishRun> {
    const id = op.producer === null ? undefined : producerOf(op.producer)
    const known =
      id === undefined ? undefined : Option.getOrUndefined(HashMap.get(this.recoverable.producers, id))
    let next = Math.max(0, (known?.lastSequence ?? -1) + 1 + op.ahead)
    const runs = op.counts.map((count): RecordRun => {
      const firstSequence = sequenceOf(next)
      next += count
      const positions = Array.from({ length: count }, (_, index) =>
        (firstSequence + index) % op.positionEvery === 0 ? positionOf(firstSequence + index) : null
      )
      return {
        payloads: Array.from({ length: count }, () => new Uint8Array(0)),
        producer: id === undefined ? null : { id, firstSequence, positions }
      }
    })
    const group: Group = { id: this.nextId++, runs }
    this.groups.push(group)
    return runs.map((run, index) => ({
      group,
      index,
      session: op.session,
      count: run.payloads.length,
      bytes: runBytes(run),
      whenFull: op.whenFull,
      producer: run.producer && { id: run.producer.id, firstSequence: run.producer.firstSequence }
    }))
  }

  private handle(command: BrokerCommand): ReadonlyArray<BrokerRequest | BrokerFact> {
    switch (command.type) {
      case "appendBatches": {
        const { takes } = command.params
        if (!this.isSlow) return [this.append(takes)]
        this.pending = takes
        return []
      }
      case "record": {
        const { fact } = command.params
        if (fact.type !== "BatchesAppended") {
          if (this.journalFails) return [{ type: "JournalFailed", problem: "disk" }]
          this.journal = { ...this.journal, entries: [...this.journal.entries, fact] }
        }
        return [fact]
      }
      case "measureLog":
        return [{ type: "LogMeasured", bounds: this.bounds() }]
      case "saveSnapshot": {
        const { state, dropBefore } = command.params
        if (this.journalFails) return [{ type: "SaveFailed" }]
        this.journal = { snapshot: state, entries: [] }
        if (dropBefore === null) return []
        this.segments = this.segments.filter((segment) => {
          if (segment.next > dropBefore) return true
          this.oldest = segment.next
          return false
        })
        return [{ type: "LogMeasured", bounds: this.bounds() }]
      }
      case "settlePublishes":
        this.settled.push(...command.params.settlements)
        return []
      default:
        return []
    }
  }

  private append(takes: ReadonlyArray<Take>): BrokerRequest {
    if (this.appendFails) {
      this.appendFails = false
      return { type: "AppendFailed", problem: "disk" }
    }
    const [first, ...rest] = takes.map(({ group, index, skip, firstOffset }) => {
      const whole = (group as Group).runs[index]!
      const run = sliceRun(whole, skip, whole.payloads.length)
      this.appended.push(run)
      this.extend(run.payloads.length, runBytes(run))
      return describeRun(firstOffset, run)
    })
    return { type: "Appended", runs: [first!, ...rest] }
  }

  private extend(count: number, bytes: number): void {
    const last = this.segments.at(-1)
    const begin = last?.next ?? this.oldest
    const grown = { next: offsetOf(begin + count), bytes, newestMs: this.nowMs }
    this.segments =
      last !== undefined && last.bytes < segmentRecords * recordSize
        ? [...this.segments.slice(0, -1), { ...grown, bytes: last.bytes + bytes }]
        : [...this.segments, grown]
  }
}

const placeOf = (n: number): StartFrom => (n === -1 ? "earliest" : n === -2 ? "latest" : offsetOf(n))
export const producerOf = (n: number): ProducerId => ProducerId.make(`producer-${n}`)
export const subscriberOf = (n: number): SubscriberId => SubscriberId.make(`subscriber-${n}`)
const positionOf = (n: number): SourcePosition => `row ${n}` as SourcePosition

/**
 * The facts of a log's records from an offset on, cut into other runs and other facts than they were appended in; `cuts`
 * says, again and again, how many records the next run takes and whether it begins a fact.
 */
export const regrouped = (
  appended: ReadonlyArray<RecordRun>,
  from: number,
  cuts: ReadonlyArray<{ readonly count: number; readonly opensFact: boolean }>
): ReadonlyArray<BrokerFact> => {
  const facts: Array<[Run, ...Array<Run>]> = []
  let offset = 0
  let cut = 0
  for (const run of merged(appended)) {
    let index = Math.min(run.payloads.length, Math.max(0, from - offset))
    while (index < run.payloads.length) {
      const { count, opensFact } = cuts[cut++ % cuts.length]!
      const end = Math.min(run.payloads.length, index + count)
      const described = describeRun(offsetOf(offset + index), sliceRun(run, index, end))
      if (opensFact || facts.length === 0) facts.push([described])
      else facts[facts.length - 1]!.push(described)
      index = end
    }
    offset += run.payloads.length
  }
  return facts.map((runs): BrokerFact => ({ type: "BatchesAppended", runs }))
}

/** Runs with those joined that follow each other in the sequences of one producer, or have none. */
const merged = (runs: ReadonlyArray<RecordRun>): ReadonlyArray<RecordRun> => {
  const joined: Array<RecordRun> = []
  for (const run of runs) {
    const last = joined.at(-1)
    const follows =
      last !== undefined &&
      last.producer?.id === run.producer?.id &&
      (last.producer === null ||
        last.producer.firstSequence + last.payloads.length === run.producer!.firstSequence)
    if (!follows) {
      joined.push(run)
      continue
    }
    joined[joined.length - 1] = {
      payloads: [...last.payloads, ...run.payloads],
      producer: last.producer && {
        ...last.producer,
        positions: [...last.producer.positions, ...run.producer!.positions]
      }
    }
  }
  return joined
}

export const cuts = FastCheck.array(
  FastCheck.record({ count: FastCheck.constantFrom(1, 3, 7, 50, 1_000), opensFact: FastCheck.boolean() }),
  { minLength: 1, maxLength: 6 }
)
