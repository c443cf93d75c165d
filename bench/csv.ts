/**
 * Rows per second of the CSV source, end to end, against csv-parse alone on the same bytes.
 *
 * `npx tsx bench/csv.ts [rows]`. The ratio is what counts: it is what cutting, validating and interning cost beside parsing.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { parse } from "csv-parse/sync"
import { Effect, Layer, Option } from "effect"
import * as Rejects from "../src/layers/Rejects.ts"
import { TelemetrySource } from "../src/layers/TelemetrySource.ts"
import { CsvSourceConfig, layerCsv } from "../src/layers/telemetry-source/csv.ts"

const rowCount = Number(process.argv[2] ?? 100_000)
const rounds = 5
const rowsPerRead = 1_000
const gpusPerHost = 8
const metricNames = [
  "DCGM_FI_DEV_GPU_UTIL",
  "DCGM_FI_DEV_MEM_COPY_UTIL",
  "DCGM_FI_DEV_SM_CLOCK",
  "DCGM_FI_DEV_MEM_CLOCK",
  "DCGM_FI_DEV_GPU_TEMP",
  "DCGM_FI_DEV_POWER_USAGE",
  "DCGM_FI_DEV_FB_USED",
  "DCGM_FI_DEV_FB_FREE",
  "DCGM_FI_DEV_ENC_UTIL",
  "DCGM_FI_DEV_DEC_UTIL"
]
const header =
  "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw"

/** A row as dcgm-exporter's scrapes look: every cell quoted, the labels repeating the columns. */
const rowOf = (index: number): string => {
  const metricName = metricNames[index % metricNames.length]!
  const gpu = Math.floor(index / metricNames.length) % 250
  const gpuId = gpu % gpusPerHost
  const hostname = `mtv5-dgx1-hgpu-${String(Math.floor(gpu / gpusPerHost)).padStart(3, "0")}`
  const uuid = `GPU-5fd4f087-86f3-7a43-b711-${String(gpu).padStart(12, "0")}`
  const model = "NVIDIA H100 80GB HBM3"
  const labels =
    `DCGM_FI_DRIVER_VERSION="535.129.03",Hostname="${hostname}",UUID="${uuid}",__name__="${metricName}",` +
    `device="nvidia${gpuId}",gpu="${gpuId}",instance="${hostname}:9400",job="dgx_dcgm_exporter",modelName="${model}"`
  return [
    "2025-07-18T20:42:34Z",
    metricName,
    gpuId,
    `nvidia${gpuId}`,
    uuid,
    model,
    hostname,
    "",
    "",
    "",
    index % 101,
    labels
  ]
    .map((cell) => `"${String(cell).replaceAll('"', '""')}"`)
    .join(",")
}

const readAll = Effect.scoped(
  Effect.gen(function* () {
    const source = yield* TelemetrySource
    const reader = yield* source.open(Option.none())
    let samples = 0
    for (;;) {
      const chunk = yield* reader.read(rowsPerRead)
      if (Option.isNone(chunk)) return samples
      samples += chunk.value.samples.length
    }
  })
)

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const measure = async (run: () => Promise<number>): Promise<number> => {
  // Or what one side left behind would be collected, and paid for, by the other.
  collectGarbage()
  const startMs = performance.now()
  const rows = await run()
  if (rows !== rowCount) throw new Error(`read ${rows} of ${rowCount} rows`)
  return (rows * 1_000) / (performance.now() - startMs)
}

const folder = mkdtempSync(join(tmpdir(), "bench-csv-"))
try {
  const path = join(folder, "rows.csv")
  writeFileSync(path, `${header}\n${Array.from({ length: rowCount }, (_, i) => rowOf(i)).join("\n")}\n`)
  const layer = layerCsv.pipe(
    Layer.provide(Layer.merge(Rejects.layer, CsvSourceConfig.layer({ path, loop: false })))
  )
  const ratios: Array<number> = []
  // In turns, so that a noisy machine is noisy to both; the first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const alone = await measure(async () => parse(readFileSync(path)).length - 1)
    const ours = await measure(() => Effect.runPromise(readAll.pipe(Effect.provide(layer))))
    if (round === 0) continue
    ratios.push(ours / alone)
    console.log(
      `csv-parse alone ${Math.round(alone)} rows/s, source ${Math.round(ours)} rows/s, ` +
        `ratio ${(ours / alone).toFixed(2)}`
    )
  }
  const median = ratios.sort((a, b) => a - b)[Math.floor(rounds / 2)]!
  console.log(
    `median ratio ${median.toFixed(2)}, peak RSS ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`
  )
} finally {
  rmSync(folder, { recursive: true })
}
