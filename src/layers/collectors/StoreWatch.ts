/** Tells once that a store has become unavailable, and why, and once that it is back; not with every attempt in between. */
import { Effect } from "effect"
import type { StoreUnavailable } from "../TelemetryStore.ts"

/** Problems of one outage that are told; a store whose words differ each time does not fill the log. */
const problemsToldMax = 8

export class StoreWatch {
  private readonly told = new Set<string>()

  failed({ message }: StoreUnavailable): Effect.Effect<void> {
    if (this.told.has(message) || this.told.size >= problemsToldMax) return Effect.void
    this.told.add(message)
    return Effect.logWarning(`nothing can be stored, and samples wait in the log: ${message}`)
  }

  succeeded(): Effect.Effect<void> {
    if (this.told.size === 0) return Effect.void
    this.told.clear()
    return Effect.logInfo("samples are stored again")
  }
}
