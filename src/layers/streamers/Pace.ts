/** The pace at which a streamer goes through its source: rows per second, evened out over short intervals. */
import { Clock, Effect } from "effect"

/** Rows become due in portions of this time, so that a slow pace costs no wake-up per row. */
const portionMs = 50

/** One caller at a time. */
export interface Pace {
  /** Waits until rows are due: how many, from 1 to `rowsMax`. */
  readonly due: (rowsMax: number) => Effect.Effect<number>
  /** Counts rows that were gone through, no more than were due. Those that are not counted stay due. */
  readonly spend: (rows: number) => void
}

const unlimited: Pace = { due: Effect.succeed, spend: () => {} }

/**
 * `rowsPerSecond` rows per second from now on, or as fast as it goes. What was not read in time (the source paused) is not
 * caught up beyond one portion.
 */
export const make = (rowsPerSecond: number | "max"): Effect.Effect<Pace> =>
  Effect.gen(function* () {
    if (rowsPerSecond === "max") return unlimited
    const portion = Math.max(1, (rowsPerSecond * portionMs) / 1000)
    let credit = 0
    let countedMs = yield* Clock.currentTimeMillis
    const due = (rowsMax: number): Effect.Effect<number> =>
      Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
        credit = Math.min(2 * portion, credit + ((nowMs - countedMs) * rowsPerSecond) / 1000)
        countedMs = nowMs
        const wanted = Math.min(portion, rowsMax)
        if (credit >= wanted) return Effect.succeed(Math.max(1, Math.min(rowsMax, Math.floor(credit))))
        const waitMs = Math.ceil(((wanted - credit) * 1000) / rowsPerSecond)
        return Effect.zipRight(Effect.sleep(waitMs), due(rowsMax))
      })
    return {
      due,
      spend: (rows) => {
        credit -= rows
      }
    }
  })
