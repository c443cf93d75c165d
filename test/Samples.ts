/** The samples that examples are told with: of one GPU, from one instant on, unless they say otherwise. */
import type { Sample } from "../src/protocol/Sample.ts"
import type { Series } from "../src/protocol/Series.ts"

/** 2025-07-18T20:42:34Z */
export const epochNs = 1_752_871_354_000_000_000n
export const secondNs = 1_000_000_000n

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

/** A sample `seconds` after the epoch, which is its value too unless told. */
export const sampleAt = (seconds: number, tags: Partial<Series> = {}, value = seconds): Sample =>
  sampleOf(epochNs + BigInt(seconds) * secondNs, value, tags)
