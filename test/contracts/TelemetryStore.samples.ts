/** What the parts of the TelemetryStore contract write and ask. */
import { Effect, Layer } from "effect"
import { type Page, type SampleQuery, TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import * as Scanning from "../../src/layers/telemetry-store/scanning.ts"
import type { Sample } from "../../src/protocol/Sample.ts"

/** Names a guarantee and checks it against a fresh store. */
export type Test = (guarantee: string, body: Effect.Effect<void, unknown, TelemetryStore>) => void

const firstPage: Page = { limit: 10_000, start: { offset: 0 } }

/** The whole result of a query, ascending unless told otherwise. */
export const all = (query: Partial<SampleQuery> = {}) =>
  Effect.flatMap(TelemetryStore, (store) => store.page({ order: "asc", ...query }, firstPage))

/** Writes to the store of the test. */
export const write = (...samples: ReadonlyArray<Sample>) =>
  Effect.flatMap(TelemetryStore, (store) => store.write(samples))

/** The simplest store that there can be: an array that every answer is read from. */
export const layerArray: Layer.Layer<TelemetryStore> = Layer.sync(TelemetryStore, () => {
  const written: Array<Sample> = []
  return Scanning.make({
    description: "an array",
    write: (samples) => Effect.sync(() => void written.push(...samples)),
    scan: Effect.sync(() => written)
  })
})
