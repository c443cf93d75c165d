/** What a streamer knows: what its facts said, and what it has in hand. And what follows from that. */
import type { Sequence } from "../../protocol/Log.ts"

export interface StreamerState {
  /** Sequence of the next batch to seal; null until the broker told where this producer is. */
  readonly nextSequence: Sequence | null
  /** Everything below is in the log. */
  readonly acknowledged: Sequence
  readonly sourceEnded: boolean
}

export type StreamerTimer = "collect" | "retry"

export interface StreamerVolatile {
  readonly batchSize: number
  readonly collectIntervalMs: number
  /** Batches, and their bytes, that may be sealed and not acknowledged. */
  readonly windowBatches: number
  readonly windowBytes: number
  readonly readRowsMax: number
  readonly retryDelayMsMin: number
  readonly retryDelayMsMax: number
  /** Numbers the attempts to connect, so that what an earlier connection still answers is told apart. */
  readonly connection: number
  readonly connected: boolean
  readonly retryDelayMs: number
  readonly sourceOpen: boolean
  /** A read is under way. */
  readonly reading: boolean
  /** Nothing more is to be read. */
  readonly draining: boolean
  /** Samples that were read and are in no batch yet, and whether their time is up. */
  readonly buffered: number
  readonly collecting: "idle" | "armed" | "due"
  /** Sealed batches that are not acknowledged, by the groups in which they were sealed. */
  readonly unacknowledged: ReadonlyArray<{ readonly next: Sequence; readonly bytes: number }>
  /** Everything below was sent on this connection. */
  readonly sent: Sequence
}

export interface StreamerContext {
  readonly recoverable: StreamerState
  readonly volatile: StreamerVolatile
}

export type StreamerInput = Pick<
  StreamerVolatile,
  | "batchSize"
  | "collectIntervalMs"
  | "windowBatches"
  | "windowBytes"
  | "readRowsMax"
  | "retryDelayMsMin"
  | "retryDelayMsMax"
>

/** Whether more may be sealed, and so be read. */
export const isWindowOpen = (
  { windowBatches, windowBytes, unacknowledged }: StreamerVolatile,
  state: StreamerState
): boolean =>
  state.nextSequence !== null &&
  state.nextSequence - state.acknowledged < windowBatches &&
  unacknowledged.reduce((bytes, group) => bytes + group.bytes, 0) < windowBytes

/** Samples to seal now: whole batches, and the rest too where their time is up or nothing follows; at most a window. */
export const sealable = (volatile: StreamerVolatile, state: StreamerState): number => {
  if (!isWindowOpen(volatile, state)) return 0
  const { buffered, batchSize, windowBatches } = volatile
  const nothingFollows = state.sourceEnded || (volatile.draining && !volatile.reading)
  const room = (windowBatches - (state.nextSequence! - state.acknowledged)) * batchSize
  const whole = buffered - (buffered % batchSize)
  return Math.min(nothingFollows || volatile.collecting === "due" ? buffered : whole, room)
}

/** Nothing more comes, and everything that came is in the log. */
export const isDone = ({
  context: { recoverable, volatile }
}: {
  readonly context: StreamerContext
}): boolean =>
  (recoverable.sourceEnded || (volatile.draining && !volatile.reading)) &&
  volatile.buffered === 0 &&
  (recoverable.nextSequence === null || recoverable.acknowledged >= recoverable.nextSequence)
