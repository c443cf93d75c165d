/** What a collector knows: how far it is, and what it has in hand. And what follows from that. */
import { type Offset, offsetOf } from "../../protocol/Log.ts"

/** Messages from `from` up to but not with `to`. */
export interface Range {
  readonly from: Offset
  readonly to: Offset
}

export interface CollectorState {
  /** The offset up to which the broker knows that the work is done. */
  readonly checkpoint: Offset
  /** Everything below is persisted. */
  readonly persisted: Offset
  /** What is persisted beyond that, ascending, not touching. */
  readonly ahead: ReadonlyArray<Range>
}

/** Messages that were received together, and how many samples they hold. */
export interface Received extends Range {
  readonly samples: number
}

/** Some samples of some messages: to be written when there is room, being written, or failed and waiting for its time. */
export interface Write extends Range {
  readonly id: number
  readonly firstSample: number
  readonly samples: number
  readonly state: "due" | "underway" | "failed"
  /** It has failed before; only then does it say that the store is back when it succeeds. */
  readonly isRetry: boolean
}

export type CollectorTimer = "subscribe" | "persist"

export interface CollectorVolatile {
  readonly writesMax: number
  readonly writeSamplesMax: number
  readonly retryDelayMsMin: number
  readonly retryDelayMsMax: number
  /** Numbers the attempts to subscribe, so that what an earlier one still answers is told apart. */
  readonly attempt: number
  readonly subscribeDelayMs: number
  /** The pause before the next retry, and the one that the store has asked for since the last. */
  readonly persistDelayMs: number
  readonly retryAfterMs: number
  readonly received: ReadonlyArray<Received>
  readonly writes: ReadonlyArray<Write>
  readonly nextWrite: number
  /** Writes of earlier subscriptions that the store has not answered: they take room, and nothing comes of them. */
  readonly abandoned: ReadonlyArray<number>
  readonly committing: boolean
  /** The collector is done when its checkpoint has come so far. */
  readonly drainTo: Offset | null
}

export interface CollectorContext {
  readonly recoverable: CollectorState
  readonly volatile: CollectorVolatile
}

export type CollectorInput = Pick<
  CollectorVolatile,
  "writesMax" | "writeSamplesMax" | "retryDelayMsMin" | "retryDelayMsMax"
>

/** The state when one more range is done: joined to what it touches. */
export const withPersisted = (state: CollectorState, range: Range): CollectorState => {
  let persisted: number = state.persisted
  const ahead: Array<Range> = []
  for (const next of [...state.ahead, range].sort((a, b) => a.from - b.from)) {
    const last = ahead.at(-1)
    if (next.from <= persisted) persisted = Math.max(persisted, next.to)
    else if (last !== undefined && next.from <= last.to) {
      ahead[ahead.length - 1] = { from: last.from, to: offsetOf(Math.max(last.to, next.to)) }
    } else ahead.push({ from: next.from, to: next.to })
  }
  return { ...state, persisted: offsetOf(persisted), ahead }
}

/** The next write: messages from the front of what was received, until it is full; at least one, however large. */
export const gather = (
  received: ReadonlyArray<Received>,
  samplesMax: number
): Received & { readonly taken: number } => {
  const first = received[0]!
  let { to, samples } = first
  let taken = 1
  for (; taken < received.length; taken++) {
    const next = received[taken]!
    if (next.from !== to || samples + next.samples > samplesMax) break
    to = next.to
    samples += next.samples
  }
  return { from: first.from, to, samples, taken }
}
