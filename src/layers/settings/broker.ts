/** What may be set about the broker: its log, what it keeps of it, and what it does when a subscriber refuses a message. */
import { Config } from "effect"
import { type Group, group, make, makeLate, type Values } from "../Setting.ts"
import { dataDir, journalFolder, logFolder } from "./data.ts"
import { bytes, choice, duration, integer, orNone } from "./kinds.ts"

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB
const TiB = 1024 * GiB
const hourMs = 3_600_000

const settings = (whenFull: "block" | "drop_oldest") => ({
  logRetentionBytes: makeLate({
    env: "LOG_RETENTION_BYTES",
    meaning: "Size of the log",
    kind: bytes({ min: 64 * KiB, max: 64 * TiB }),
    default: () => undefined,
    shown: "256MiB; 10GiB with --data"
  }),
  logRetentionMs: makeLate({
    env: "LOG_RETENTION",
    meaning: "How old a message in the log may get; one that is not stored yet stays all the same (block)",
    kind: orNone(duration({ min: 1_000, max: 100 * 365 * 24 * hourMs })),
    default: () => "of_log" as const,
    shown: "none; 168h with --data"
  }),
  whenFull: make({
    env: "LOG_WHEN_FULL",
    meaning:
      "What a full log does: publishing waits for collectors (block), or the oldest messages go, stored or not (drop_oldest)",
    kind: choice("WHAT", ["block", "drop_oldest"]),
    default: whenFull
  }),
  subscriberTtlMs: make({
    env: "SUBSCRIBER_TTL",
    meaning: "How long a subscriber that is not there keeps the log from dropping what it has not committed",
    kind: duration({ min: 1_000, max: 7 * 24 * hourMs }),
    default: 24 * hourMs
  }),
  fsync: make({
    env: "FSYNC",
    meaning:
      "When what is published counts as safe from a loss of power, with --data: before it is acknowledged (always), within FSYNC_INTERVAL after it (interval), or when the system likes (never). A kill loses nothing acknowledged in any of them",
    kind: choice("WHEN", ["always", "interval", "never"]),
    default: "always"
  }),
  fsyncIntervalMs: make({
    env: "FSYNC_INTERVAL",
    meaning: "With FSYNC interval: the longest that something acknowledged is not safe from a loss of power",
    kind: duration({ min: 1, max: 60_000 }),
    default: 1_000
  }),
  onDamage: make({
    env: "LOG_ON_DAMAGE",
    meaning:
      "What is done at start where the log is damaged in its middle: stop and say where, or quarantine: the damaged file is copied aside, and what can be read of it is kept",
    kind: choice("WHAT", ["stop", "quarantine"]),
    default: "stop"
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

type Read = Values<ReturnType<typeof settings>>

export interface BrokerSettings
  extends Pick<Read, "whenFull" | "subscriberTtlMs" | "redeliveriesMax" | "redeliveryDelayMs"> {
  readonly retentionBytes: number
  readonly retentionMs: number | null
  /** On disk where there is a folder. */
  readonly log:
    | { readonly kind: "memory" }
    | ({ readonly kind: "files"; readonly directory: string; readonly journal: string } & Pick<
        Read,
        "fsync" | "fsyncIntervalMs" | "onDamage"
      >)
}

const resolve = ({
  read: { logRetentionBytes, logRetentionMs, fsync, fsyncIntervalMs, onDamage, ...policy },
  directory
}: {
  readonly read: Read
  readonly directory: string | undefined
}): BrokerSettings => {
  const isOnDisk = directory !== undefined
  return {
    ...policy,
    retentionBytes: logRetentionBytes ?? (isOnDisk ? 10 * GiB : 256 * MiB),
    retentionMs: (logRetentionMs === "of_log" ? (isOnDisk ? 168 * hourMs : null) : logRetentionMs) ?? null,
    log: isOnDisk
      ? {
          ...{ kind: "files", directory: logFolder(directory), journal: journalFolder(directory) },
          ...{ fsync, fsyncIntervalMs, onDamage }
        }
      : { kind: "memory" }
  }
}

/** Those of a broker that does this when its log is full, unless told. */
export const brokerSettings = (
  whenFull: "block" | "drop_oldest"
): Group<ReturnType<typeof settings>, BrokerSettings> => {
  const { title, settings: record, config } = group("Broker", settings(whenFull))
  return {
    title,
    settings: record,
    config: Config.map(Config.all({ read: config, directory: dataDir.config }), resolve)
  }
}
