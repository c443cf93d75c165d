/**
 * The Streamer: where a batch ends, what is in flight, when the source pauses, when all is done.
 *
 * The data plane holds the samples that were read and the payloads that were sealed; the machine knows how many there are.
 * What is not acknowledged is sent again after a reconnect, in order, and the broker tells duplicates apart by sequence.
 */
import { assign, enqueueActions, setup } from "xstate"
import { type Sequence, type SourcePosition, sequenceOf } from "../protocol/Log.ts"
import type { StreamerFact } from "../protocol/StreamerFact.ts"
import { command, stepper } from "./Step.ts"
import {
  isDone,
  isWindowOpen,
  type StreamerContext,
  type StreamerInput,
  type StreamerTimer,
  sealable
} from "./streamer/State.ts"

export type { StreamerTimer } from "./streamer/State.ts"

export type StreamerRequest =
  | {
      readonly type: "HelloAnswered"
      readonly connection: number
      readonly lastSequence: Sequence | null
      readonly lastPosition: SourcePosition | null
    }
  | { readonly type: "HelloFailed"; readonly connection: number }
  | { readonly type: "SourceOpened" }
  | { readonly type: "SourceFailed"; readonly problem: string }
  | { readonly type: "RowsRead"; readonly samples: number }
  | { readonly type: "SourceExhausted" }
  | { readonly type: "TimerFired"; readonly timer: StreamerTimer }
  | { readonly type: "PublishAnswered"; readonly next: Sequence }
  | { readonly type: "PublishFailed"; readonly connection: number }
  /** The broker will never take these batches from this streamer. */
  | { readonly type: "PublishRefused"; readonly connection: number; readonly problem: string }
  | { readonly type: "Drain" }

const setupStreamer = setup({
  types: {
    context: {} as StreamerContext,
    events: {} as StreamerRequest | StreamerFact,
    input: {} as StreamerInput
  },
  actions: {
    sayHello: command<{ readonly connection: number }>(),
    openSource: command<{ readonly position: SourcePosition | null }>(),
    readSource: command<{ readonly rowsMax: number }>(),
    /** End the read that is under way; what it has read already still comes as `RowsRead`. */
    stopReading: command<undefined>(),
    /** Make payloads of the oldest samples, `batchSize` each and the rest in the last. */
    sealBatches: command<{
      readonly firstSequence: Sequence
      readonly samples: number
      readonly batchSize: number
    }>(),
    publishBatches: command<{
      readonly connection: number
      readonly firstSequence: Sequence
      readonly next: Sequence
    }>(),
    /** Payloads below `next` are not needed any more. */
    forgetBatches: command<{ readonly next: Sequence }>(),
    armTimer: command<{ readonly timer: StreamerTimer; readonly delayMs: number }>(),
    disarmTimer: command<{ readonly timer: StreamerTimer }>(),
    record: command<{ readonly fact: StreamerFact }>(),
    finish: command<undefined>(),
    fail: command<{ readonly problem: string }>()
  }
})

/** What is sealed is buffered until the fact says that it is sealed: until then it is neither nowhere nor done. */
const seal = setupStreamer.enqueueActions(({ context: { recoverable, volatile }, enqueue }) => {
  const samples = sealable(volatile, recoverable)
  const rest = volatile.buffered - samples
  const restarts = samples > 0 || volatile.collecting === "idle"
  const arms = restarts && rest > 0
  if (samples > 0 && volatile.collecting === "armed")
    enqueue({ type: "disarmTimer", params: { timer: "collect" } })
  if (arms) enqueue({ type: "armTimer", params: { timer: "collect", delayMs: volatile.collectIntervalMs } })
  if (restarts) enqueue.assign({ volatile: { ...volatile, collecting: arms ? "armed" : "idle" } })
  if (samples > 0) {
    const { batchSize } = volatile
    enqueue({ type: "sealBatches", params: { firstSequence: recoverable.nextSequence!, samples, batchSize } })
  }
})

const publish = setupStreamer.enqueueActions(({ context: { recoverable, volatile }, enqueue }) => {
  const { nextSequence } = recoverable
  if (!volatile.connected || nextSequence === null || volatile.sent >= nextSequence) return
  const { connection, sent } = volatile
  enqueue({ type: "publishBatches", params: { connection, firstSequence: sent, next: nextSequence } })
  enqueue.assign({ volatile: { ...volatile, sent: nextSequence } })
})

