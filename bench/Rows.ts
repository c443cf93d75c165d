/** A CSV file as dcgm-exporter's scrapes look, and how its reading is timed. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { median, printTable } from "./Table.ts"

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

/** Runs `use` with the path of a file of `rowCount` rows, which is gone afterwards. */
export const withFile = async (rowCount: number, use: (path: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "bench-"))
  try {
    const path = join(folder, "rows.csv")
    writeFileSync(path, `${header}\n${Array.from({ length: rowCount }, (_, i) => rowOf(i)).join("\n")}\n`)
    await use(path)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const collectGarbage = (globalThis as { gc?: () => void }).gc ?? (() => {})

export interface Rate {
  readonly rowsPerSecond: number
  /** Time of this process per row, all its threads together: it holds still on a machine that is busy otherwise. */
  readonly cpuMicros: number
}

/** The rate of a run that answers how many rows it has read. */
export const measure = async (rowCount: number, run: () => Promise<number>): Promise<Rate> => {
  // Or what one side left behind would be collected, and paid for, by the other.
  collectGarbage()
  const startMs = performance.now()
  const before = process.cpuUsage()
  const rows = await run()
  const { user, system } = process.cpuUsage(before)
  if (rows !== rowCount) throw new Error(`read ${rows} of ${rowCount} rows`)
  return {
    rowsPerSecond: (rows * 1_000) / (performance.now() - startMs),
    cpuMicros: (user + system) / rows
  }
}

/** Prints two rates, the medians of their rounds, and what each round makes of the first; answers the ratio by the clock. */
export const printRates = (
  [aloneName, alone]: readonly [string, ReadonlyArray<Rate>],
  [name, rates]: readonly [string, ReadonlyArray<Rate>]
): number => {
  const ratio = median(rates.map((rate, round) => rate.rowsPerSecond / alone[round]!.rowsPerSecond))
  const cpuRatio = median(rates.map((rate, round) => alone[round]!.cpuMicros / rate.cpuMicros))
  const cells = (of: ReadonlyArray<Rate>) => [
    median(of.map((rate) => rate.rowsPerSecond)).toFixed(0),
    median(of.map((rate) => rate.cpuMicros)).toFixed(1)
  ]
  printTable(
    ["", "rows/s", "CPU µs/row", "ratio", "by CPU time"],
    [
      [aloneName, ...cells(alone), "1.00", "1.00"],
      [name, ...cells(rates), ratio.toFixed(2), cpuRatio.toFixed(2)]
    ]
  )
  return ratio
}
