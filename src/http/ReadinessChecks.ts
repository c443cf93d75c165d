/** What must hold, beside its store, before a process takes requests. */
import { Context, type Effect, type Option } from "effect"

/** Each check answers what is missing, as a clause that names it: `draining`. There are none unless they are provided. */
export class ReadinessChecks extends Context.Reference<ReadinessChecks>()("telemetry/ReadinessChecks", {
  defaultValue: (): ReadonlyArray<Effect.Effect<Option.Option<string>>> => []
}) {}
