/** How far a collector is: what is persisted, without a gap and beyond gaps, and what the broker knows of it. */
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

/** The state when one more range is done: joined to what it touches. */
export const withPersisted = (state: CollectorState, range: Range): CollectorState => {
  let persisted: number = state.persisted
  const ahead: Array<Range> = []
  for (const next of [...state.ahead, range].sort((a, b) => a.from - b.from)) {
    const last = ahead.at(-1)
    if (next.from <= persisted) persisted = Math.max(persisted, next.to)
    else if (last !== undefined && next.from <= last.to) {
      ahead[ahead.length - 1] = { from: last.from, to: offsetOf(Math.max(last.to, next.to)) }
    } else ahead.push(next)
  }
  return { ...state, persisted: offsetOf(persisted), ahead }
}
