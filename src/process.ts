/** A program as a process: its scheduler, its signals, its exit code, and one line where it fails. */
import { Cause, Effect, Exit, type Fiber } from "effect"
import * as Scheduler from "./layers/Scheduler.ts"
import { print } from "./terminal.ts"

/**
 * A terminal sends Ctrl-C to every process of its group, and npm passes it on to the one that it runs: what comes so soon
 * after a signal is the same one.
 */
const sameSignalMs = 500

/** The line that tells why a program failed: the message of what was expected to fail, all of what was not. */
const describe = (cause: Cause.Cause<unknown>): string => {
  const failure = Cause.failureOption(cause)
  if (failure._tag === "None") return Cause.pretty(cause)
  return failure.value instanceof Error ? failure.value.message : String(failure.value)
}

/**
 * Runs a program until it ends. SIGINT and SIGTERM interrupt it, which closes its scopes; a second one ends the process at
 * once. Exit codes: 0 after success or an orderly end (or what the program has set as `process.exitCode`), 1 after a failure,
 * 130 after a second signal.
 */
export const runProcess = <E>(program: Effect.Effect<void, E>): void => {
  const fiber: Fiber.RuntimeFiber<void, E> = Effect.runFork(program, { scheduler: Scheduler.make() })
  let signalledAtMs: number | undefined
  const onSignal = () => {
    const nowMs = performance.now()
    if (signalledAtMs === undefined) {
      signalledAtMs = nowMs
      fiber.unsafeInterruptAsFork(fiber.id())
    } else if (nowMs - signalledAtMs > sameSignalMs) process.exit(130)
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  // What waits for a timer or a socket of its own may be all there is: the process lives as long as its program.
  const alive = setInterval(() => {}, 2 ** 30)
  fiber.addObserver((exit) => {
    clearInterval(alive)
    const failed = Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)
    if (failed) print(describe(exit.cause))
    process.exit(failed ? 1 : (process.exitCode ?? 0))
  })
}
