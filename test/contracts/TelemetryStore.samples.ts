/** What the parts of the TelemetryStore contract write and ask. */
import { Effect } from "effect"
import { type Page, type SampleQuery, TelemetryStore } from "../../src/layers/TelemetryStore.ts"
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
