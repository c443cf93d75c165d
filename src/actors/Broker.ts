/**
 * The Broker: which offset a publish gets; what is a duplicate, refused, fenced; when a publish waits; checkpoints; what
 * retention drops.
 *
 * Recoverable are the end of the log, the producers and the checkpoints. Who is connected, what waits and how large the log
 * is, is volatile: connections end with the process, and the log knows its size.
 */
import { HashMap, Option, Schema } from "effect"
import { enqueueActions, setup } from "xstate"
import type { BrokerFact } from "../protocol/BrokerFact.ts"
import {
  type LogBounds,
  Offset,
  offsetOf,
  type ProducerId,
  type Sequence,
  type SourcePosition,
  type StartFrom,
  SubscriberId
} from "../protocol/Log.ts"
import { admit, type PublishRun, type SessionId, type Settlement, type Take } from "./broker/Admission.ts"
import { appendedAll, Producers } from "./broker/Producers.ts"
import { dropPoint } from "./broker/Retention.ts"
import { command, stepper } from "./Step.ts"

/** What facts alone change, and what a snapshot in the broker's journal holds. */
export const BrokerState = Schema.Struct({
  nextOffset: Offset,
  producers: Producers,
  checkpoints: Schema.HashMap({ key: SubscriberId, value: Offset })
})
export type BrokerState = typeof BrokerState.Type

/** A broker to which nothing has happened. */
export const emptyBrokerState: BrokerState = {
  nextOffset: offsetOf(0),
  producers: HashMap.empty(),
  checkpoints: HashMap.empty()
}

/** A subscription that is open: one per subscriber at a time. */
export type SubscriptionKey = number

interface Opening {
  readonly replyTo: number
  readonly subscription: SubscriptionKey
  readonly subscriberId: SubscriberId
  readonly start: Offset
  /** The place that was asked for is no longer, or not yet, in the log. */
  readonly clamped: boolean
}

interface Volatile {
  readonly retentionBytes: number
  readonly oldest: Offset
  /** Size of the log: as last measured, and what was appended since. */
  readonly logBytes: number
  readonly sessions: HashMap.HashMap<ProducerId, SessionId>
  readonly holders: HashMap.HashMap<SubscriberId, SubscriptionKey>
  /** Publishes for which there is no room, in the order in which they came. */
  readonly waiting: ReadonlyArray<PublishRun>
  /** Answered when the append that is under way is a fact. */
  readonly settlements: ReadonlyArray<Settlement>
  /** Answered when its checkpoint is a fact. */
  readonly opening: Opening | null
  readonly committing: { readonly replyTo: number; readonly offset: Offset } | null
}

export interface BrokerContext {
  readonly recoverable: BrokerState
  readonly volatile: Volatile
}

export interface BrokerInput {
  readonly retentionBytes: number
  readonly bounds: LogBounds
  readonly recoverable?: BrokerState
}

export type BrokerRequest =
  | { readonly type: "Publish"; readonly runs: ReadonlyArray<PublishRun> }
  | {
      readonly type: "Hello"
      readonly replyTo: number
      readonly session: SessionId
      readonly producerId: ProducerId
    }
  | {
      readonly type: "Subscribe"
      readonly replyTo: number
      readonly subscription: SubscriptionKey
      readonly subscriberId: SubscriberId
      readonly from: StartFrom
      readonly resume: boolean
    }
  | { readonly type: "Leave"; readonly subscription: SubscriptionKey; readonly subscriberId: SubscriberId }
  | {
      readonly type: "Commit"
      readonly replyTo: number
      readonly subscription: SubscriptionKey
      readonly subscriberId: SubscriberId
      readonly offset: Offset
    }
  | { readonly type: "LogMeasured"; readonly bounds: LogBounds }
  | { readonly type: "AppendFailed"; readonly problem: string }

/** Where a subscription starts, and whether that is another place than the one asked for. */
const startOf = (from: StartFrom, oldest: Offset, next: Offset): Pick<Opening, "start" | "clamped"> => {
  if (from === "earliest") return { start: oldest, clamped: false }
  if (from === "latest") return { start: next, clamped: false }
  if (from < oldest) return { start: oldest, clamped: true }
  return from > next ? { start: next, clamped: true } : { start: from, clamped: false }
}

