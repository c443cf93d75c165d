/** InfluxDB, made ready before those come that store in it and read from it. */
import { Console, Effect } from "effect"
import { influxSetup } from "../compose/store.ts"
import type { InfluxdbSettings } from "../layers/settings/commands.ts"
import { print } from "../terminal.ts"

/** Whoever looks at the exit code must not take it for ready. */
const interrupted = Effect.sync(() => {
  print("interrupted before InfluxDB was ready")
  process.exitCode = 1
})

/** Does it, however long InfluxDB stays away, and ends. */
export const influxdbSetup = ({ store, administrator }: InfluxdbSettings) =>
  Effect.flatMap(influxSetup(store, administrator), Console.log).pipe(Effect.onInterrupt(() => interrupted))
