/** What may be set about streamers. */
import { hostname } from "node:os"
import { Config } from "effect"
import { type Shard, type ShardBy, shardsMax } from "../../protocol/Shard.ts"
import { idCharsMax } from "../InstanceIds.ts"
import { type Group, group, make, makeLate, type Values } from "../Setting.ts"
import { choice, duration, integer, orNone, rate, shardPart, text } from "./kinds.ts"

const common = {
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
}

/** Streamers of `run`, as many as one likes. */
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
  ...common
})

const alone = {
  streamerId: makeLate({
    env: "STREAMER_ID",
    aliases: ["INSTANCE_ID"],
    meaning: "The name under which the broker knows the streamer: no two that run have the same",
    kind: text("ID", idCharsMax),
    default: () => undefined,
    shown: "streamer-<hostname>; streamer-<hostname>-i with SHARD i/N"
  }),
  shard: make({
    env: "SHARD",
    meaning:
      "Which part of the source it reads, i/N: the rows of the hosts that are its own, where N streamers share the source as 0/N to (N-1)/N; none reads all",
    kind: orNone(shardPart),
    default: undefined
  }),
  ...common
}

/** Streamers, by how they come to their ids and to their parts of the source. */
export interface StreamerSettings
  extends Pick<Values<typeof common>, "batchSize" | "collectIntervalMs" | "rate"> {
  readonly streamerId: string
  readonly streamers: number
  readonly shardBy: ShardBy
  /** The part of the one streamer of a process that shares its source with those of others. */
  readonly shard?: Shard | undefined
}

/** The streamer of a process of its own. */
export const loneStreamerSettings: Group<typeof alone, StreamerSettings> = {
  title: "Streamer",
  settings: alone,
  config: Config.map(
    group("Streamer", alone).config,
    ({ streamerId, shard, ...settings }): StreamerSettings => ({
      ...settings,
      streamers: 1,
      shardBy: "host",
      shard,
      streamerId:
        streamerId ??
        (shard === undefined ? `streamer-${hostname()}` : `streamer-${hostname()}-${shard.index}`)
    })
  )
}
