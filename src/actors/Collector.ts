/**
 * The Collector: what is persisted next, what is retried, halved or quarantined, when a checkpoint is committed.
 *
 * A checkpoint is committed only for messages below which the store acknowledged everything; writes that end out of order
 * wait for the gap to close. The data plane holds the samples; the machine knows which messages they came in.
 */
import { assign, enqueueActions, setup } from "xstate"
import type { CollectorFact } from "../protocol/CollectorFact.ts"
import { type Offset, offsetOf } from "../protocol/Log.ts"
import {
  type CollectorContext,
  type CollectorInput,
  type CollectorTimer,
  gather,
  type Range,
  type Received,
  type Write,
  withPersisted
} from "./collector/State.ts"
import { command, stepper } from "./Step.ts"

export type { CollectorTimer } from "./collector/State.ts"

/** What comes of an attempt to subscribe, as long as it is the latest one. */
interface OfAttempt {
  readonly attempt: number
}

export type CollectorRequest =
  | ({ readonly type: "SubscribeAnswered"; readonly start: Offset } & OfAttempt)
  | ({ readonly type: "SubscribeFailed" } & OfAttempt)
  | ({ readonly type: "SubscriptionLost" } & OfAttempt)
  /** Another collector subscribed under the same id. */
  | ({ readonly type: "SubscriptionTakenOver" } & OfAttempt)
  | ({ readonly type: "MessagesReceived" } & Received & OfAttempt)
  | ({ readonly type: "GapTold" } & Range & OfAttempt)
  | { readonly type: "PersistSucceeded"; readonly write: number }
  | { readonly type: "PersistFailed"; readonly write: number }
  | { readonly type: "PersistRefused"; readonly write: number; readonly problem: string }
  | ({ readonly type: "CommitAnswered"; readonly offset: Offset } & OfAttempt)
  | { readonly type: "TimerFired"; readonly timer: CollectorTimer }
  | { readonly type: "Drain"; readonly to: Offset }

const setupCollector = setup({
  types: {
    context: {} as CollectorContext,
    events: {} as CollectorRequest | CollectorFact,
    input: {} as CollectorInput
  },
  actions: {
    subscribe: command<OfAttempt>(),
    /** Write these samples of these messages; `write` names the answer. */
    persistBatch: command<Omit<Write, "id" | "state"> & { readonly write: number }>(),
    /** The store refuses this one sample for good. */
    quarantineSample: command<Range & { readonly sample: number; readonly problem: string }>(),
    /** Nothing more is to be done for these messages. */
    forgetMessages: command<{ readonly below: Offset }>(),
    forgetAllMessages: command<undefined>(),
    commitOffset: command<{ readonly offset: Offset }>(),
    armTimer: command<{ readonly timer: CollectorTimer; readonly delayMs: number }>(),
    record: command<{ readonly fact: CollectorFact }>(),
    finish: command<undefined>(),
    fail: command<{ readonly problem: string }>()
  }
})

/** A command for each write that there is room for, the oldest first; none while one has failed. */
const persist = setupCollector.enqueueActions(({ context: { volatile }, enqueue }) => {
  if (volatile.writes.some((write) => write.state === "failed")) return
  let { received, nextWrite } = volatile
  let free = volatile.writesMax - volatile.writes.filter((write) => write.state === "underway").length
  const start = ({ id, state, ...part }: Write): Write => {
    if (state !== "due" || free <= 0) return { id, state, ...part }
    free--
    enqueue({ type: "persistBatch", params: { write: id, ...part } })
    return { id, state: "underway", ...part }
  }
  const writes = volatile.writes.map(start)
  while (received.length > 0 && free > 0) {
    const { taken, ...range } = gather(received, volatile.writeSamplesMax)
    received = received.slice(taken)
    // Messages without a sample are done at once.
    if (range.samples === 0) {
      const { from, to } = range
      enqueue({ type: "record", params: { fact: { type: "BatchPersisted", from, to } } })
    } else writes.push(start({ id: nextWrite++, firstSample: 0, ...range, state: "due" }))
  }
  enqueue.assign({ volatile: { ...volatile, received, writes, nextWrite } })
})

/** What has failed is due again. */
const retryFailed = assign<
  CollectorContext,
  CollectorRequest | CollectorFact,
  undefined,
  CollectorRequest | CollectorFact,
  never
>(({ context: { volatile } }) => ({
  volatile: {
    ...volatile,
    writes: volatile.writes.map((write) =>
      write.state === "failed" ? { ...write, state: "due" as const } : write
    )
  }
}))

