/** How a process ends that is told to: what it has is finished, within a limit. */
import { Effect } from "effect"
import { Draining } from "../layers/Draining.ts"
import { print, rewriteStatus } from "../terminal.ts"

/** Of a process that was to end by itself (`--once`): whoever looks at its exit code must not take it for done. */
export const endsUnfinished = Effect.sync(() => {
  print("interrupted before the source had ended")
  process.exitCode = 1
})

/**
 * Finishes what a process has. Layers do that too when they close, but only here can the exit code tell that it did not work.
 * It has a limit, closing what the process stands on included: what hangs must not keep the process.
 */
export const stop = <E extends { readonly message: string }, R>(
  { drainTimeoutMs }: { readonly drainTimeoutMs: number },
  /** What is being done, what of it was not, and what becomes of that: clauses for people. */
  { doing, lost }: { readonly doing: string; readonly lost: string },
  finish: Effect.Effect<void, E, R>
): Effect.Effect<void, never, Draining | R> =>
  Effect.gen(function* () {
    yield* (yield* Draining).begin
    rewriteStatus("")
    print(`stopping: ${doing}; once more ends at once`)
    setTimeout(() => {
      print(`stopping took longer than ${drainTimeoutMs} ms (DRAIN_TIMEOUT): ${lost}`)
      process.exit(1)
    }, drainTimeoutMs).unref()
    yield* finish
  }).pipe(
    Effect.catchAll(({ message }) =>
      Effect.sync(() => {
        print(`${lost}: ${message}`)
        process.exitCode = 1
      })
    )
  )
