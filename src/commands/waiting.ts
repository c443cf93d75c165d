/** Says that a process waits for its store, where that is not there yet when the process starts. */
import { Effect, Schedule } from "effect"
import { OutageLog } from "../layers/OutageLog.ts"
import { TelemetryStore } from "../layers/TelemetryStore.ts"

/** Between two looks, growing from one to the other, and spread by chance. */
const lookInterval = Schedule.exponential("250 millis").pipe(
  Schedule.union(Schedule.spaced("10 seconds")),
  Schedule.jittered
)

/** Ends once the store has answered; what is out of reach later, its users tell. */
export const tellWhileAway = Effect.gen(function* () {
  const { ready } = yield* TelemetryStore
  const outage = new OutageLog("waiting for the store", "the store answers")
  yield* ready.pipe(
    Effect.tapError(({ message }) => outage.failed(message)),
    Effect.retry(lookInterval)
  )
  yield* outage.succeeded()
})
