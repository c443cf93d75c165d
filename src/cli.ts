/**
 * The command line: commands, flags, help. What a command does is handed in, so that this can be tested without it.
 *
 * @effect/cli parses; it is kept to that. Its help takes eight lines per flag and can't name a variable, its answer to
 * an unknown flag of a command that has subcommands names neither, and it prints errors itself. So `run` is put in where
 * no command is named, help is written from the settings, and errors come back as one `UsageError`.
 */
import { type CliApp, CliConfig, Command, HelpDoc, Options } from "@effect/cli"
import { Console, Effect, Option, Ref, Schema } from "effect"
import packageJson from "../package.json" with { type: "json" }
import { withFlags } from "./layers/Setting.ts"
import { helpEntry, settingsHelp } from "./layers/settings/document.ts"
import { boolean } from "./layers/settings/kinds.ts"
import { runGroups } from "./layers/settings/run.ts"

/** What `run` is asked for beside its settings. */
export interface RunOptions {
  /** The source is read once; the program ends when everything read is stored. */
  readonly once: boolean
  /** Goes on answering REST after that. Without `once` it does so anyway. */
  readonly serve: boolean
}

/** The command line can't be understood. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.problem} (see --help)`
  }
}

const name = "telemetry-pipeline"

const settings = runGroups.flatMap((group) => Object.values(group.settings))

/** @effect/cli takes `--log-level` for itself wherever it stands; under this name the setting gets it. */
const logLevel = { typed: "--log-level", parsed: "--minimum-log-level" }

const parsedFlag = (flag: string): string => (flag === logLevel.typed ? logLevel.parsed : flag)

const runOptions = {
  once: Options.boolean("once"),
  serve: Options.boolean("serve"),
  given: Options.all(
    settings.map((setting) => Options.text(parsedFlag(setting.flag).slice(2)).pipe(Options.optional))
  )
}

/** Every setting has a value in front of the parser, so that a switch's is read by the setting too: `--loop=off`. */
const normalise = (argument: string): string => {
  for (const { flag, isSwitch } of settings) {
    if (isSwitch && argument === flag) return `${flag}=true`
    if (isSwitch && argument === flag.replace("--", "--no-")) return `${flag}=false`
  }
  const [typed, ...value] = argument.split("=")
  return [parsedFlag(typed!), ...value].join("=")
}

const commands = ["run"]

/** The arguments as @effect/cli gets them, behind those of the command. */
const argumentsOf = (typed: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, UsageError> => {
  const first = typed[0]
  if (first === undefined || first.startsWith("-")) return Effect.succeed(["run", ...typed.map(normalise)])
  return commands.includes(first)
    ? Effect.succeed([first, ...typed.slice(1).map(normalise)])
    : Effect.fail(new UsageError({ problem: `unknown command ${first}, expected ${commands.join(" or ")}` }))
}

/** What is wrong, in the words of who typed it. @effect/cli calls a known flag unknown that is repeated or has no value. */
const usageProblem = (parserSays: string): string => {
  const unknown = /unknown argument: '(.*)'/s.exec(parserSays)?.[1]
  if (unknown === undefined) return parserSays
  const [flag, ...value] = unknown.replace(logLevel.parsed, logLevel.typed).split("=")
  const isKnown = ["--once", "--serve", ...settings.map((setting) => setting.flag)].includes(flag!)
  return isKnown
    ? `${flag} is given twice or without a value`
    : `unknown ${flag!.startsWith("-") ? "flag" : "argument"} ${[flag, ...value].join("=")}`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what starts a colour.
const colours = /\u001b\[[0-9;]*m/g

interface Parsed extends RunOptions {
  readonly flags: ReadonlyMap<string, string>
}

/** Answers what `run` is asked for; `None` where @effect/cli has done what was asked (the version, completions). */
const parse = (
  typed: ReadonlyArray<string>
): Effect.Effect<Option.Option<Parsed>, UsageError, CliApp.CliApp.Environment> =>
  Effect.gen(function* () {
    const parsed = yield* Ref.make(Option.none<Parsed>())
    const run = Command.make("run", runOptions, ({ once, serve, given }) => {
      const flags = settings.flatMap(({ flag }, i) =>
        Option.match(given[i]!, { onNone: () => [], onSome: (text) => [[flag, text] as const] })
      )
      return Ref.set(parsed, Option.some({ once, serve, flags: new Map(flags) }))
    })
    const cli = Command.run(Command.make(name).pipe(Command.withSubcommands([run])), {
      name,
      version: packageJson.version,
      executable: name
    })
    const console = yield* Effect.console
    const silent = { ...console, error: () => Effect.void }
    yield* cli([process.execPath, name, ...(yield* argumentsOf(typed))]).pipe(
      Effect.withConsole(silent),
      Effect.provide(CliConfig.layer({ isCaseSensitive: true })),
      Effect.catchAll(({ error }) =>
        Effect.fail(
          new UsageError({
            problem: usageProblem(HelpDoc.toAnsiText(error).replace(colours, "").trim().replace(/\s+/g, " "))
          })
        )
      )
    )
    return yield* parsed
  })

/** `--once` reads once whatever `LOOP` says; only a flag that says otherwise contradicts it. */
const flagsOf = ({ once, flags }: Parsed): Effect.Effect<ReadonlyMap<string, string>, UsageError> => {
  if (!once) return Effect.succeed(flags)
  return Option.contains(boolean.parse(flags.get("--loop") ?? ""), true)
    ? Effect.fail(new UsageError({ problem: "--once and --loop contradict each other" }))
    : Effect.succeed(new Map([...flags, ["--loop", "false"]]))
}

/** The help: every command, and every flag with its variable and default. */
export const help: string = [
  `${name} ${packageJson.version}\n${packageJson.description}`,
  ["USAGE", `  ${name} [run] [FLAG]...`].join("\n"),
  ["COMMANDS", helpEntry("run", "Everything in one process. The default.")].join("\n"),
  [
    "RUN",
    helpEntry("--once", "Read the source once and exit when everything read is stored."),
    helpEntry("--serve", "After --once, go on answering REST. Without --once this is so anyway."),
    helpEntry("-h, --help"),
    helpEntry("--version"),
    helpEntry("--completions SHELL", "Print a completion script for bash, zsh or fish.")
  ].join("\n"),
  "In brackets: the environment variable of a flag. The flag wins; an empty value counts as unset.",
  settingsHelp(runGroups)
].join("\n\n")

/**
 * The program behind `process.argv`. `run` finds the flags in the `ConfigProvider`, over what stood there before. Nothing
 * is printed about a failure: its `message` is the line to print, and the caller prints it once.
 */
export const makeCli =
  <E, R>(run: (options: RunOptions) => Effect.Effect<void, E, R>) =>
  (argv: ReadonlyArray<string>): Effect.Effect<void, E | UsageError, R | CliApp.CliApp.Environment> =>
    Effect.gen(function* () {
      const typed = argv.slice(2)
      if (typed.includes("--help") || typed.includes("-h")) return yield* Console.log(help)
      const parsed = yield* parse(typed)
      if (Option.isNone(parsed)) return
      const { once, serve } = parsed.value
      yield* run({ once, serve }).pipe(withFlags(yield* flagsOf(parsed.value)))
    })
