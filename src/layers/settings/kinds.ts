/** The kinds of values that settings take: what is accepted, how it is read, how it is shown. */
import { LogLevel, Option } from "effect"
import { type Shard, shardsMax } from "../../protocol/Shard.ts"
import { formatDuration, parseDuration } from "./duration.ts"

export interface Kind<A> {
  /** What is accepted, as a clause behind "expected". */
  readonly accepted: string
  /** What stands for the value in help: `--batch-size COUNT`. */
  readonly placeholder: string
  /** Reads a text without blanks around it. */
  readonly parse: (text: string) => Option.Option<A>
  /** A text that `parse` reads as that value. */
  readonly show: (value: A) => string
}

/** Bounds are inclusive. */
export interface Bounds {
  readonly min: number
  readonly max: number
}

const within = (bounds: Bounds, value: Option.Option<number>): Option.Option<number> =>
  Option.filter(value, (n) => n >= bounds.min && n <= bounds.max)

/** Any text that is not blank; a name unless told. */
export const text = (placeholder: string, charactersMax = 256): Kind<string> => ({
  accepted: `a text of at most ${charactersMax} characters`,
  placeholder,
  parse: (value) => (value.length <= charactersMax ? Option.some(value) : Option.none()),
  show: (value) => value
})

const parseInteger = (value: string): Option.Option<number> =>
  /^[+-]?\d+$/.test(value) ? Option.some(Number(value) + 0) : Option.none()

export const integer = (bounds: Bounds, placeholder = "COUNT"): Kind<number> => ({
  accepted: `an integer from ${bounds.min} to ${bounds.max}`,
  placeholder,
  parse: (value) => within(bounds, parseInteger(value)),
  show: String
})

/** A TCP port to listen on; 0 lets the system choose. */
export const port: Kind<number> = {
  ...integer({ min: 0, max: 65_535 }, "PORT"),
  accepted: "a port from 0 to 65535 (0: any that is free)"
}

const partOfAddress = <A>(part: (host: string, port: number) => A): Pick<Kind<A>, "accepted" | "parse"> => ({
  accepted: "an address such as 127.0.0.1:9001, [::1]:9001 or :9001 (every address of the machine)",
  parse: (value) => {
    const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d+)$/.exec(value) ?? []
    return digits === undefined
      ? Option.none()
      : Option.map(port.parse(digits), (number) => part(bracketed ?? (plain || "0.0.0.0"), number))
  }
})

/** The host, and the port, of `host:port`. */
export const hostOfAddress = partOfAddress((host) => host)
export const portOfAddress = partOfAddress((_, number) => number)

/** The longest that Node's timers can wait: beyond, they fire at once. */
export const timerMsMax = 24 * 24 * 3_600_000

/** Milliseconds, from a duration. */
export const duration = (bounds: Bounds = { min: 1, max: timerMsMax }): Kind<number> => ({
  accepted: `a duration from ${formatDuration(bounds.min)} to ${formatDuration(bounds.max)}, such as 500ms, 5s or 1h30m`,
  placeholder: "DURATION",
  parse: (value) => within(bounds, parseDuration(value)),
  show: formatDuration
})

const byteUnits: ReadonlyArray<readonly [name: string, bytes: number]> = [
  ["TiB", 2 ** 40],
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
  ["TB", 1e12],
  ["GB", 1e9],
  ["MB", 1e6],
  ["KB", 1e3],
  ["B", 1]
]

const parseBytes = (value: string): Option.Option<number> => {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]+)?$/i.exec(value)
  if (match === null) return Option.none()
  const unitName = (match[2] ?? "B").toLowerCase()
  const unit = byteUnits.find(([name]) => name.toLowerCase() === unitName)
  return Option.fromNullable(unit).pipe(
    Option.map(([, bytes]) => Number(match[1]) * bytes),
    Option.filter(Number.isSafeInteger)
  )
}

/** Bytes in the largest binary unit that leaves them whole: `256MiB`. */
export const formatBytes = (bytes: number): string => {
  const unit = byteUnits.find(([name, size]) => name.endsWith("iB") && bytes > 0 && bytes % size === 0)
  return unit === undefined ? String(bytes) : `${bytes / unit[1]}${unit[0]}`
}

export const bytes = (bounds: Bounds): Kind<number> => ({
  accepted: `a size from ${formatBytes(bounds.min)} to ${formatBytes(bounds.max)}, in bytes or with a unit such as KiB or MiB`,
  placeholder: "SIZE",
  parse: (value) => within(bounds, parseBytes(value)),
  show: formatBytes
})

const truths: ReadonlySet<string> = new Set(["true", "t", "1", "yes", "on"])
const falsehoods: ReadonlySet<string> = new Set(["false", "f", "0", "no", "off"])

/** Go's booleans and Effect's, in any case. */
export const boolean: Kind<boolean> = {
  accepted: "true, t, 1, yes, on or false, f, 0, no, off",
  placeholder: "BOOLEAN",
  parse: (value) => {
    const word = value.toLowerCase()
    return truths.has(word) ? Option.some(true) : falsehoods.has(word) ? Option.some(false) : Option.none()
  },
  show: String
}

