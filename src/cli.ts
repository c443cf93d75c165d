/**
 * The command line: commands, flags, help. What a command does is handed in, so that this can be tested without it.
 *
 * @effect/cli parses; it is kept to that. Its help takes eight lines per flag and can't name a variable, its answer to
 * an unknown flag of a command that has subcommands names neither, it wants flags before arguments, and it prints errors
 * itself. So `run` is put in where no command is named, flags are put first, help is written from the settings, and errors
 * come back as one `UsageError`.
 */
import { Args, type CliApp, CliConfig, Command, HelpDoc, Options } from "@effect/cli"
import { Console, Effect, Option, Ref } from "effect"
import packageJson from "../package.json" with { type: "json" }
import { asksForHelp, helpOf, name } from "./cli/help.ts"
import { type Invocation, invocationOf, UsageError } from "./cli/Invocation.ts"
import { withFlags } from "./layers/Setting.ts"
import { type CommandName, commandSettings } from "./layers/settings/commands.ts"

export { help, helpOf } from "./cli/help.ts"
export { type Invocation, type OffsetsAction, type RunOptions, UsageError } from "./cli/Invocation.ts"

const commands = Object.keys(commandSettings) as ReadonlyArray<CommandName>

const settingsOf = (command: CommandName) =>
  commandSettings[command].groups.flatMap((group) => Object.values(group.settings))

/** @effect/cli takes `--log-level` for itself wherever it stands; under this name the setting gets it. */
const logLevel = { typed: "--log-level", parsed: "--minimum-log-level" }

const parsedFlag = (flag: string): string => (flag === logLevel.typed ? logLevel.parsed : flag)

/** Flags that stand alone and are no settings, by the commands that have them. */
const switches: Readonly<Partial<Record<CommandName, ReadonlyArray<string>>>> = {
  run: ["--once", "--serve"],
  streamer: ["--once"]
}

/** Commands that take words behind their names. */
const wordy: ReadonlyArray<CommandName> = ["offsets", "health", "influxdb"]

const hasFlag = (command: CommandName, flag: string): boolean =>
  (switches[command] ?? []).includes(flag) || settingsOf(command).some((setting) => setting.flag === flag)

/**
 * What was typed behind a command, flags first, each with its value in one piece. Every setting has a value in front of the
 * parser, so that a switch's is read by the setting too: `--loop=off`.
 */
const normalise = (command: CommandName, typed: ReadonlyArray<string>): ReadonlyArray<string> => {
  const settings = settingsOf(command)
  const flags: Array<string> = []
  const others: Array<string> = []
  for (let i = 0; i < typed.length; i++) {
    const argument = typed[i]!
    const setting = settings.find(({ flag }) => flag === argument)
    const denied = settings.find(({ flag, isSwitch }) => isSwitch && argument === flag.replace("--", "--no-"))
    const next = typed[i + 1]
    if (setting?.isSwitch === true) flags.push(`${setting.flag}=true`)
    else if (denied !== undefined) flags.push(`${denied.flag}=false`)
    else if (setting !== undefined && next !== undefined && !next.startsWith("--")) {
      flags.push(`${parsedFlag(argument)}=${next}`)
      i++
    } else if (argument.startsWith("-")) {
      const [flag, ...value] = argument.split("=")
      flags.push([parsedFlag(flag!), ...value].join("="))
    } else others.push(argument)
  }
  return [...flags, ...others]
}

/** Which command is meant, and what was typed behind it. */
const commandOf = (
  typed: ReadonlyArray<string>
): Effect.Effect<readonly [CommandName, ReadonlyArray<string>], UsageError> => {
  const first = typed[0]
  if (first === undefined || first.startsWith("-")) return Effect.succeed(["run", typed])
  const command = commands.find((known) => known === first)
  return command === undefined
    ? Effect.fail(
        new UsageError({ problem: `unknown command ${first}, expected one of ${commands.join(", ")}` })
      )
    : Effect.succeed([command, typed.slice(1)])
}

