/** The whole pipeline in one process and in memory, as the program composes it but for what serves HTTP. */
import { Effect, Layer } from "effect"
import * as Broker from "../src/layers/broker/embedded.ts"
import { Collectors } from "../src/layers/Collectors.ts"
import { CollectorConfig, layer as collectors } from "../src/layers/collectors/embedded.ts"
import * as Journal from "../src/layers/journal/memory.ts"
import * as OffsetLog from "../src/layers/offset-log/memory.ts"
import * as Rejects from "../src/layers/Rejects.ts"
import * as Scheduler from "../src/layers/Scheduler.ts"
import { Streamers } from "../src/layers/Streamers.ts"
import { StreamerConfig, layer as streamers } from "../src/layers/streamers/embedded.ts"
import type { TelemetrySource } from "../src/layers/TelemetrySource.ts"
import { TelemetryStore } from "../src/layers/TelemetryStore.ts"
import { CsvSourceConfig, layerCsv } from "../src/layers/telemetry-source/csv.ts"
import * as MemoryStore from "../src/layers/telemetry-store/memory.ts"
import { segmentsPerRetention } from "../src/protocol/Limits.ts"

export interface PipelineOptions {
  readonly streamers?: number
  readonly collectors?: number
  readonly retentionBytes?: number
}

/** From a source to a store, at full speed. */
export const pipeline = <E>(
  source: Layer.Layer<TelemetrySource, E, Rejects.Rejects>,
  { retentionBytes = Broker.BrokerConfig.defaults.retentionBytes, ...counts }: PipelineOptions = {}
) => {
  const segmentBytes = Math.ceil(retentionBytes / segmentsPerRetention)
  return streamers.pipe(
    Layer.provide(source),
    Layer.provide(StreamerConfig.layer({ rowsPerSecond: "max", streamers: counts.streamers ?? 1 })),
    Layer.provideMerge(
      collectors.pipe(Layer.provide(CollectorConfig.layer({ collectors: counts.collectors ?? 1 })))
    ),
    Layer.provide(
      Broker.layerEmbedded.pipe(
        Layer.provide([
          OffsetLog.layerMemory.pipe(Layer.provide(OffsetLog.MemoryLogConfig.layer({ segmentBytes }))),
          Journal.layerMemory,
          Broker.BrokerConfig.layer({ retentionBytes })
        ])
      )
    ),
    Layer.provideMerge(MemoryStore.layerMemory.pipe(Layer.provide(MemoryStore.MemoryStoreConfig.layer()))),
    Layer.provide(Rejects.layer),
    Layer.provideMerge(Scheduler.layer)
  )
}

/** Waits until every collector has stored all that was published; answers how many samples can be queried. */
const allStored = Effect.gen(function* () {
  yield* (yield* Collectors).subscribed
  yield* (yield* Streamers).done
  yield* (yield* Collectors).drain
  return (yield* (yield* TelemetryStore).stats).samples
})

/** Reads a file to its end, until every row is stored by everyone who stores. */
export const storeFile = (path: string, options: PipelineOptions = {}): Promise<number> => {
  const source = layerCsv.pipe(Layer.provide(CsvSourceConfig.layer({ path, loop: false })))
  return allStored.pipe(Effect.provide(pipeline(source, options)), Effect.runPromise)
}
