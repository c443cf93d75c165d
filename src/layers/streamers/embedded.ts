/** Streamers that run in this process: one source, which each goes through for its part of the rows. */
import { Context, Effect, Layer } from "effect"
import { streamerWindowBytes, streamerWindowBytesMin } from "../../protocol/Limits.ts"
import { ProducerId } from "../../protocol/Log.ts"
import { type Shard, type ShardBy, shardsOf } from "../../protocol/Shard.ts"
import type { Broker } from "../Broker.ts"
import { drainAll, drainedOnClose } from "../Drain.ts"
import { instanceIds } from "../InstanceIds.ts"
import { Streamers } from "../Streamers.ts"
import type { TelemetrySource } from "../TelemetrySource.ts"
import { makeStreamer } from "./streamer.ts"

export interface StreamersOptions {
  /** The id of one; of several, what their ids begin with. */
  readonly streamerId: ProducerId
  readonly streamers: number
  /** How several share the rows of the source. */
  readonly shardBy: ShardBy
  /** The part of one alone that shares the rows with streamers of other processes. */
  readonly shard?: Shard | undefined
  /** Samples in a full batch. */
  readonly batchSize: number
  /** How long a batch collects unless it is full. */
  readonly collectIntervalMs: number
  /** Rows that all of them read together. */
  readonly rowsPerSecond: number | "max"
}

export class StreamerConfig extends Context.Tag("telemetry/StreamerConfig")<
  StreamerConfig,
  StreamersOptions
>() {
  static readonly defaults: StreamersOptions = {
    streamerId: ProducerId.make("streamer-1"),
    streamers: 1,
    shardBy: "host",
    batchSize: 100,
    collectIntervalMs: 5_000,
    rowsPerSecond: 1_000
  }
  static readonly layer = (config: Partial<StreamersOptions> = {}): Layer.Layer<StreamerConfig> =>
    Layer.succeed(StreamerConfig, { ...StreamerConfig.defaults, ...config })
}

/** Together they hold what one may hold, or a little each where they are very many. */
const windowBytesOf = (streamers: number): number =>
  Math.max(streamerWindowBytesMin, Math.floor(streamerWindowBytes / streamers))

/**
 * How many rows each goes through per second, so that together they read what one would read alone. Those that share the
 * rows go through all of them side by side: so a host is read as often, however many streamers there are.
 */
const rowsPerSecondOf = ({ rowsPerSecond, shardBy, streamers }: StreamersOptions): number | "max" =>
  rowsPerSecond === "max" || shardBy === "host" ? rowsPerSecond : rowsPerSecond / streamers

const make = Effect.gen(function* () {
  const config = yield* StreamerConfig
  const { streamerId, streamers, shardBy, batchSize, collectIntervalMs } = config
  const ids = instanceIds(streamerId, streamers)
  const shards = config.shard === undefined ? shardsOf(streamers, shardBy) : [config.shard]
  return yield* Effect.forEach(shards, (shard, index) =>
    makeStreamer({
      streamerId: ProducerId.make(ids[index]!),
      shard,
      batchSize,
      collectIntervalMs,
      rowsPerSecond: rowsPerSecondOf(config),
      windowBytes: windowBytesOf(streamers)
    })
  )
})

/** Runs streamers until the layer is closed, which drains them first. */
export const layer: Layer.Layer<Streamers, never, StreamerConfig | TelemetrySource | Broker> = Layer.scoped(
  Streamers,
  Effect.gen(function* () {
    const streamers = yield* drainedOnClose(make, (started) => drainAll(started.map(({ drain }) => drain)))
    return Streamers.of({
      progress: Effect.all(streamers.map(({ progress }) => progress)),
      done: Effect.all(
        streamers.map(({ done }) => done),
        { concurrency: "unbounded", discard: true }
      ),
      drain: drainAll(streamers.map(({ drain }) => drain))
    })
  })
)