/** What is wrong, in the words of who typed it. @effect/cli calls a known flag unknown that is repeated or has no value. */
const usageProblem = (command: CommandName, parserSays: string): string => {
  const unknown = /unknown argument: '(.*)'/s.exec(parserSays)?.[1]
  if (unknown === undefined) return parserSays
  const [flag, ...value] = unknown.replace(logLevel.parsed, logLevel.typed).split("=")
  if (hasFlag(command, flag!)) return `${flag} is given twice or without a value`
  const others = commands.filter((other) => hasFlag(other, flag!))
  const of =
    others.length === 0
      ? ""
      : ` of ${command}; ${others.join(", ")} ${others.length === 1 ? "has" : "have"} it`
  return `unknown ${flag!.startsWith("-") ? "flag" : "argument"} ${[flag, ...value].join("=")}${of}`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what starts a colour.
const colours = /\u001b\[[0-9;]*m/g

interface Parsed {
  readonly once: boolean
  readonly serve: boolean
  readonly flags: ReadonlyMap<string, string>
  readonly words: ReadonlyArray<string>
}

/** A command as @effect/cli knows it, which keeps what it was asked for. */
const parserOf = (command: CommandName, keep: (parsed: Parsed) => Effect.Effect<void>) => {
  const settings = settingsOf(command)
  const never = Options.none.pipe(Options.map(() => false))
  const options = {
    once: hasFlag(command, "--once") ? Options.boolean("once") : never,
    serve: hasFlag(command, "--serve") ? Options.boolean("serve") : never,
    given: Options.all(
      settings.map((setting) => Options.text(parsedFlag(setting.flag).slice(2)).pipe(Options.optional))
    ),
    words: wordy.includes(command)
      ? Args.text({ name: "words" }).pipe(Args.repeated)
      : Args.none.pipe(Args.map((): Array<string> => []))
  }
  return Command.make(command, options, ({ once, serve, given, words }) => {
    const flags = settings.flatMap(({ flag }, i) =>
      Option.match(given[i]!, { onNone: () => [], onSome: (text) => [[flag, text] as const] })
    )
    return keep({ once, serve, words, flags: new Map(flags) })
  })
}

/** Answers what a command is asked for; `None` where @effect/cli has done what was asked (the version, completions). */
const parse = (
  command: CommandName,
  typed: ReadonlyArray<string>
): Effect.Effect<Option.Option<Parsed>, UsageError, CliApp.CliApp.Environment> =>
  Effect.gen(function* () {
    const parsed = yield* Ref.make(Option.none<Parsed>())
    const keep = (what: Parsed) => Ref.set(parsed, Option.some(what))
    const [first, ...others] = commands.map((known) => parserOf(known, keep))
    const cli = Command.run(Command.make(name).pipe(Command.withSubcommands([first!, ...others])), {
      name,
      version: packageJson.version,
      executable: name
    })
    const console = yield* Effect.console
    const silent = { ...console, error: () => Effect.void }
    yield* cli([process.execPath, name, command, ...normalise(command, typed)]).pipe(
      Effect.withConsole(silent),
      Effect.provide(CliConfig.layer({ isCaseSensitive: true })),
      Effect.catchAll(({ error }) => {
        const said = HelpDoc.toAnsiText(error).replace(colours, "").trim().replace(/\s+/g, " ")
        return Effect.fail(new UsageError({ problem: usageProblem(command, said) }))
      })
    )
    return yield* parsed
  })

/**
 * The program behind `process.argv`. A command finds the flags in the `ConfigProvider`, over what stood there before. Nothing
 * is printed about a failure: its `message` is the line to print, and the caller prints it once.
 */
export const makeCli =
  <E, R>(execute: (invocation: Invocation) => Effect.Effect<void, E, R>) =>
  (argv: ReadonlyArray<string>): Effect.Effect<void, E | UsageError, R | CliApp.CliApp.Environment> =>
    Effect.gen(function* () {
      const typed = argv.slice(2)
      if (asksForHelp(typed)) return yield* Console.log(helpOf(typed[0]))
      const [command, behind] = yield* commandOf(typed)
      const parsed = yield* parse(command, behind)
      if (Option.isNone(parsed)) return
      const { invocation, flags } = yield* invocationOf(command, parsed.value)
      yield* execute(invocation).pipe(withFlags(flags))
    })