const read = setupStreamer.enqueueActions(({ context: { recoverable, volatile }, enqueue }) => {
  const wanted =
    volatile.sourceOpen &&
    !volatile.reading &&
    !volatile.draining &&
    !recoverable.sourceEnded &&
    volatile.buffered < volatile.batchSize &&
    isWindowOpen(volatile, recoverable)
  if (!wanted) return
  enqueue.assign({ volatile: { ...volatile, reading: true } })
  enqueue({ type: "readSource", params: { rowsMax: volatile.readRowsMax } })
})

type InContext = { readonly context: StreamerContext }

/** The log holds sequences that this streamer never gave: another one publishes under its id. */
const hasTwin = ({
  context: { recoverable },
  event
}: InContext & { event: { lastSequence: number | null } }): boolean =>
  recoverable.nextSequence !== null &&
  event.lastSequence !== null &&
  event.lastSequence >= recoverable.nextSequence

/**
 * Of what this streamer was told is in the log, the log has lost some: it goes on with what is lost only by reading the source
 * again, from the position that the log has now.
 */
const hasLostTail = ({
  context: { recoverable },
  event
}: InContext & { event: { lastSequence: number | null } }): boolean =>
  event.lastSequence !== null && event.lastSequence + 1 < recoverable.acknowledged

const isCurrent = ({
  context: { volatile },
  event
}: InContext & { event: { connection: number } }): boolean => event.connection === volatile.connection

const fail = setupStreamer.enqueueActions(({ event, enqueue }) => {
  const problem = "problem" in event ? event.problem : "another streamer publishes under the same id"
  enqueue({ type: "fail", params: { problem } })
})

const failBehindLostTail = setupStreamer.enqueueActions(({ enqueue }) =>
  enqueue({
    type: "fail",
    params: {
      problem:
        "the broker's log has lost batches that it had acknowledged; a streamer that starts again reads them again"
    }
  })
)

const retry = setupStreamer.enqueueActions(({ context: { volatile }, enqueue }) => {
  enqueue({ type: "armTimer", params: { timer: "retry", delayMs: volatile.retryDelayMs } })
  const retryDelayMs = Math.min(volatile.retryDelayMs * 2, volatile.retryDelayMsMax)
  enqueue.assign({ volatile: { ...volatile, connected: false, retryDelayMs } })
})

