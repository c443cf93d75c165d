import { NodeContext } from "@effect/platform-node"
import { it } from "@effect/vitest"
import { ConfigProvider, Console, Effect, Either } from "effect"
import { describe, expect } from "vitest"
import packageJson from "../package.json" with { type: "json" }
import { help, helpOf, type Invocation, makeCli, UsageError } from "../src/cli.ts"
import { load } from "../src/layers/Setting.ts"
import { commandSettings, type RunSettings, runSettings } from "../src/layers/settings/commands.ts"

interface Ran {
  readonly invocation: Invocation
  readonly settings: RunSettings
}

/** What the command line makes of arguments: what was asked for, if anything was, what was printed, and the failure. */
const execute = (args: ReadonlyArray<string>, variables: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const printed: Array<string> = []
    const complained: Array<unknown> = []
    const calls: Array<Ran> = []
    const console = yield* Effect.console
    const outcome = yield* makeCli((invocation) =>
      Effect.andThen(load(runSettings.config), (settings) => {
        calls.push({ invocation, settings })
      })
    )(["node", "telemetry-pipeline", ...args]).pipe(
      Console.withConsole({
        ...console,
        log: (...texts) => Effect.sync(() => printed.push(...texts.map(String))),
        error: (...texts) => Effect.sync(() => complained.push(...texts))
      }),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))),
      Effect.provide(NodeContext.layer),
      Effect.either
    )
    // Failures are values here: the caller prints them, once.
    expect(complained).toEqual([])
    return { ran: calls[0], calls: calls.length, printed: printed.join("\n"), outcome }
  })

/** The problem that a command line has. */
const problem = (args: ReadonlyArray<string>, variables: Readonly<Record<string, string>> = {}) =>
  execute(args, variables).pipe(
    Effect.map(({ calls, outcome }) => {
      expect(calls).toBe(0)
      return Either.match(outcome, { onLeft: (error) => error.message, onRight: () => "none" })
    })
  )

describe("run", () => {
  it.effect("is what happens where no command is named", () =>
    Effect.gen(function* () {
      for (const args of [[], ["run"]]) {
        const { ran } = yield* execute(args)
        expect(ran?.invocation).toEqual({ command: "run", once: false, serve: false })
        expect(ran?.settings.streamer.batchSize).toBe(100)
      }
    })
  )

  it.effect("takes flags with and without its name, and they win over variables", () =>
    Effect.gen(function* () {
      const flags = [
        "--batch-size",
        "7",
        "--api-port=0",
        "--csv",
        "a=b.csv",
        "--from=latest",
        "--log-level",
        "debug"
      ]
      for (const args of [flags, ["run", ...flags]]) {
        const { ran } = yield* execute(args, {
          BATCH_SIZE: "9",
          RATE: "max",
          CSV_PATH: "c.csv",
          API_PORT: "x"
        })
        expect(ran?.settings.streamer).toMatchObject({ batchSize: 7, rate: "max" })
        expect(ran?.settings.gateway.apiPort).toBe(0)
        expect(ran?.settings.source.source).toEqual({ kind: "csv", path: "a=b.csv" })
        expect(ran?.settings.collector.startOffset).toBe("latest")
        expect(ran?.settings.process.logLevel._tag).toBe("Debug")
      }
    })
  )

  it.effect("has switches, with a no- form and with a value", () =>
    Effect.gen(function* () {
      const loops = function* (args: ReadonlyArray<string>, LOOP: string) {
        return (yield* execute(args, { LOOP })).ran?.settings.source.loop
      }
      expect(yield* loops([], "off")).toBe(false)
      expect(yield* loops(["--loop"], "off")).toBe(true)
      expect(yield* loops(["--no-loop"], "on")).toBe(false)
      expect(yield* loops(["--loop=no"], "on")).toBe(false)
    })
  )

  it.effect("--once reads once whatever LOOP says", () =>
    Effect.gen(function* () {
      const { ran } = yield* execute(["--once", "--serve"], { LOOP: "true" })
      expect(ran?.invocation).toEqual({ command: "run", once: true, serve: true })
      expect(ran?.settings.source.loop).toBe(false)
      expect(yield* problem(["--once", "--loop"])).toBe(
        "--once and --loop contradict each other (see --help)"
      )
    })
  )
})

