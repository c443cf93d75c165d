/**
 * Rejected input of this process: counted by reason, the last of each kept where they can be looked at.
 *
 * `add` is synchronous because it runs per row. Nothing is promised across restarts.
 */
import { Context, Effect, Layer } from "effect"
import { rejectBytesMax, rejectsKeptPerReason } from "../protocol/Limits.ts"
import { type RejectReason, rejectReasons } from "../protocol/Reject.ts"

/** One rejected input, as it can be looked at. */
export interface RejectedInput {
  /** Where it came from: file and row, or message offset and index. */
  readonly origin: string
  /** The input itself, cut at 1 KiB of UTF-8. */
  readonly input: string
}

/** What was rejected for one reason. */
export interface RejectedForReason {
  readonly reason: RejectReason
  readonly count: number
  /** The newest last, at most 100. */
  readonly recent: ReadonlyArray<RejectedInput>
}

export class Rejects extends Context.Tag("telemetry/Rejects")<
  Rejects,
  {
    /** Counts one input; `describe` is called only where the input is kept. */
    readonly add: (reason: RejectReason, describe: () => RejectedInput) => void
    /** Rejected inputs so far. */
    readonly total: Effect.Effect<number>
    /** Counts by reason, only reasons that occurred, in the order of the contract. */
    readonly byReason: Effect.Effect<ReadonlyArray<RejectedForReason>>
  }
>() {}

/** Cuts a text at `rejectBytesMax` bytes of UTF-8, never inside a character. */
export const cutInput = (input: string): string => {
  // A UTF-16 unit is at least one byte, so what lies behind the slice is cut anyway.
  const bytes = Buffer.from(input.slice(0, rejectBytesMax))
  let end = Math.min(bytes.length, rejectBytesMax)
  while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.subarray(0, end).toString()
}

const make = Effect.sync(() => {
  const kept = new Map<RejectReason, { count: number; recent: Array<RejectedInput> }>()
  return Rejects.of({
    add: (reason, describe) => {
      let entry = kept.get(reason)
      if (entry === undefined) {
        entry = { count: 0, recent: [] }
        kept.set(reason, entry)
      }
      const { origin, input } = describe()
      // A ring: the slot of the oldest takes the newest.
      entry.recent[entry.count % rejectsKeptPerReason] = { origin, input: cutInput(input) }
      entry.count++
    },
    total: Effect.sync(() => [...kept.values()].reduce((sum, entry) => sum + entry.count, 0)),
    byReason: Effect.sync(() =>
      rejectReasons.flatMap((reason) => {
        const entry = kept.get(reason)
        if (entry === undefined) return []
        const oldest = entry.count > rejectsKeptPerReason ? entry.count % rejectsKeptPerReason : 0
        return [
          {
            reason,
            count: entry.count,
            recent: [...entry.recent.slice(oldest), ...entry.recent.slice(0, oldest)]
          }
        ]
      })
    )
  })
})

/** Rejects of this process, in memory. */
export const layer: Layer.Layer<Rejects> = Layer.effect(Rejects, make)
