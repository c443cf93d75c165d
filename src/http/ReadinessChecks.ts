/** What must hold, beside what a server answers from, before a process takes requests. */
import { Context, Effect, type Option } from "effect"
import { Unavailable } from "./Problem.ts"

/** Each check answers what is missing, as a clause that names it: `draining`. There are none unless they are provided. */
export class ReadinessChecks extends Context.Reference<ReadinessChecks>()("telemetry/ReadinessChecks", {
  defaultValue: (): ReadonlyArray<Effect.Effect<Option.Option<string>>> => []
}) {}

/** A 503 that names the first thing that is missing. */
export const checkReadiness: Effect.Effect<void, Unavailable> = Effect.gen(function* () {
  for (const check of yield* ReadinessChecks) {
    const missing = yield* check
    if (missing._tag === "Some") return yield* Effect.fail(Unavailable.because(missing.value))
  }
})
