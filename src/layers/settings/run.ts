/**
 * What may be set about `run`, component by component. A group's `config` gives a plain record; the composition turns
 * it into the component's own configuration.
 */
import { hostname } from "node:os"
import { Config, Effect, LogLevel, Option } from "effect"
import { shardsMax } from "../../protocol/Shard.ts"
import { idCharsMax } from "../InstanceIds.ts"
import { type Group, group, make, makeLate, type SettingRecord, type Values } from "../Setting.ts"
import { brokerHttpSettings } from "./broker-http.ts"
import {
  bytes,
  choice,
  duration,
  integer,
  logLevel,
  orNone,
  port,
  rate,
  startOffset,
  text,
  timerMsMax
} from "./kinds.ts"
import { type SourceSettings, sourceSettings } from "./source.ts"
import { type StoreSettings, storeSettings } from "./store.ts"

export { type SourceSettings, sourceSettings } from "./source.ts"
export { type StoreSettings, storeSettings } from "./store.ts"

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB
const hourMs = 3_600_000

/** Collectors of one process: each takes up to its credit, and decodes and writes everything once more. */
const collectorsMax = 64

export const streamerSettings = group("Streamer", {
  streamerId: makeLate({
    env: "STREAMER_ID",
    aliases: ["INSTANCE_ID"],
    meaning: "The name under which the broker knows the streamer; of several, what their names begin with",
    kind: text("ID", idCharsMax),
    default: () => `streamer-${hostname()}`,
    shown: "streamer-<hostname>"
  }),
  streamers: make({
    env: "STREAMERS",
    meaning: "How many streamers read the source; they are named <id>-0, <id>-1 and so on",
    kind: integer({ min: 1, max: shardsMax }),
    default: 1
  }),
  shardBy: make({
    env: "SHARD_BY",
    meaning:
      "How several streamers share the source: each reads the rows of its hosts (host), or everything (none)",
    kind: choice("HOW", ["host", "none"]),
    default: "host"
  }),
  batchSize: make({
    env: "BATCH_SIZE",
    meaning: "Samples with which a batch is full",
    kind: integer({ min: 1, max: 10_000 }),
    default: 100
  }),
  collectIntervalMs: make({
    env: "COLLECT_INTERVAL",
    meaning: "How long a batch collects unless it is full before",
    kind: duration(),
    default: 5_000
  }),
  rate: make({
    env: "RATE",
    meaning: "Rows read per second, by all streamers together",
    kind: rate,
    default: 1_000
  })
})

export const brokerSettings = group("Broker", {
  logRetentionBytes: make({
    env: "LOG_RETENTION_BYTES",
    meaning: "Size of the log, in memory",
    kind: bytes({ min: 64 * KiB, max: 64 * GiB }),
    default: 256 * MiB
  }),
  logRetentionMs: make({
    env: "LOG_RETENTION",
    meaning: "How old a message in the log may get; one that is not stored yet stays all the same (block)",
    kind: orNone(duration({ min: 1_000, max: 100 * 365 * 24 * hourMs })),
    default: undefined
  }),
  whenFull: make({
    env: "LOG_WHEN_FULL",
    meaning:
      "What a full log does: publishing waits for collectors (block), or the oldest messages go, stored or not (drop_oldest)",
    kind: choice("WHAT", ["block", "drop_oldest"]),
    default: "block"
  }),
  subscriberTtlMs: make({
    env: "SUBSCRIBER_TTL",
    meaning: "How long a subscriber that is not there keeps the log from dropping what it has not committed",
    kind: duration({ min: 1_000, max: 7 * 24 * hourMs }),
    default: 24 * hourMs
  }),
  redeliveriesMax: make({
    env: "MQ_MAX_RETRIES",
    meaning:
      "How often a message that its subscriber refuses (nack) is delivered again before it is quarantined",
    kind: integer({ min: 0, max: 1_000 }),
    default: 3
  }),
  redeliveryDelayMs: make({
    env: "MQ_RETRY_DELAY",
    meaning: "How long after a nack its message is delivered again",
    kind: duration(),
    default: 1_000
  })
})

