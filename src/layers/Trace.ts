/** The last facts of an actor that recovers from elsewhere: there to look at, bounded, gone with the process. */
import { Effect } from "effect"
import { traceFactsMax } from "../protocol/Limits.ts"

export interface Trace<Fact> {
  /** Takes the place of a journal. */
  readonly keep: (facts: ReadonlyArray<Fact>) => Effect.Effect<void>
  /** Oldest first, at most `traceFactsMax`. */
  readonly recent: Effect.Effect<ReadonlyArray<Fact>>
}

export const make = <Fact>(): Trace<Fact> => {
  let facts: Array<Fact> = []
  return {
    keep: (more) =>
      Effect.sync(() => {
        facts.push(...more)
        if (facts.length > 2 * traceFactsMax) facts = facts.slice(-traceFactsMax)
      }),
    recent: Effect.sync(() => facts.slice(-traceFactsMax))
  }
}
