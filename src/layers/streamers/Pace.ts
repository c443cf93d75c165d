/**
 * The pace at which rows are read: rows per second, evened out over short intervals, however many streamers read them.
 *
 * Hosts are not spread evenly over streamers, so that none has a pace of its own: what one does not use the others do.
 * They take turns, whoever waits longest is next, and a turn is one portion: none starves.
 */
import { Clock, Effect } from "effect"
import * as Turns from "./Turns.ts"

/** Rows are let through in portions of this time, so that a slow pace costs no wake-up per row. */
const portionMs = 50

export interface Pace {
  /** Waits until rows are due and takes them: how many, from 1 to `rowsMax`. */
  readonly take: (rowsMax: number) => Effect.Effect<number>
  /** Gives back rows that were taken and not read. */
  readonly giveBack: (rows: number) => void
}

const unlimited: Pace = { take: Effect.succeed, giveBack: () => {} }

/**
 * `rowsPerSecond` rows per second from now on, or as fast as it goes. What was not read in time (the source paused) is not
 * caught up beyond one portion.
 */
export const make = (rowsPerSecond: number | "max"): Effect.Effect<Pace> =>
  Effect.gen(function* () {
    if (rowsPerSecond === "max") return unlimited
    const portion = Math.max(1, (rowsPerSecond * portionMs) / 1000)
    const inTurn = Turns.make()
    let credit = 0
    let givenBack = 0
    let wake = () => {}
    const givenBackSince = (before: number) =>
      Effect.async<void>((resume) => {
        wake = () => resume(Effect.void)
        if (givenBack > before) wake()
      })
    let countedMs = yield* Clock.currentTimeMillis
    const take = (rowsMax: number): Effect.Effect<number> =>
      Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
        credit = Math.min(2 * portion, credit + ((nowMs - countedMs) * rowsPerSecond) / 1000)
        countedMs = nowMs
        const wanted = Math.min(portion, rowsMax)
        if (credit >= wanted) {
          const taken = Math.max(1, Math.min(rowsMax, Math.floor(credit)))
          credit -= taken
          return Effect.succeed(taken)
        }
        const waitMs = Math.ceil(((wanted - credit) * 1000) / rowsPerSecond)
        return Effect.zipRight(
          Effect.raceFirst(Effect.sleep(waitMs), givenBackSince(givenBack)),
          take(rowsMax)
        )
      })
    const pace: Pace = {
      take: (rowsMax) => inTurn(Effect.suspend(() => take(rowsMax))),
      giveBack: (rows) => {
        if (rows === 0) return
        credit += rows
        givenBack += rows
        wake()
      }
    }
    return pace
  })