export const collectorSettings = group("Collector", {
  collectorId: makeLate({
    env: "COLLECTOR_ID",
    aliases: ["INSTANCE_ID"],
    meaning:
      "The name under which the broker keeps the collector's checkpoint; of several, what their names begin with",
    kind: text("ID", idCharsMax),
    default: () => `collector-${hostname()}`,
    shown: "collector-<hostname>"
  }),
  collectors: make({
    env: "COLLECTORS",
    meaning: "How many collectors read the log, each all of it; they are named <id>-0, <id>-1 and so on",
    kind: integer({ min: 1, max: collectorsMax }),
    default: 1
  }),
  startOffset: make({
    env: "START_OFFSET",
    flag: "from",
    meaning: "Where a collector starts in the log while it has no checkpoint",
    kind: startOffset,
    default: "earliest"
  }),
  flushIntervalMs: make({
    env: "FLUSH_INTERVAL",
    meaning:
      "A ceiling for how long a sample waits to be written; never reached, as a write starts when the one before ends",
    kind: duration(),
    default: 10_000
  })
})

const page = integer({ min: 1, max: 1_000_000 }, "ROWS")

export const gatewaySettings = group("Gateway", {
  apiHost: make({
    env: "API_HOST",
    meaning: "Address that REST is served on; 0.0.0.0 opens it to the network",
    kind: text("HOST"),
    default: "127.0.0.1"
  }),
  apiPort: make({
    env: "API_PORT",
    aliases: ["PORT"],
    meaning: "Port that REST is served on",
    kind: port,
    default: 8080
  }),
  readTimeoutMs: make({
    env: "API_READ_TIMEOUT",
    meaning: "How long a client may take to send its request",
    kind: duration(),
    default: 10_000
  }),
  writeTimeoutMs: make({
    env: "API_WRITE_TIMEOUT",
    meaning: "How long an answer may stand still before its connection is closed",
    kind: duration(),
    default: 10_000
  }),
  defaultLimit: make({
    env: "DEFAULT_LIMIT",
    meaning: "Rows of a page for which no limit is asked",
    kind: page,
    default: 100
  }),
  maxLimit: make({
    env: "MAX_LIMIT",
    aliases: ["MAX_PAGE_SIZE"],
    meaning: "Most rows of a page, whatever limit is asked",
    kind: page,
    default: 1_000
  }),
  expectedIntervalMs: make({
    env: "EXPECTED_INTERVAL",
    meaning: "How old the newest sample of a GPU may get before the GPU counts as stale",
    kind: duration(),
    default: 60_000
  })
})

export const processSettings = group("Process", {
  logLevel: make({
    env: "LOG_LEVEL",
    meaning: "The least severe message that is logged",
    kind: logLevel,
    default: LogLevel.Info
  }),
  drainTimeoutMs: make({
    env: "DRAIN_TIMEOUT",
    meaning: "How long stopping may take until what is under way is stored; then exit code 1",
    kind: duration({ min: 0, max: timerMsMax }),
    default: 20_000
  })
})

/** Every group of `run`, in the order in which they are shown. */
export const runGroups: ReadonlyArray<Group<SettingRecord, unknown>> = [
  sourceSettings,
  streamerSettings,
  brokerSettings,
  brokerHttpSettings,
  collectorSettings,
  storeSettings,
  gatewaySettings,
  processSettings
]

/** Everything that may be set about `run`. */
export interface RunSettings {
  readonly source: SourceSettings
  readonly streamer: Values<typeof streamerSettings.settings>
  readonly broker: Values<typeof brokerSettings.settings>
  readonly brokerHttp: Values<typeof brokerHttpSettings.settings>
  readonly collector: Values<typeof collectorSettings.settings>
  readonly store: StoreSettings
  readonly gateway: Values<typeof gatewaySettings.settings>
  readonly process: Values<typeof processSettings.settings>
}

export const runSettings: Config.Config<RunSettings> = Config.all({
  source: sourceSettings.config,
  streamer: streamerSettings.config,
  broker: brokerSettings.config,
  brokerHttp: brokerHttpSettings.config,
  collector: collectorSettings.config,
  store: storeSettings.config,
  gateway: gatewaySettings.config,
  process: processSettings.config
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