const setupBroker = setup({
  types: {
    context: {} as BrokerContext,
    events: {} as BrokerRequest | BrokerFact,
    input: {} as BrokerInput
  },
  actions: {
    /** Append these records, in this order, as one group. */
    appendBatches: command<{ readonly takes: ReadonlyArray<Take> }>(),
    settlePublishes: command<{ readonly settlements: ReadonlyArray<Settlement> }>(),
    wakeSubscriptions: command<{ readonly end: Offset }>(),
    answerHello: command<{
      readonly replyTo: number
      readonly lastSequence: Sequence | null
      readonly lastPosition: SourcePosition | null
    }>(),
    openSubscription: command<Opening>(),
    /** Another connection took the subscriber over. */
    endSubscription: command<{ readonly subscription: SubscriptionKey }>(),
    answerCommit: command<{ readonly replyTo: number; readonly offset: Offset }>(),
    refuseCommit: command<{ readonly replyTo: number; readonly reason: "not_holder" }>(),
    record: command<{ readonly fact: BrokerFact }>(),
    measureLog: command<undefined>(),
    /** Producers outlive the records that said who they are: what is dropped must stand in a snapshot. */
    saveSnapshot: command<{ readonly state: BrokerState }>(),
    dropBefore: command<{ readonly offset: Offset }>()
  }
})

/** Admits what fits, in order. One append at a time: what it leaves waiting is looked at again when it has ended. */
const admitWaiting = setupBroker.enqueueActions(({ context, enqueue }) => {
  const { recoverable, volatile } = context
  const { takes, settlements, waiting } = admit(
    {
      nextOffset: recoverable.nextOffset,
      producers: recoverable.producers,
      sessions: volatile.sessions,
      bytesFree: volatile.retentionBytes - volatile.logBytes,
      bytesMax: volatile.retentionBytes
    },
    volatile.waiting
  )
  const appends = takes.length > 0
  enqueue.assign({ volatile: { ...volatile, waiting, settlements: appends ? settlements : [] } })
  if (appends) enqueue({ type: "appendBatches", params: { takes } })
  else if (settlements.length > 0) enqueue({ type: "settlePublishes", params: { settlements } })
})

const holds = (
  volatile: Volatile,
  who: { readonly subscriberId: SubscriberId; readonly subscription: SubscriptionKey }
): boolean => Option.contains(HashMap.get(volatile.holders, who.subscriberId), who.subscription)

const hasWaiting = ({ context }: { context: BrokerContext }): boolean => context.volatile.waiting.length > 0

