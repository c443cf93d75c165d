/** Files that streamers read: each row is known by its value, and has a time and a series of its own. */
import { writeFile } from "node:fs/promises"
import { formatTime } from "../../src/protocol/Time.ts"

const metricName = "DCGM_FI_DEV_FB_USED"
const header =
  "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw"
const hosts = 5
const nanosPerMs = 1_000_000n

/** Writes a file of so many rows, the last of them now; row `n` has value `n`. */
export const writeRows = async (path: string, streamer: string, rows: number): Promise<void> => {
  const startMs = BigInt(Date.now() - rows)
  const lines = [header]
  for (let n = 0; n < rows; n++) {
    const host = `${streamer}-host-${n % hosts}`
    const time = formatTime((startMs + BigInt(n)) * nanosPerMs)
    lines.push(`${time},${metricName},0,nvidia0,GPU-${streamer}-${n % hosts},H100,${host},,,,${n},`)
  }
  await writeFile(path, `${lines.join("\n")}\n`)
}
