/** Streamers that run in this process. */
import { Context, Effect, Layer } from "effect"
import { ProducerId } from "../../protocol/Log.ts"
import type { Broker } from "../Broker.ts"
import { drainedOnClose } from "../Drain.ts"
import { Streamers } from "../Streamers.ts"
import type { TelemetrySource } from "../TelemetrySource.ts"
import { makeStreamer, type StreamerOptions } from "./streamer.ts"

export class StreamerConfig extends Context.Tag("telemetry/StreamerConfig")<
  StreamerConfig,
  StreamerOptions
>() {
  static readonly defaults: StreamerOptions = {
    streamerId: ProducerId.make("streamer-1"),
    batchSize: 100,
    collectIntervalMs: 5_000,
    rowsPerSecond: 1_000
  }
  static readonly layer = (config: Partial<StreamerOptions> = {}): Layer.Layer<StreamerConfig> =>
    Layer.succeed(StreamerConfig, { ...StreamerConfig.defaults, ...config })
}

/** Runs a streamer until the layer is closed, which drains it first. */
export const layer: Layer.Layer<Streamers, never, StreamerConfig | TelemetrySource | Broker> = Layer.scoped(
  Streamers,
  Effect.gen(function* () {
    const streamer = yield* drainedOnClose(makeStreamer(yield* StreamerConfig), ({ drain }) => drain)
    return Streamers.of({
      progress: Effect.map(streamer.progress, (progress) => [progress]),
      done: streamer.done,
      drain: streamer.drain
    })
  })
)
