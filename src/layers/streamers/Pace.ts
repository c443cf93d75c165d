/** The pace at which a streamer reads: rows per second, evened out over short intervals. */
import { Clock, Effect } from "effect"

/** Rows are let through in portions of this time, so that a slow pace costs no wake-up per row. */
const portionMs = 50

export interface Pace {
  /** Waits until rows are due and answers how many, at most `rowsMax`. */
  readonly due: (rowsMax: number) => Effect.Effect<number>
  /** Rows that were read against what was due. */
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
    const pace: Pace = {
      due: (rowsMax) => Effect.suspend(() => due(rowsMax)),
      spend: (rows) => {
        credit -= rows
      }
    }
    return pace
  })
