/** What a command is asked for, beside its settings. */
import { Effect, Option, Schema } from "effect"
import type { CommandName } from "../layers/settings/commands.ts"
import { boolean, startOffset } from "../layers/settings/kinds.ts"
import { offsetOf, type StartFrom, SubscriberId } from "../protocol/Log.ts"
import { parseTime } from "../protocol/Time.ts"

/** The command line can't be understood. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.problem} (see --help)`
  }
}

export interface RunOptions {
  /** The source is read once; the program ends when everything read is stored. */
  readonly once: boolean
  /** Goes on answering REST after that. Without `once` it does so anyway. */
  readonly serve: boolean
}

/** What is to be done about checkpoints: show them, or set one. */
export type OffsetsAction =
  | { readonly type: "list" }
  | {
      readonly type: "set"
      readonly subscriberId: SubscriberId
      readonly to: StartFrom | { readonly atMs: number }
    }

export type Invocation =
  | ({ readonly command: "run" } & RunOptions)
  | { readonly command: "broker" | "collector" | "gateway" }
  /** With `once` it ends when everything read is acknowledged. */
  | { readonly command: "streamer"; readonly once: boolean }
  | { readonly command: "offsets"; readonly action: OffsetsAction }
  /** Of the processes of this machine, or of what is at these URLs. */
  | { readonly command: "health"; readonly urls: ReadonlyArray<URL> }
  | { readonly command: "influxdb"; readonly action: "setup" }

interface Parsed extends RunOptions {
  readonly flags: ReadonlyMap<string, string>
  readonly words: ReadonlyArray<string>
}

const refuse = (problem: string) => Effect.fail(new UsageError({ problem }))

const placeAccepted = "earliest, latest, an offset, or a time such as 2026-01-31T12:00:00Z"

/** A place in the log: one of its ends, an offset, or the first message appended at a time. */
const parsePlace = (text: string): Option.Option<StartFrom | { readonly atMs: number }> =>
  Option.orElse(
    Option.map(startOffset.parse(text), (place) => (typeof place === "number" ? offsetOf(place) : place)),
    () =>
      Option.map(Option.fromNullable(parseTime(text)), (timeNs) => ({
        atMs: Number(timeNs / 1_000_000n)
      }))
  )

const offsetsAction = (words: ReadonlyArray<string>): Effect.Effect<OffsetsAction, UsageError> => {
  const [action, id, place, ...others] = words
  if (action === "list" && id === undefined) return Effect.succeed({ type: "list" })
  if (action !== "set" || id === undefined || place === undefined || others.length > 0) {
    return refuse("offsets expects list, or set ID PLACE")
  }
  const to = parsePlace(place)
  if (Option.isNone(to))
    return refuse(`${JSON.stringify(place)} is no place in the log, expected ${placeAccepted}`)
  const subscriberId = Schema.decodeUnknownOption(SubscriberId)(id)
  return Option.isNone(subscriberId)
    ? refuse("the id of a subscriber has from 1 to 256 characters")
    : Effect.succeed({ type: "set", subscriberId: subscriberId.value, to: to.value })
}

const healthUrls = (words: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<URL>, UsageError> =>
  Effect.forEach(words, (word) =>
    /^https?:/.test(word) && URL.canParse(word)
      ? Effect.succeed(new URL(word))
      : refuse(`${JSON.stringify(word)} is no URL, expected one such as http://localhost:8080/health`)
  )

/** `--once` reads once whatever `LOOP` says; only a flag that says otherwise contradicts it. */
const flagsOf = ({ once, flags }: Parsed): Effect.Effect<ReadonlyMap<string, string>, UsageError> => {
  if (!once) return Effect.succeed(flags)
  return Option.contains(boolean.parse(flags.get("--loop") ?? ""), true)
    ? refuse("--once and --loop contradict each other")
    : Effect.succeed(new Map([...flags, ["--loop", "false"]]))
}

/** What was parsed, by what it means, and the flags that the settings are read from. */
export const invocationOf = (
  command: CommandName,
  parsed: Parsed
): Effect.Effect<
  { readonly invocation: Invocation; readonly flags: ReadonlyMap<string, string> },
  UsageError
> =>
  Effect.gen(function* () {
    const { once, serve, words } = parsed
    const flags = yield* flagsOf(parsed)
    switch (command) {
      case "run":
        return { flags, invocation: { command, once, serve } }
      case "streamer":
        return { flags, invocation: { command, once } }
      case "offsets":
        return { flags, invocation: { command, action: yield* offsetsAction(words) } }
      case "health":
        return { flags, invocation: { command, urls: yield* healthUrls(words) } }
      case "influxdb":
        if (words.length !== 1 || words[0] !== "setup") return yield* refuse("influxdb expects setup")
        return { flags, invocation: { command, action: "setup" } }
      default:
        return { flags, invocation: { command } }
    }
  })
