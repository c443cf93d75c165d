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
  type Range,
  type Received,
  type Write,
  withPersisted
} from "./collector/State.ts"
import {
  hasFailedWrites,
  isInHand,
  pauseMs,
  startWrites,
  withFailed,
  withHalves,
  withoutAbandoned,
  withoutSubscription,
  withoutWrite,
  withRetries
} from "./collector/Writes.ts"
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
  /** `retryAfterMs` is how long the store asked to be left alone. */
  | { readonly type: "PersistFailed"; readonly write: number; readonly retryAfterMs?: number }
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
    persistBatch: command<Omit<Write, "id" | "state" | "isRetry"> & { readonly write: number }>(),
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
const persist = setupCollector.enqueueActions(({ context, enqueue }) => {
  const { volatile, started, empty } = startWrites(context.volatile)
  for (const { id, from, to, firstSample, samples } of started) {
    enqueue({ type: "persistBatch", params: { write: id, from, to, firstSample, samples } })
  }
  // Messages without a sample are done at once.
  for (const range of empty) {
    enqueue({ type: "record", params: { fact: { type: "BatchPersisted", ...range } } })
  }
  enqueue.assign({ volatile })
})

/** Changes what is in hand, and nothing else. */
const volatileTo = <Event extends CollectorRequest | CollectorFact>(
  change: (volatile: CollectorContext["volatile"], event: Event) => CollectorContext["volatile"]
) =>
  assign<CollectorContext, Event, undefined, CollectorRequest | CollectorFact, never>(
    ({ context: { volatile }, event }) => ({ volatile: change(volatile, event) })
  )

const takeIn = volatileTo<Extract<CollectorRequest, { readonly type: "MessagesReceived" }>>(
  (volatile, { from, to, samples }) => ({
    ...volatile,
    received: [...volatile.received, { from, to, samples }]
  })
)

type Failed = Extract<CollectorRequest, { readonly type: "PersistFailed" }>

const noteFailure = volatileTo<Failed>((volatile, { write, retryAfterMs }) =>
  withFailed(volatile, write, retryAfterMs)
)

const armRetry = setupCollector.enqueueActions(({ context: { volatile }, enqueue }) =>
  enqueue({ type: "armTimer", params: { timer: "persist", delayMs: pauseMs(volatile) } })
)

const commit = setupCollector.enqueueActions(({ context: { recoverable, volatile }, enqueue }) => {
  if (volatile.committing || recoverable.persisted <= recoverable.checkpoint) return
  enqueue.assign({ volatile: { ...volatile, committing: true } })
  enqueue({ type: "commitOffset", params: { offset: recoverable.persisted } })
})

type InContext = { readonly context: CollectorContext }

const isDone = ({ context: { recoverable, volatile } }: InContext): boolean =>
  volatile.drainTo !== null && recoverable.checkpoint >= volatile.drainTo

const isCurrent = ({ context: { volatile }, event }: InContext & { event: OfAttempt }): boolean =>
  event.attempt === volatile.attempt

/** A write that is awaited; what an earlier subscription left behind is not. */
const isAwaited = ({ context: { volatile }, event }: InContext & { event: { write: number } }): boolean =>
  volatile.writes.some((write) => write.id === event.write)

/** An answer of an earlier subscription makes room for another write, and that is all. */
const forgetAbandoned = {
  guard: ({ context: { volatile }, event }: InContext & { event: { write: number } }): boolean =>
    volatile.abandoned.includes(event.write),
  actions: [
    volatileTo<Extract<CollectorRequest, { readonly write: number }>>((volatile, { write }) =>
      withoutAbandoned(volatile, write)
    ),
    persist
  ]
}

export const collectorMachine = setupCollector.createMachine({
  id: "collector",
  context: ({ input }) => ({
    recoverable: { checkpoint: offsetOf(0), persisted: offsetOf(0), ahead: [] },
    volatile: {
      ...input,
      attempt: 0,
      subscribeDelayMs: input.retryDelayMsMin,
      persistDelayMs: input.retryDelayMsMin,
      retryAfterMs: 0,
      received: [],
      writes: [],
      nextWrite: 0,
      abandoned: [],
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
        { guard: ({ context }) => hasFailedWrites(context.volatile), target: "backingOff" }
      ],
      on: {
        MessagesReceived: {
          guard: isCurrent,
          actions: [takeIn, persist]
        }
      }
    },
    /** The store is out of reach: what arrives is held, within the credit of the subscription, and nothing new is written. */
    backingOff: {
      entry: [
        armRetry,
        volatileTo((volatile) => ({
          ...volatile,
          persistDelayMs: Math.min(volatile.persistDelayMs * 2, volatile.retryDelayMsMax)
        }))
      ],
      always: { guard: isDone, target: "done" },
      on: {
        TimerFired: {
          guard: ({ event }) => event.timer === "persist",
          target: "collecting",
          actions: [volatileTo(withRetries), persist]
        },
        PersistFailed: {
          guard: ({ context, event }) => isAwaited({ context, event }) && event.retryAfterMs !== undefined,
          actions: [noteFailure, armRetry]
        },
        MessagesReceived: {
          guard: isCurrent,
          actions: takeIn
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
        enqueue.assign({ volatile: withoutSubscription(volatile) })
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
    PersistSucceeded: [
      forgetAbandoned,
      {
        guard: isAwaited,
        actions: [
          enqueueActions(({ context: { volatile }, event, enqueue }) => {
            const done = volatile.writes.find((write) => write.id === event.write)!
            const next = withoutWrite(volatile, done)
            enqueue.assign({ volatile: next })
            if (isInHand(next, done)) return
            const { from, to } = done
            enqueue({ type: "record", params: { fact: { type: "BatchPersisted", from, to } } })
          }),
          persist
        ]
      }
    ],
    PersistFailed: [forgetAbandoned, { guard: isAwaited, actions: noteFailure }],
    PersistRefused: [
      forgetAbandoned,
      {
        guard: isAwaited,
        actions: [
          enqueueActions(({ context: { volatile }, event: { write: id, problem }, enqueue }) => {
            const refused = volatile.writes.find((write) => write.id === id)!
            const { from, to, firstSample: sample, samples } = refused
            if (samples > 1) {
              enqueue.assign({ volatile: withHalves(volatile, refused) })
              return
            }
            const next = withoutWrite(volatile, refused)
            enqueue({ type: "quarantineSample", params: { from, to, sample, problem } })
            enqueue.assign({ volatile: next })
            if (isInHand(next, refused)) return
            enqueue({ type: "record", params: { fact: { type: "BatchPersisted", from, to } } })
          }),
          persist
        ]
      }
    ],
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