describe("what is wrong with a command line is told in one line that names it", () => {
  const cases: ReadonlyArray<readonly [args: string, line: string]> = [
    ["--bathc-size 5", "unknown flag --bathc-size (see --help)"],
    ["run --bathc-size=5", "unknown flag --bathc-size=5 (see --help)"],
    ["--BATCH-SIZE 5", "unknown flag --BATCH-SIZE (see --help)"],
    ["-x", "unknown flag -x (see --help)"],
    [
      "serve",
      "unknown command serve, expected one of run, broker, streamer, collector, gateway, offsets, health, influxdb (see --help)"
    ],
    ["gateway --rate 1", "unknown flag --rate of gateway; run, streamer have it (see --help)"],
    ["broker --once", "unknown flag --once of broker; run, streamer have it (see --help)"],
    ["offsets", "offsets expects list, or set ID PLACE (see --help)"],
    ["offsets set c-1", "offsets expects list, or set ID PLACE (see --help)"],
    ["offsets list c-1", "offsets expects list, or set ID PLACE (see --help)"],
    [
      "offsets set c-1 yesterday",
      '"yesterday" is no place in the log, expected earliest, latest, an offset, or a time such as 2026-01-31T12:00:00Z (see --help)'
    ],
    [
      "health localhost:8080",
      '"localhost:8080" is no URL, expected one such as http://localhost:8080/health (see --help)'
    ],
    ["influxdb", "influxdb expects setup (see --help)"],
    ["influxdb reset", "influxdb expects setup (see --help)"],
    ["run fast", "unknown argument fast (see --help)"],
    ["--batch-size", "--batch-size is given twice or without a value (see --help)"],
    ["--rate 1 --rate 2", "--rate is given twice or without a value (see --help)"],
    ["--log-level", "--log-level is given twice or without a value (see --help)"],
    ["--batch-size 0", '--batch-size: "0" is not accepted, expected an integer from 1 to 10000'],
    ["--storage-type redis", '--storage-type: "redis" is not accepted, expected memory, file or influxdb'],
    ["--csv a --simulate 1x1", "--csv and --simulate contradict each other, expected at most one of them"]
  ]
  for (const [args, line] of cases) {
    it.effect(args, () => Effect.map(problem(args.split(" ")), (message) => expect(message).toBe(line)))
  }

  it.effect("and a variable by its own name", () =>
    Effect.gen(function* () {
      expect(yield* problem([], { BATCH_SIZE: "0" })).toBe(
        'BATCH_SIZE: "0" is not accepted, expected an integer from 1 to 10000'
      )
    })
  )

  it.effect("and as a UsageError where it is the command line's form", () =>
    Effect.gen(function* () {
      const { outcome } = yield* execute(["--nonsense"])
      expect(Either.flip(outcome).pipe(Either.getOrThrow)).toBeInstanceOf(UsageError)
    })
  )
})

