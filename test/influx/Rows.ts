/** What a bucket holds, asked with nothing of ours but Flux. */
import { Effect } from "effect"
import type { InfluxConfig } from "../../src/layers/telemetry-store/influx/Config.ts"
import { parseTime } from "../../src/protocol/Time.ts"

/** Time and value of every point, the oldest first; `where` is a condition on `r` in Flux. */
export const rowsOf = (
  config: InfluxConfig["Type"],
  where = "true"
): Effect.Effect<ReadonlyArray<{ readonly timeNs: bigint; readonly value: number }>> =>
  Effect.promise(async () => {
    const response = await fetch(`${config.url}/api/v2/query?org=${config.org}`, {
      method: "POST",
      headers: { authorization: `Token ${config.token}`, "content-type": "application/vnd.flux" },
      body: `from(bucket: "${config.bucket}") |> range(start: 1970-01-01T00:00:00Z, stop: 2100-01-01T00:00:00Z)
        |> filter(fn: (r) => r._field == "value" and ${where}) |> keep(columns: ["_time", "_value"]) |> sort(columns: ["_time"])`
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${response.status} ${text}`)
    return text
      .trim()
      .split("\r\n")
      .slice(1)
      .map((line) => {
        const [time, value] = line.split(",").slice(3)
        return { timeNs: parseTime(time!)!, value: Number(value) }
      })
  })
