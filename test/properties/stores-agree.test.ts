/**
 * One contract, whatever a store stands on: what any history of writes leaves in one, any question finds alike in another.
 *
 * The memory store is what the others are held against; that one is held against a naive model (store.test.ts,
 * paging.test.ts, windows.test.ts).
 */
import { expect, it } from "@effect/vitest"
import { Context, Effect, FastCheck, Layer } from "effect"
import { TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import { layerInflux } from "../../src/layers/telemetry-store/influx.ts"
import { layerMemory, MemoryStoreConfig } from "../../src/layers/telemetry-store/memory.ts"
import { layerArray } from "../contracts/TelemetryStore.samples.ts"
import { freshBucket, isInfluxThere } from "../influx/Buckets.ts"
import { freshStore } from "../layers/telemetry-store/file/Folder.ts"
import { carriedSamples, question } from "./StoreQuestions.ts"

const memory: Layer.Layer<TelemetryStore> = Layer.provide(layerMemory, MemoryStoreConfig.layer())

/** Each is built anew, and empty, for every run; one that takes its time has fewer of them. */
const stores: ReadonlyArray<{
  readonly name: string
  readonly layer: Layer.Layer<TelemetryStore, unknown>
  readonly numRuns: number
}> = [
  { name: "a scan", layer: layerArray, numRuns: 100 },
  { name: "a file", layer: freshStore(), numRuns: 20 },
  ...(isInfluxThere
    ? [{ name: "InfluxDB", layer: Layer.provide(layerInflux, freshBucket()), numRuns: 15 }]
    : [])
]

for (const { name, layer, numRuns } of stores) {
  it.live.prop(
    `${name} answers as memory does`,
    {
      writes: FastCheck.array(carriedSamples(40), { minLength: 1, maxLength: 3 }),
      questions: FastCheck.array(question, { minLength: 20, maxLength: 20 })
    },
    ({ writes, questions }) =>
      Effect.gen(function* () {
        const reference = Context.get(yield* Layer.build(memory), TelemetryStore)
        const store = Context.get(yield* Layer.build(layer), TelemetryStore)
        for (const samples of writes) {
          expect(yield* store.write(samples)).toEqual(yield* reference.write(samples))
        }
        for (const { about, of, ask, alike } of questions) {
          const label = `${about} of ${FastCheck.stringify(of)}`
          expect(yield* ask(store), label).toEqual(alike(yield* ask(reference)))
        }
      }).pipe(Effect.scoped),
    { fastCheck: { numRuns } }
  )
}
