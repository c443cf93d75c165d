/** What a process says while it works: its progress, and what it rejected. */
import { Duration, Effect, Schedule } from "effect"
import { Rejects } from "../layers/Rejects.ts"
import type { RejectReason } from "../protocol/Reject.ts"
import { hasStatusLine, print, rewriteStatus } from "../terminal.ts"

/** Between two rewrites of the status line, and between two lines of a log. */
const statusInterval = Duration.millis(250)
const logInterval = Duration.seconds(30)
/** Between two looks at what was rejected. */
const rejectsInterval = Duration.seconds(5)

export const count = (n: number): string => n.toLocaleString("en")

/** One by its id; of several how many, what each does, and their ids. */
export const told = (ids: ReadonlyArray<string>, each: string): string => {
  if (ids.length === 1) return ids[0]!
  const named = ids.length <= 4 ? ids.join(", ") : `${ids[0]} to ${ids[ids.length - 1]}`
  return `${ids.length}, ${each}: ${named}`
}

/** Shows a line that changes: on a terminal in its place, in a log from time to time. */
export const showProgress = <R>(line: Effect.Effect<string, never, R>): Effect.Effect<void, never, R> =>
  hasStatusLine
    ? Effect.flatMap(line, (text) => Effect.sync(() => rewriteStatus(text))).pipe(
        Effect.repeat(Schedule.spaced(statusInterval)),
        Effect.ensuring(Effect.sync(() => rewriteStatus("")))
      )
    : Effect.sleep(logInterval).pipe(Effect.zipRight(line), Effect.flatMap(Effect.logInfo), Effect.forever)

/** Says in the log what was rejected since the last time, a line per reason and not one per row. */
export const logRejects = Effect.gen(function* () {
  const rejects = yield* Rejects
  const told = new Map<RejectReason, number>()
  const tell = Effect.flatMap(rejects.byReason, (byReason) =>
    Effect.forEach(
      byReason.filter(({ reason, count: n }) => n > (told.get(reason) ?? 0)),
      ({ reason, count: n, recent }) => {
        const more = n - (told.get(reason) ?? 0)
        told.set(reason, n)
        const { origin, input } = recent[recent.length - 1]!
        return Effect.logWarning(
          `rejected ${count(more)} as ${reason}, the last at ${origin}: ${input.slice(0, 120)}`
        )
      }
    )
  )
  yield* Effect.repeat(tell, Schedule.spaced(rejectsInterval))
})

export const tellRejects = Effect.gen(function* () {
  for (const { reason, count: n, recent } of yield* (yield* Rejects).byReason) {
    const last = recent[recent.length - 1]!
    print(`rejected ${reason}: ${count(n)}, the last at ${last.origin}`)
  }
})
