/** The samples of a fleet as a collector writes them: in the order of time, each of a series with the same `Series` object. */
import type { Sample } from "../src/protocol/Sample.ts"
import type { Series } from "../src/protocol/Series.ts"

export const epochNs = 1_752_871_354_000_000_000n

export const fleet = (gpus: number, metrics: number): ReadonlyArray<Series> =>
  Array.from({ length: gpus * metrics }, (_, i) => ({
    metricName: `DCGM_FI_DEV_METRIC_${i % metrics}`,
    uuid: `GPU-${String(Math.floor(i / metrics)).padStart(8, "0")}`,
    hostname: `host-${Math.floor(i / metrics / 8)}`,
    gpuId: Math.floor(i / metrics) % 8,
    device: `nvidia${Math.floor(i / metrics) % 8}`,
    modelName: "NVIDIA H100 80GB HBM3",
    container: "",
    pod: "",
    namespace: "",
    labels: [["job", "dgx_dcgm_exporter"]]
  }))

/** The `index`-th sample of a fleet: all series at one second, then all at the next. */
export const sampleAt = (series: ReadonlyArray<Series>, index: number): Sample => ({
  series: series[index % series.length]!,
  timeNs: epochNs + BigInt(Math.floor(index / series.length)) * 1_000_000_000n,
  value: index % 101
})

export const batchAt = (series: ReadonlyArray<Series>, first: number, size: number): ReadonlyArray<Sample> =>
  Array.from({ length: size }, (_, i) => sampleAt(series, first + i))
