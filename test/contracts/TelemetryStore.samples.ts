/** What the parts of the TelemetryStore contract write and ask. */
import { Effect } from "effect"
import { type Page, type SampleQuery, TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import type { Series } from "../../src/protocol/Series.ts"

/** Names a guarantee and checks it against a fresh store. */
export type Test = (guarantee: string, body: Effect.Effect<void, unknown, TelemetryStore>) => void

/** 2025-07-18T20:42:34Z. */
export const t0 = 1_752_871_354_000_000_000n
export const second = 1_000_000_000n

/** A series of GPU-1 but for the tags given. */
export const seriesOf = (tags: Partial<Series> = {}): Series => ({
  metricName: "DCGM_FI_DEV_GPU_UTIL",
  uuid: "GPU-1",
  hostname: "host-1",
  gpuId: 0,
  device: "nvidia0",
  modelName: "NVIDIA H100 80GB HBM3",
  container: "",
  pod: "",
  namespace: "",
  labels: [],
  ...tags
})

/** A sample of such a series. */
export const sampleOf = (timeNs: bigint, value = 1, tags: Partial<Series> = {}): Sample => ({
  series: seriesOf(tags),
  timeNs,
  value
})

const firstPage: Page = { limit: 10_000, start: { offset: 0 } }

/** The whole result of a query, ascending unless told otherwise. */
export const all = (query: Partial<SampleQuery> = {}) =>
  Effect.flatMap(TelemetryStore, (store) => store.page({ order: "asc", ...query }, firstPage))

/** Writes to the store of the test. */
export const write = (...samples: ReadonlyArray<Sample>) =>
  Effect.flatMap(TelemetryStore, (store) => store.write(samples))
