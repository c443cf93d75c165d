/** A store of one's own under the same services: it counts what it is given and leaves the rest to memory. */
import { Context, Effect, Layer } from "effect"
import { TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import * as Store from "../../src/layers/telemetry-store/memory.ts"

/** Samples written, per metric. */
export class MetricCounts extends Context.Tag("example/MetricCounts")<MetricCounts, Map<string, number>>() {
  static readonly layer = Layer.sync(MetricCounts, () => new Map())
}

export const layerCounting = Layer.effect(
  TelemetryStore,
  Effect.gen(function* () {
    const store = yield* TelemetryStore
    const counts = yield* MetricCounts
    return {
      ...store,
      description: `counting ${store.description}`,
      write: (samples) =>
        Effect.tap(store.write(samples), () => {
          for (const { series } of samples) {
            counts.set(series.metricName, (counts.get(series.metricName) ?? 0) + 1)
          }
        })
    }
  })
).pipe(Layer.provide(Store.layerMemory))