export const streamerMachine = setupStreamer.createMachine({
  id: "streamer",
  context: ({ input }) => ({
    recoverable: { nextSequence: null, acknowledged: sequenceOf(0), sourceEnded: false },
    volatile: {
      ...input,
      connection: 0,
      connected: false,
      retryDelayMs: input.retryDelayMsMin,
      sourceOpen: false,
      reading: false,
      draining: false,
      buffered: 0,
      collecting: "idle",
      unacknowledged: [],
      sent: sequenceOf(0)
    }
  }),
  initial: "greeting",
  states: {
    greeting: {
      entry: enqueueActions(({ context: { volatile }, enqueue }) => {
        const connection = volatile.connection + 1
        enqueue.assign({ volatile: { ...volatile, connection } })
        enqueue({ type: "sayHello", params: { connection } })
      }),
      always: { guard: isDone, target: "done" },
      on: {
        HelloAnswered: [
          { guard: hasTwin, target: "failed", actions: fail },
          { guard: hasLostTail, target: "failed", actions: failBehindLostTail },
          {
            guard: isCurrent,
            actions: enqueueActions(({ event: { lastSequence, lastPosition }, enqueue }) => {
              enqueue({
                type: "record",
                params: { fact: { type: "ProducerResumed", lastSequence, lastPosition } }
              })
            })
          }
        ],
        HelloFailed: { guard: isCurrent, target: "waitingToRetry" }
      }
    },
    waitingToRetry: {
      entry: retry,
      always: { guard: isDone, target: "done" },
      on: {
        TimerFired: { guard: ({ event }) => event.timer === "retry", target: "greeting" }
      }
    },
    streaming: {
      always: { guard: isDone, target: "done" },
      on: {
        PublishFailed: { guard: isCurrent, target: "waitingToRetry" },
        PublishRefused: { guard: isCurrent, target: "failed", actions: fail }
      }
    },
    done: { entry: { type: "finish", params: undefined } },
    failed: {}
  },
  on: {
    SourceOpened: {
      actions: [
        assign(({ context: { volatile } }) => ({ volatile: { ...volatile, sourceOpen: true } })),
        read
      ]
    },
    SourceFailed: { target: ".failed", actions: fail },
    RowsRead: {
      actions: [
        assign(({ context: { volatile }, event: { samples } }) => ({
          volatile: { ...volatile, reading: false, buffered: volatile.buffered + samples }
        })),
        seal,
        read
      ]
    },
    SourceExhausted: {
      actions: enqueueActions(({ context: { volatile }, enqueue }) => {
        enqueue.assign({ volatile: { ...volatile, reading: false } })
        enqueue({ type: "record", params: { fact: { type: "SourceEnded" } } })
      })
    },
    TimerFired: {
      guard: ({ event }) => event.timer === "collect",
      actions: [
        assign(({ context: { volatile } }) => ({ volatile: { ...volatile, collecting: "due" } })),
        seal
      ]
    },
    PublishAnswered: {
      guard: ({ context: { recoverable }, event }) => event.next > recoverable.acknowledged,
      actions: enqueueActions(({ event: { next }, enqueue }) =>
        enqueue({ type: "record", params: { fact: { type: "BatchesAcknowledged", next } } })
      )
    },
    Drain: {
      actions: [
        enqueueActions(({ context: { volatile }, enqueue }) => {
          enqueue.assign({ volatile: { ...volatile, draining: true } })
          if (volatile.reading) enqueue({ type: "stopReading", params: undefined })
        }),
        seal
      ]
    },

    ProducerResumed: {
      target: ".streaming",
      actions: [
        enqueueActions(
          ({ context: { recoverable, volatile }, event: { lastSequence, lastPosition }, enqueue }) => {
            const behind = sequenceOf((lastSequence ?? -1) + 1)
            const isFirst = recoverable.nextSequence === null
            const acknowledged =
              isFirst || behind > recoverable.acknowledged ? behind : recoverable.acknowledged
            enqueue.assign({
              recoverable: { ...recoverable, acknowledged, nextSequence: recoverable.nextSequence ?? behind },
              volatile: {
                ...volatile,
                connected: true,
                sent: acknowledged,
                retryDelayMs: volatile.retryDelayMsMin,
                unacknowledged: volatile.unacknowledged.filter((group) => group.next > acknowledged)
              }
            })
            enqueue({ type: "forgetBatches", params: { next: acknowledged } })
            if (isFirst) enqueue({ type: "openSource", params: { position: lastPosition } })
          }
        ),
        seal,
        publish,
        read
      ]
    },
    BatchesSealed: {
      actions: [
        assign(({ context: { recoverable, volatile }, event: { firstSequence, count, samples, bytes } }) => {
          const nextSequence = sequenceOf(firstSequence + count)
          const unacknowledged = [...volatile.unacknowledged, { next: nextSequence, bytes }]
          const buffered = volatile.buffered - samples
          return {
            recoverable: { ...recoverable, nextSequence },
            volatile: { ...volatile, buffered, unacknowledged }
          }
        }),
        publish,
        read
      ]
    },
    BatchesAcknowledged: {
      actions: [
        enqueueActions(({ context: { recoverable, volatile }, event: { next }, enqueue }) => {
          const unacknowledged = volatile.unacknowledged.filter((group) => group.next > next)
          enqueue.assign({
            recoverable: { ...recoverable, acknowledged: next },
            volatile: { ...volatile, unacknowledged }
          })
          enqueue({ type: "forgetBatches", params: { next } })
        }),
        seal,
        read
      ]
    },
    SourceEnded: {
      actions: [
        assign(({ context: { recoverable } }) => ({ recoverable: { ...recoverable, sourceEnded: true } })),
        seal
      ]
    }
  }
})

export const streamerStepper = stepper(streamerMachine)
export type StreamerSnapshot = ReturnType<typeof streamerStepper.initial>[0]
