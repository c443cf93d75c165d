/** Windows of any samples, of any length and at any time that is carried, against the naive model. */
import { expect, it } from "@effect/vitest"
import { Chunk, Effect, FastCheck, Layer, Stream } from "effect"
import { TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import { layerMemory, MemoryStoreConfig } from "../../src/layers/telemetry-store/memory.ts"
import { type TimeNs, timeNsMax, timeNsMin } from "../../src/protocol/Time.ts"
import { crowdedEpochNs } from "../arbitraries.ts"
import { layerArray } from "../contracts/TelemetryStore.samples.ts"
import { settled, windowsOf } from "./NaiveSamples.ts"
import { carriedSamples, windowQuery, windowsAlike } from "./StoreQuestions.ts"

/** How far the samples are moved: not at all, across the epoch, to either end of what is carried. */
const shiftNs: FastCheck.Arbitrary<TimeNs> = FastCheck.constantFrom(
  0n,
  -crowdedEpochNs - 3n,
  -crowdedEpochNs - 3_000_000_000n,
  timeNsMin - crowdedEpochNs,
  timeNsMax - crowdedEpochNs - 5_000_000_000n
)

const stores = [
  ["memory", Layer.provide(layerMemory, MemoryStoreConfig.layer())],
  ["a scan", layerArray]
] as const

for (const [name, layer] of stores) {
  it.effect.prop(
    `the windows of ${name} are those that sorting and counting by hand would give`,
    { samples: carriedSamples(60), query: windowQuery, shiftNs },
    ({ samples, query, shiftNs }) =>
      Effect.gen(function* () {
        const shifted = samples.map((sample) => ({ ...sample, timeNs: sample.timeNs + shiftNs }))
        const { startNs, endNs, ...rest } = query
        const asked = {
          ...rest,
          ...(startNs === undefined ? {} : { startNs: startNs + shiftNs }),
          ...(endNs === undefined ? {} : { endNs: endNs + shiftNs })
        }
        const store = yield* TelemetryStore
        yield* store.write(shifted)
        const chunks = Chunk.toReadonlyArray(yield* Stream.runCollect(store.windows(asked)))
        expect(chunks.flat()).toEqual(windowsAlike(asked, windowsOf(settled(shifted), asked)))
        expect(chunks.every((chunk) => chunk.length > 0)).toBe(true)
      }).pipe(Effect.provide(layer)),
    { fastCheck: { numRuns: 200 } }
  )
}
