/** Windows of more samples than one slice has, against those of memory. */
import { expect, it } from "@effect/vitest"
import { Chunk, Context, Effect, Layer, Stream } from "effect"
import { TelemetryStore, type WindowQuery } from "../../../../src/layers/TelemetryStore.ts"
import { layerMemory, MemoryStoreConfig } from "../../../../src/layers/telemetry-store/memory.ts"
import { aggregates } from "../../../../src/protocol/Window.ts"
import { windowsAlike } from "../../../properties/StoreQuestions.ts"
import { epochNs, sampleOf, secondNs } from "../../../Samples.ts"
import { freshStore } from "./Folder.ts"

const memory = Layer.provide(layerMemory, MemoryStoreConfig.layer())

/** Two crowds with years between them, and one instant that alone has more samples than a slice. */
const samples = Array.from({ length: 15_000 }, (_, i) => {
  const seconds = i < 4_000 ? i >> 2 : i < 10_000 ? 100_000_000 : 100_000_001 + (i >> 3)
  return sampleOf(epochNs + BigInt(seconds) * secondNs, ((i * 7_919) % 1_000) / 8, {
    uuid: `GPU-${i % 53}`,
    hostname: `host-${i % 5}`,
    metricName: i % 1_000 === 3 ? "RARE" : `M${i % 3}`,
    pod: i >= 4_000 && i < 10_000 ? `pod-${i}` : ""
  })
})

const queries: ReadonlyArray<Omit<WindowQuery, "order" | "aggregate">> = [
  { windowNs: 5n * secondNs, groupBy: "gpu" },
  { windowNs: 60n * secondNs, groupBy: "host" },
  { windowNs: 365n * 86_400n * secondNs, groupBy: "metric" },
  { windowNs: 7n * secondNs, groupBy: "model", metricName: "RARE" },
  { windowNs: 10n * secondNs, groupBy: "metric", uuid: "GPU-7" },
  {
    ...{ windowNs: 100n * secondNs, groupBy: "gpu", hostname: "host-3", metricName: "M1" },
    ...{ startNs: epochNs + 950n * secondNs, endNs: epochNs + 100_002_950n * secondNs }
  }
]

it.live("are those of memory, for every aggregate and both orders", () =>
  Effect.gen(function* () {
    const reference = Context.get(yield* Layer.build(memory), TelemetryStore)
    const store = Context.get(yield* Layer.build(freshStore()), TelemetryStore)
    for (let from = 0; from < samples.length; from += 5_000) {
      yield* reference.write(samples.slice(from, from + 5_000))
      yield* store.write(samples.slice(from, from + 5_000))
    }
    for (const query of queries) {
      for (const aggregate of aggregates) {
        for (const order of ["asc", "desc"] as const) {
          const asked = { ...query, aggregate, order }
          const [found, wanted] = yield* Effect.all(
            [store, reference].map(({ windows }) => Stream.runCollect(windows(asked)))
          )
          const rows = Chunk.toReadonlyArray(found!).flat()
          const expected = windowsAlike(asked, Chunk.toReadonlyArray(wanted!).flat())
          expect(rows).toEqual(expected)
        }
      }
    }
  }).pipe(Effect.scoped)
)
