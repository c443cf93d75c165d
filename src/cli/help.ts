/** The help of the program and of each command, written from their settings. */
import packageJson from "../../package.json" with { type: "json" }
import { type CommandName, commandSettings } from "../layers/settings/commands.ts"
import { helpEntry, settingsHelp } from "../layers/settings/document.ts"

export const name = "telemetry-pipeline"

interface Described {
  readonly typed: string
  readonly meaning: string
  /** What it takes that is no setting. */
  readonly entries: ReadonlyArray<string>
}

const described: Readonly<Record<CommandName, Described>> = {
  run: {
    typed: "run",
    meaning: "Everything in one process, which others may join over TCP. The default.",
    entries: [
      helpEntry("--once", "Read the source once and exit when everything read is stored."),
      helpEntry("--serve", "After --once, go on answering REST. Without --once this is so anyway.")
    ]
  },
  broker: {
    typed: "broker",
    meaning: "The log, served over TCP. With --data it outlives the process.",
    entries: []
  },
  streamer: {
    typed: "streamer",
    meaning: "Reads a source and publishes to a broker; goes on where it was after any restart.",
    entries: [helpEntry("--once", "Read the source once and exit when everything read is acknowledged.")]
  },
  collector: {
    typed: "collector",
    meaning: "Reads a broker's log, each collector all of it, and stores it in InfluxDB.",
    entries: []
  },
  gateway: {
    typed: "gateway",
    meaning: "Answers REST from InfluxDB.",
    entries: []
  },
  offsets: {
    typed: "offsets list, offsets set ID PLACE",
    meaning:
      "The checkpoints of a running broker: list them, or set one. PLACE is earliest, latest, an offset, or a time such as " +
      "2026-01-31T12:00:00Z: the first message appended then or later.",
    entries: []
  },
  health: {
    typed: "health [URL]...",
    meaning:
      "Whether the processes of this machine are well, or what is at the URLs: exit code 0, or 1 and a line for each that is " +
      "not. Without a URL it asks /health at those ports on 127.0.0.1 where somebody listens; one has to be there.",
    entries: []
  },
  influxdb: {
    typed: "influxdb setup",
    meaning:
      "Waits for InfluxDB, sets it up where it is new, and sees that the token is one of its own. Doing it again changes " +
      "nothing.",
    entries: []
  }
}

const commands = Object.keys(described) as ReadonlyArray<CommandName>

const general = [
  helpEntry("-h, --help", "Of a command where one is named."),
  helpEntry("--version"),
  helpEntry("--completions SHELL", "Print a completion script for bash, zsh or fish.")
]

const flagsAndVariables =
  "In brackets: the environment variable of a flag. The flag wins; an empty value counts as unset."

/** The help of the program: every command, and every flag with its variable, default and the commands that have it. */
export const help: string = [
  `${name} ${packageJson.version}\n${packageJson.description}`,
  ["USAGE", `  ${name} [COMMAND] [FLAG]...`].join("\n"),
  [
    "COMMANDS",
    ...commands.map((command) => helpEntry(described[command].typed, described[command].meaning))
  ].join("\n"),
  ["RUN", ...described.run.entries].join("\n"),
  ["STREAMER", ...described.streamer.entries].join("\n"),
  ["GENERAL", ...general].join("\n"),
  `${flagsAndVariables}\nIn parentheses: the commands that have it.`,
  settingsHelp(commandSettings)
].join("\n\n")

const helpOfCommand = (command: CommandName): string => {
  const { typed, meaning, entries } = described[command]
  const usage = typed.split(", ").map((form) => `  ${name} ${form} [FLAG]...`)
  return [
    `${name} ${packageJson.version}`,
    ["USAGE", ...usage, helpEntry("", meaning).slice(3)].join("\n"),
    ...(entries.length === 0 ? [] : [[command.toUpperCase(), ...entries].join("\n")]),
    flagsAndVariables,
    settingsHelp({ [command]: commandSettings[command] })
  ].join("\n\n")
}

export const asksForHelp = (typed: ReadonlyArray<string>): boolean =>
  typed.includes("--help") || typed.includes("-h")

/** The help for what was typed first: a command's where it is one, else the program's. */
export const helpOf = (first: string | undefined): string => {
  const command = commands.find((known) => known === first)
  return command === undefined ? help : helpOfCommand(command)
}
