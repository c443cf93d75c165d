/** Collectors that run in this process. */
import { Context, Effect, Layer } from "effect"
import { SubscriberId } from "../../protocol/Log.ts"
import { Broker } from "../Broker.ts"
import { Collectors } from "../Collectors.ts"
import { drainedOnClose } from "../Drain.ts"
import type { Rejects } from "../Rejects.ts"
import type { TelemetryStore } from "../TelemetryStore.ts"
import { type Collector, type CollectorOptions, makeCollector } from "./collector.ts"

export class CollectorConfig extends Context.Tag("telemetry/CollectorConfig")<
  CollectorConfig,
  CollectorOptions
>() {
  static readonly defaults: CollectorOptions = {
    collectorId: SubscriberId.make("collector-1"),
    from: "earliest"
  }
  static readonly layer = (config: Partial<CollectorOptions> = {}): Layer.Layer<CollectorConfig> =>
    Layer.succeed(CollectorConfig, { ...CollectorConfig.defaults, ...config })
}

/** Runs a collector until the layer is closed, which drains it first. */
export const layer: Layer.Layer<Collectors, never, CollectorConfig | Broker | TelemetryStore | Rejects> =
  Layer.scoped(
    Collectors,
    Effect.gen(function* () {
      const broker = yield* Broker
      const drainToEnd = (collector: Collector) =>
        Effect.flatMap(broker.stats, ({ nextOffset }) => collector.drainTo(nextOffset))
      const collector = yield* drainedOnClose(makeCollector(yield* CollectorConfig), drainToEnd)
      return Collectors.of({
        progress: Effect.map(collector.progress, (progress) => [progress]),
        drain: drainToEnd(collector),
        failed: collector.failed
      })
    })
  )
