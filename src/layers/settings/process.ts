/** What may be set about any process, and the variables that mean nothing here. */
import { Config, Effect, LogLevel, Option } from "effect"
import { group, make } from "../Setting.ts"
import { duration, logLevel, timerMsMax } from "./kinds.ts"

/** Of a process that has nothing to drain. */
export const logSettings = group("Process", {
  logLevel: make({
    env: "LOG_LEVEL",
    meaning: "The least severe message that is logged",
    kind: logLevel,
    default: LogLevel.Info
  })
})

export const processSettings = group("Process", {
  ...logSettings.settings,
  drainTimeoutMs: make({
    env: "DRAIN_TIMEOUT",
    meaning: "How long stopping may take until what is under way is stored; then exit code 1",
    kind: duration({ min: 0, max: timerMsMax }),
    default: 20_000
  })
})

/** Variables of the earlier system that old manifests set and that mean nothing here. */
export const ignoredVariables = [
  "BUFFER_SIZE",
  "MQ_BUFFER_SIZE",
  "STREAM_INTERVAL",
  "GIN_MODE",
  "ENABLE_SWAGGER",
  "MQ_TOPIC"
] as const

/** Which of `ignoredVariables` are set, empty or not. */
export const ignoredVariablesSet: Config.Config<ReadonlyArray<string>> = Config.all(
  ignoredVariables.map((name) => Config.option(Config.string(name)))
).pipe(Config.map((values) => ignoredVariables.filter((_, index) => Option.isSome(values[index]!))))

/** Says once, in one line, which variables are set in vain; nothing where none is. */
export const tellIgnoredVariables: Effect.Effect<void> = Effect.orDie(ignoredVariablesSet).pipe(
  Effect.flatMap((names) =>
    names.length === 0
      ? Effect.void
      : Effect.logWarning(`ignored, they mean nothing here: ${names.join(" ")}`)
  )
)