const commit = setupCollector.enqueueActions(({ context: { recoverable, volatile }, enqueue }) => {
  if (volatile.committing || recoverable.persisted <= recoverable.checkpoint) return
  enqueue.assign({ volatile: { ...volatile, committing: true } })
  enqueue({ type: "commitOffset", params: { offset: recoverable.persisted } })
})

type InContext = { readonly context: CollectorContext }

const isDone = ({ context: { recoverable, volatile } }: InContext): boolean =>
  volatile.drainTo !== null && recoverable.checkpoint >= volatile.drainTo

const hasFailedWrites = ({ context: { volatile } }: InContext): boolean =>
  volatile.writes.some((write) => write.state === "failed")

const isCurrent = ({ context: { volatile }, event }: InContext & { event: OfAttempt }): boolean =>
  event.attempt === volatile.attempt

/** A write that is still awaited; what an earlier subscription left behind is not. */
const isAwaited = ({ context: { volatile }, event }: InContext & { event: { write: number } }): boolean =>
  volatile.writes.some((write) => write.id === event.write)

export const collectorMachine = setupCollector.createMachine({
  id: "collector",
  context: ({ input }) => ({
    recoverable: { checkpoint: offsetOf(0), persisted: offsetOf(0), ahead: [] },
    volatile: {
      ...input,
      attempt: 0,
      subscribeDelayMs: input.retryDelayMsMin,
      persistDelayMs: input.retryDelayMsMin,
      received: [],
      writes: [],
      nextWrite: 0,
      committing: false,
      drainTo: null
    }
  }),
  initial: "subscribing",
  states: {
    subscribing: {
      entry: enqueueActions(({ context: { volatile }, enqueue }) => {
        const attempt = volatile.attempt + 1
        enqueue.assign({ volatile: { ...volatile, attempt } })
        enqueue({ type: "subscribe", params: { attempt } })
      }),
      on: {
        SubscribeAnswered: {
          guard: isCurrent,
          actions: enqueueActions(({ event, enqueue }) =>
            enqueue({
              type: "record",
              params: { fact: { type: "SubscriptionStarted", offset: event.start } }
            })
          )
        },
        SubscribeFailed: { guard: isCurrent, target: "waitingToSubscribe" }
      }
    },
    waitingToSubscribe: {
      entry: enqueueActions(({ context: { volatile }, enqueue }) => {
        const { subscribeDelayMs: delayMs, retryDelayMsMax } = volatile
        enqueue({ type: "armTimer", params: { timer: "subscribe", delayMs } })
        enqueue.assign({
          volatile: { ...volatile, subscribeDelayMs: Math.min(delayMs * 2, retryDelayMsMax) }
        })
      }),
      on: { TimerFired: { guard: ({ event }) => event.timer === "subscribe", target: "subscribing" } }
    },
    collecting: {
      always: [
        { guard: isDone, target: "done" },
        { guard: hasFailedWrites, target: "backingOff" }
      ],
      on: {
        MessagesReceived: {
          guard: isCurrent,
          actions: [
            assign(({ context: { volatile }, event: { from, to, samples } }) => ({
              volatile: { ...volatile, received: [...volatile.received, { from, to, samples }] }
            })),
            persist
          ]
        }
      }
    },
    /** The store is out of reach: what arrives is held, within the credit of the subscription, and nothing new is written. */
    backingOff: {
      entry: enqueueActions(({ context: { volatile }, enqueue }) => {
        const { persistDelayMs: delayMs, retryDelayMsMax } = volatile
        enqueue({ type: "armTimer", params: { timer: "persist", delayMs } })
        enqueue.assign({ volatile: { ...volatile, persistDelayMs: Math.min(delayMs * 2, retryDelayMsMax) } })
      }),
      always: { guard: isDone, target: "done" },
      on: {
        TimerFired: {
          guard: ({ event }) => event.timer === "persist",
          target: "collecting",
          actions: [retryFailed, persist]
        },
        MessagesReceived: {
          guard: isCurrent,
          actions: assign(({ context: { volatile }, event: { from, to, samples } }) => ({
            volatile: { ...volatile, received: [...volatile.received, { from, to, samples }] }
          }))
        }
      }
    },
    // What is over does not subscribe again.
    done: { entry: { type: "finish", params: undefined }, on: { SubscriptionLost: {} } },
    failed: { on: { SubscriptionLost: {} } }
  },
  on: {
    SubscriptionLost: {
      guard: isCurrent,
      target: ".subscribing",
      actions: enqueueActions(({ context: { volatile }, enqueue }) => {
        // What is not committed is delivered again; identity makes a second write of it harmless.
        enqueue.assign({ volatile: { ...volatile, received: [], writes: [], committing: false } })
        enqueue({ type: "forgetAllMessages", params: undefined })
      })
    },
    SubscriptionTakenOver: {
      guard: isCurrent,
      target: ".failed",
      actions: { type: "fail", params: { problem: "another collector subscribed under the same id" } }
    },
    GapTold: {
      guard: isCurrent,
      actions: enqueueActions(({ event: { from, to }, enqueue }) =>
        enqueue({ type: "record", params: { fact: { type: "GapNoted", from, to } } })
      )
    },
    PersistSucceeded: {
      guard: isAwaited,
      actions: [
        enqueueActions(({ context: { volatile }, event, enqueue }) => {
          const done = volatile.writes.find((write) => write.id === event.write)!
          const writes = volatile.writes.filter((write) => write !== done)
          enqueue.assign({ volatile: { ...volatile, writes, persistDelayMs: volatile.retryDelayMsMin } })
          // Halves of a write are several writes of the same messages.
          if (writes.some((write) => write.from === done.from)) return
          enqueue({
            type: "record",
            params: { fact: { type: "BatchPersisted", from: done.from, to: done.to } }
          })
        }),
        persist
      ]
    },
    PersistFailed: {
      guard: isAwaited,
      actions: assign(({ context: { volatile }, event }) => ({
        volatile: {
          ...volatile,
          writes: volatile.writes.map((write) =>
            write.id === event.write ? { ...write, state: "failed" as const } : write
          )
        }
      }))
    },
    PersistRefused: {
      guard: isAwaited,
      actions: [
        enqueueActions(({ context: { volatile }, event: { write: id, problem }, enqueue }) => {
          const refused = volatile.writes.find((write) => write.id === id)!
          const { from, to, firstSample, samples } = refused
          if (samples === 1) {
            const writes = volatile.writes.filter((write) => write !== refused)
            enqueue({ type: "quarantineSample", params: { from, to, sample: firstSample, problem } })
            enqueue.assign({ volatile: { ...volatile, writes } })
            if (writes.some((write) => write.from === from)) return
            enqueue({ type: "record", params: { fact: { type: "BatchPersisted", from, to } } })
            return
          }
          // Halves take the place of the whole, so that one range is narrowed down before the next.
          const half = Math.floor(samples / 2)
          const halves = [
            { from, to, firstSample, samples: half },
            { from, to, firstSample: firstSample + half, samples: samples - half }
          ].map((part, n): Write => ({ ...part, id: volatile.nextWrite + n, state: "due" }))
          const writes = volatile.writes.flatMap((write) => (write === refused ? halves : [write]))
          enqueue.assign({ volatile: { ...volatile, writes, nextWrite: volatile.nextWrite + 2 } })
        }),
        persist
      ]
    },
    CommitAnswered: {
      guard: isCurrent,
      actions: enqueueActions(({ context: { volatile }, event: { offset }, enqueue }) => {
        enqueue.assign({ volatile: { ...volatile, committing: false } })
        enqueue({ type: "record", params: { fact: { type: "CheckpointCommitted", offset } } })
      })
    },
    Drain: {
      actions: assign(({ context: { volatile }, event }) => ({
        volatile: { ...volatile, drainTo: event.to }
      }))
    },

    SubscriptionStarted: {
      target: ".collecting",
      actions: assign(({ context: { volatile }, event: { offset } }) => ({
        recoverable: { checkpoint: offset, persisted: offset, ahead: [] },
        volatile: { ...volatile, subscribeDelayMs: volatile.retryDelayMsMin }
      }))
    },
    BatchPersisted: {
      actions: [
        enqueueActions(({ context: { recoverable }, event, enqueue }) => {
          const state = withPersisted(recoverable, event)
          enqueue.assign({ recoverable: state })
          enqueue({ type: "forgetMessages", params: { below: state.persisted } })
        }),
        commit
      ]
    },
    GapNoted: {
      actions: [
        assign(({ context: { recoverable }, event }) => ({ recoverable: withPersisted(recoverable, event) })),
        commit
      ]
    },
    CheckpointCommitted: {
      actions: [
        assign(({ context: { recoverable }, event: { offset } }) => ({
          recoverable: { ...recoverable, checkpoint: offset }
        })),
        commit
      ]
    }
  }
})

export const collectorStepper = stepper(collectorMachine)
export type CollectorSnapshot = ReturnType<typeof collectorStepper.initial>[0]