export const brokerMachine = setupBroker.createMachine({
  id: "broker",
  context: ({ input }) => ({
    recoverable: input.recoverable ?? emptyBrokerState,
    volatile: {
      retentionBytes: input.retentionBytes,
      oldest: input.bounds.oldest,
      logBytes: input.bounds.bytes,
      sessions: HashMap.empty(),
      holders: HashMap.empty(),
      waiting: [],
      settlements: [],
      opening: null,
      committing: null
    }
  }),
  initial: "accepting",
  states: {
    accepting: { always: { guard: hasWaiting, target: "full" } },
    /** The log is full: publishes wait until commits let something be dropped. */
    full: {
      entry: enqueueActions(({ context: { volatile }, enqueue }) => {
        // An append that is under way asks by itself when it has ended.
        if (volatile.settlements.length === 0) enqueue({ type: "measureLog", params: undefined })
      }),
      always: { guard: (args) => !hasWaiting(args), target: "accepting" }
    }
  },
  on: {
    Publish: {
      actions: [
        enqueueActions(({ context: { volatile }, event, enqueue }) =>
          enqueue.assign({ volatile: { ...volatile, waiting: [...volatile.waiting, ...event.runs] } })
        ),
        admitWaiting
      ]
    },
    Hello: {
      // Whoever said hello for this producer before is fenced from here on, what it has waiting included.
      actions: [
        enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
          const known = Option.getOrUndefined(HashMap.get(recoverable.producers, event.producerId))
          const sessions = HashMap.set(volatile.sessions, event.producerId, event.session)
          enqueue.assign({ volatile: { ...volatile, sessions } })
          enqueue({
            type: "answerHello",
            params: {
              replyTo: event.replyTo,
              lastSequence: known?.lastSequence ?? null,
              lastPosition: known?.lastPosition ?? null
            }
          })
        }),
        admitWaiting
      ]
    },
    Subscribe: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
        const { subscriberId, subscription, replyTo } = event
        const holder = Option.getOrUndefined(HashMap.get(volatile.holders, subscriberId))
        if (holder !== undefined) enqueue({ type: "endSubscription", params: { subscription: holder } })
        const checkpoint = Option.getOrUndefined(HashMap.get(recoverable.checkpoints, subscriberId))
        const resumes = event.resume && checkpoint !== undefined
        // A checkpoint below the oldest record is where it starts all the same: the subscription tells the gap.
        const place = resumes
          ? { start: checkpoint, clamped: false }
          : startOf(event.from, volatile.oldest, recoverable.nextOffset)
        const opening = { replyTo, subscription, subscriberId, ...place }
        const opens = event.resume && !resumes
        const holders = HashMap.set(volatile.holders, subscriberId, subscription)
        enqueue.assign({ volatile: { ...volatile, holders, opening: opens ? opening : null } })
        if (opens) {
          enqueue({
            type: "record",
            params: { fact: { type: "SubscriptionOpened", subscriberId, offset: place.start } }
          })
        } else enqueue({ type: "openSubscription", params: opening })
      })
    },
    Leave: {
      guard: ({ context: { volatile }, event }) => holds(volatile, event),
      actions: enqueueActions(({ context: { volatile }, event, enqueue }) =>
        enqueue.assign({
          volatile: { ...volatile, holders: HashMap.remove(volatile.holders, event.subscriberId) }
        })
      )
    },
    Commit: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
        const { replyTo, subscriberId, offset } = event
        if (!holds(volatile, event)) {
          enqueue({ type: "refuseCommit", params: { replyTo, reason: "not_holder" } })
          return
        }
        const checkpoint = Option.getOrUndefined(HashMap.get(recoverable.checkpoints, subscriberId))
        if (checkpoint !== undefined && offset <= checkpoint) {
          enqueue({ type: "answerCommit", params: { replyTo, offset: checkpoint } })
          return
        }
        enqueue.assign({ volatile: { ...volatile, committing: { replyTo, offset } } })
        enqueue({ type: "record", params: { fact: { type: "OffsetCommitted", subscriberId, offset } } })
      })
    },
    LogMeasured: {
      actions: [
        enqueueActions(({ context: { volatile }, event: { bounds }, enqueue }) =>
          enqueue.assign({ volatile: { ...volatile, oldest: bounds.oldest, logBytes: bounds.bytes } })
        ),
        admitWaiting,
        enqueueActions(({ context: { recoverable, volatile }, event: { bounds }, enqueue }) => {
          const needed = volatile.waiting[0]?.bytes
          // What was just admitted is not in these bounds; the log is measured again when it is appended.
          if (needed === undefined || volatile.settlements.length > 0) return
          const point = dropPoint(bounds, recoverable.checkpoints, needed, volatile.retentionBytes)
          if (point === undefined) return
          enqueue({ type: "saveSnapshot", params: { state: recoverable } })
          enqueue({ type: "dropBefore", params: { offset: point } })
        })
      ]
    },
    AppendFailed: {
      actions: enqueueActions(({ context: { volatile }, event, enqueue }) => {
        const settlements = volatile.settlements.map(
          (settlement): Settlement =>
            settlement.outcome._tag === "Accepted"
              ? { ...settlement, outcome: { _tag: "Refused", reason: "log_failed", problem: event.problem } }
              : settlement
        )
        enqueue.assign({ volatile: { ...volatile, settlements: [] } })
        enqueue({ type: "settlePublishes", params: { settlements } })
        if (volatile.waiting.length > 0) enqueue({ type: "measureLog", params: undefined })
      })
    },

    BatchesAppended: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event: { runs }, enqueue }) => {
        const last = runs[runs.length - 1]!
        const nextOffset = offsetOf(last.firstOffset + last.count)
        const { settlements } = volatile
        enqueue.assign({
          recoverable: { ...recoverable, nextOffset, producers: appendedAll(recoverable.producers, runs) },
          volatile: {
            ...volatile,
            logBytes: volatile.logBytes + runs.reduce((bytes, run) => bytes + run.bytes, 0),
            settlements: []
          }
        })
        enqueue({ type: "settlePublishes", params: { settlements } })
        enqueue({ type: "wakeSubscriptions", params: { end: nextOffset } })
        if (volatile.waiting.length > 0) enqueue({ type: "measureLog", params: undefined })
      })
    },
    SubscriptionOpened: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
        const checkpoints = HashMap.set(recoverable.checkpoints, event.subscriberId, event.offset)
        enqueue.assign({
          recoverable: { ...recoverable, checkpoints },
          volatile: { ...volatile, opening: null }
        })
        if (volatile.opening !== null) enqueue({ type: "openSubscription", params: volatile.opening })
      })
    },
    OffsetCommitted: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
        const checkpoints = HashMap.set(recoverable.checkpoints, event.subscriberId, event.offset)
        enqueue.assign({
          recoverable: { ...recoverable, checkpoints },
          volatile: { ...volatile, committing: null }
        })
        if (volatile.committing !== null) enqueue({ type: "answerCommit", params: volatile.committing })
        if (volatile.waiting.length > 0) enqueue({ type: "measureLog", params: undefined })
      })
    }
  }
})

export const brokerStepper = stepper(brokerMachine)
export type BrokerSnapshot = ReturnType<typeof brokerStepper.initial>[0]