const listed = (words: ReadonlyArray<string>): string => words.join(", ").replace(/, (?=[^,]*$)/, " or ")

/** One of some words, in any case. */
export const choice = <const A extends string>(
  placeholder: string,
  choices: readonly [A, ...ReadonlyArray<A>]
): Kind<A> => ({
  accepted: listed(choices),
  placeholder,
  parse: (value) => Option.fromNullable(choices.find((word) => word === value.toLowerCase())),
  show: (value) => value
})

/** Any of some words, separated by commas and in any case; `none` of them or `all`. */
export const someOf = <const A extends string>(
  placeholder: string,
  choices: readonly [A, ...ReadonlyArray<A>]
): Kind<ReadonlyArray<A>> => ({
  accepted: `none, all, or any of ${choices.join(", ")}, separated by commas`,
  placeholder,
  parse: (value) => {
    const words = value.split(",").map((word) => word.trim().toLowerCase())
    if (words.length === 1 && words[0] === "none") return Option.some([])
    if (words.length === 1 && words[0] === "all") return Option.some(choices)
    const chosen = choices.filter((word) => words.includes(word))
    return words.every((word) => chosen.some((known) => known === word)) ? Option.some(chosen) : Option.none()
  },
  show: (value) => (value.length === 0 ? "none" : value.length === choices.length ? "all" : value.join(","))
})

const levelWord = (level: LogLevel.LogLevel): string => level._tag.toLowerCase()

const levels = LogLevel.allLevels.filter((level) => level !== LogLevel.All)

/** Effect's levels by their names in any case, and `warn`. */
export const logLevel: Kind<LogLevel.LogLevel> = {
  accepted: listed(levels.map(levelWord)),
  placeholder: "LEVEL",
  parse: (value) => {
    const word = value.toLowerCase() === "warn" ? "warning" : value.toLowerCase()
    return Option.fromNullable(levels.find((level) => levelWord(level) === word))
  },
  show: levelWord
}

/** `none` or what `kind` accepts. */
export const orNone = <A>(kind: Kind<A>): Kind<A | undefined> => ({
  accepted: `none or ${kind.accepted}`,
  placeholder: kind.placeholder,
  parse: (value) => (value.toLowerCase() === "none" ? Option.some(undefined) : kind.parse(value)),
  show: (value) => (value === undefined ? "none" : kind.show(value))
})

/** How many rows a second: a number above 0, or as many as there are. */
export const rate: Kind<number | "max"> = {
  accepted: "max, or a number of rows per second above 0",
  placeholder: "ROWS_PER_SECOND",
  parse: (value) => {
    if (value.toLowerCase() === "max") return Option.some("max" as const)
    const rows = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : 0
    return rows > 0 && Number.isFinite(rows) ? Option.some(rows) : Option.none()
  },
  show: String
}

/** Where a subscription without a checkpoint starts. */
export const startOffset: Kind<"earliest" | "latest" | number> = {
  accepted: "earliest, latest, or an offset of 0 or more",
  placeholder: "OFFSET",
  parse: (value) => {
    const word = value.toLowerCase()
    if (word === "earliest" || word === "latest") return Option.some(word)
    return Option.filter(parseInteger(value), (n) => Number.isSafeInteger(n) && n >= 0)
  },
  show: String
}

/** The shape of a simulated fleet. */
export interface FleetShape {
  readonly hosts: number
  readonly gpusPerHost: number
}

const hosts: Bounds = { min: 1, max: 1_000 }
const gpusPerHost: Bounds = { min: 1, max: 16 }

/** `HOSTSxGPUS`. */
export const fleetShape: Kind<FleetShape> = {
  accepted: `HOSTSxGPUS, such as 32x8, with up to ${hosts.max} hosts of up to ${gpusPerHost.max} GPUs`,
  placeholder: "HOSTSxGPUS",
  parse: (value) => {
    const match = /^(\d+)x(\d+)$/i.exec(value)
    return match === null
      ? Option.none()
      : Option.all({
          hosts: integer(hosts).parse(match[1]!),
          gpusPerHost: integer(gpusPerHost).parse(match[2]!)
        })
  },
  show: (shape) => `${shape.hosts}x${shape.gpusPerHost}`
}

/** `i/N`: the part of one of N streamers that share a source. */
export const shardPart: Kind<Shard> = {
  accepted: `i/N, such as 0/4: the part i, from 0 to N-1, of N, at most ${shardsMax}`,
  placeholder: "I/N",
  parse: (value) => {
    const match = /^(\d{1,4})\/(\d{1,4})$/.exec(value)
    if (match === null) return Option.none()
    const [index, count] = [Number(match[1]), Number(match[2])]
    return index < count && count <= shardsMax ? Option.some({ index, count, by: "host" }) : Option.none()
  },
  show: ({ index, count }) => `${index}/${count}`
}
