import { expect, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { StoreUnavailable } from "../../../src/layers/TelemetryStore.ts"
import * as Scanning from "../../../src/layers/telemetry-store/scanning.ts"
import { telemetryStoreContract } from "../../contracts/TelemetryStore.contract.ts"
import { layerArray } from "../../contracts/TelemetryStore.samples.ts"
import { epochNs, sampleOf } from "../../Samples.ts"

telemetryStoreContract("a scan", layerArray)

it.effect("a store that can't be read fails every answer, and one that refuses a write refuses it", () =>
  Effect.gen(function* () {
    const unavailable = new StoreUnavailable({ store: "array", problem: "gone" })
    const failed = Effect.fail(unavailable)
    const store = Scanning.make({ description: "none", write: () => failed, scan: failed })
    for (const answer of [
      store.write([sampleOf(epochNs)]),
      store.page({ order: "asc" }, { limit: 1, start: { offset: 0 } }),
      Stream.runDrain(store.samples({ order: "asc" })),
      Stream.runDrain(store.windows({ order: "asc", windowNs: 1n, aggregate: "sum", groupBy: "gpu" })),
      store.gpus({}),
      store.gpu("GPU-1"),
      store.metricNames(Option.none()),
      store.stats,
      store.ready
    ]) {
      expect(yield* Effect.flip<unknown, unknown, never>(answer)).toBe(unavailable)
    }
  })
)