describe("the other commands", () => {
  it.effect("are asked for by their names, each with its own flags", () =>
    Effect.gen(function* () {
      for (const command of ["broker", "collector", "gateway"] as const) {
        expect((yield* execute([command])).ran?.invocation).toEqual({ command })
      }
      for (const once of [true, false]) {
        const args = ["streamer", "--shard", "1/2", ...(once ? ["--once"] : [])]
        expect((yield* execute(args)).ran?.invocation).toEqual({ command: "streamer", once })
      }
    })
  )

  it.effect("health takes URLs, influxdb what it is to do", () =>
    Effect.gen(function* () {
      const asked = (...args: ReadonlyArray<string>) =>
        Effect.map(execute(args), ({ ran }) => ran?.invocation)
      const url = "https://h:1/health?a=b"
      expect(yield* asked("health")).toEqual({ command: "health", urls: [] })
      expect(yield* asked("health", url, "--api-port", "1")).toEqual({
        command: "health",
        urls: [new URL(url)]
      })
      expect(yield* asked("influxdb", "setup", "--influxdb-org=o")).toEqual({
        command: "influxdb",
        action: "setup"
      })
    })
  )

  it.effect("offsets take a place in the log, and flags before and behind what they are to do", () =>
    Effect.gen(function* () {
      const asked = (args: ReadonlyArray<string>) =>
        Effect.map(execute(["offsets", ...args]), ({ ran }) => ran?.invocation)
      expect(yield* asked(["list"])).toEqual({ command: "offsets", action: { type: "list" } })
      const places = {
        earliest: "earliest",
        latest: "latest",
        "17": 17,
        "2026-01-31T12:00:00.5+01:00": { atMs: Date.parse("2026-01-31T11:00:00.500Z") }
      }
      for (const [place, to] of Object.entries(places)) {
        const action = { type: "set", subscriberId: "c-1", to }
        expect(yield* asked(["--mq-host", "h", "set", "c-1", place])).toEqual({ command: "offsets", action })
        expect(yield* asked(["set", "c-1", "--mq-host=h", place, "--mq-tls"])).toEqual({
          command: "offsets",
          action
        })
      }
    })
  )
})

describe("--help", () => {
  const entryOf = (text: string, flag: string, meaning: string) => {
    const described = `${text}\n`.replace(/\n {6}(?=\S)/g, " ")
    const start = described.indexOf(`${meaning}. Accepts`)
    expect(start, flag).toBeGreaterThan(0)
    return described.slice(described.lastIndexOf("\n", start), described.indexOf("\n", start))
  }

  it("of a command lists every setting of it with flag, variable, older names and default, and no other", () => {
    for (const [command, { groups }] of Object.entries(commandSettings)) {
      const shown = helpOf(command)
      const settings = groups.flatMap((group) => Object.values(group.settings))
      for (const { flag, env, aliases, defaultShown, meaning } of settings) {
        const entry = entryOf(shown, flag, meaning)
        expect(entry).toMatch(new RegExp(`^\n  ${flag}\\b(?!-)`))
        expect(entry).toContain(`[${[env, ...aliases].join(", ")}; default: ${defaultShown}]`)
      }
      const flags = [...shown.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, flag]) => flag)
      expect(flags.filter((flag) => !["--once", "--serve"].includes(flag!))).toHaveLength(settings.length)
    }
  })

  it("of the program lists those of all commands, and which have them", () => {
    for (const [command, { groups }] of Object.entries(commandSettings)) {
      for (const { flag, meaning } of groups.flatMap((group) => Object.values(group.settings))) {
        expect(entryOf(help, flag, meaning)).toMatch(new RegExp(`\\((.*, )?${command}(, .*)?\\)$`))
      }
    }
  })

  it("fits a terminal of 120 columns", () => {
    for (const command of [undefined, ...Object.keys(commandSettings)]) {
      for (const line of helpOf(command).split("\n")) expect(line.length, line).toBeLessThanOrEqual(120)
    }
  })

  it.effect("is printed wherever it stands, and nothing runs", () =>
    Effect.gen(function* () {
      for (const args of [["--help"], ["-h"], ["--batch-size", "x", "--help"]]) {
        const { calls, printed } = yield* execute(args)
        expect(calls).toBe(0)
        expect(printed).toBe(help)
      }
      for (const args of [
        ["broker", "--help"],
        ["broker", "--data", "x", "-h"]
      ]) {
        const { calls, printed } = yield* execute(args)
        expect(calls).toBe(0)
        expect(printed).toBe(helpOf("broker"))
      }
    })
  )
})

it.effect("--version is the package's, and nothing runs", () =>
  Effect.gen(function* () {
    const { calls, printed } = yield* execute(["--version"])
    expect(calls).toBe(0)
    expect(printed).toContain(packageJson.version)
  })
)
