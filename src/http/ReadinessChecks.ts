/** What must hold, beside what a server answers from, before a process takes requests. */
import { Context, Effect, Option } from "effect"
import { Unavailable } from "./Problem.ts"

/** Answers what is missing, as a clause that names it: `draining`. */
export type ReadinessCheck = Effect.Effect<Option.Option<string>>

/** There are none unless they are provided. */
export class ReadinessChecks extends Context.Reference<ReadinessChecks>()("telemetry/ReadinessChecks", {
  defaultValue: (): ReadonlyArray<ReadinessCheck> => []
}) {}

/** A prober waits for a second or a few; then an answer that says why is worth more than a better one. */
const checkMsMax = 2_000

/** What is missing where somebody who is needed can't answer this, or not in time. */
export const answers =
  (name: string) =>
  <E extends { readonly message: string }>(asked: Effect.Effect<unknown, E>): ReadinessCheck =>
    asked.pipe(
      Effect.timeoutTo({
        duration: checkMsMax,
        onSuccess: () => Option.none<string>(),
        onTimeout: () => Option.some(`${name}: no answer within ${checkMsMax} ms`)
      }),
      Effect.catchAll(({ message }) => Effect.succeed(Option.some(message)))
    )

/** A 503 that names everything that is missing. */
export const checkReadiness: Effect.Effect<void, Unavailable> = Effect.gen(function* () {
  const missing = yield* Effect.all(yield* ReadinessChecks, { concurrency: "unbounded" })
  const named = missing.flatMap(Option.toArray)
  if (named.length > 0) return yield* Effect.fail(Unavailable.because(named.join("; ")))
})
