/** The rows of a file, and what came of them: in InfluxDB, asked with nothing of ours but Flux, and in the gateway's exports. */
import { readFile } from "node:fs/promises"
import { parseTime } from "../../src/protocol/Time.ts"

/** One sample in a form that can be compared: GPU, time in nanoseconds, value. */
export type Row = string

/** Of CSV without quotes, whose columns are counted from 0; sorted. */
const rowsOf = (text: string, uuid: number, time: number, value: number): ReadonlyArray<Row> =>
  text
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => {
      const cells = line.split(",")
      return `${cells[uuid]} ${parseTime(cells[time]!)} ${Number(cells[value])}`
    })
    .sort()

/** What a file says that streamers read. */
export const rowsOfFile = async (file: string): Promise<ReadonlyArray<Row>> =>
  rowsOf(await readFile(file, "utf8"), 4, 0, 10)

const textOf = async (url: string, init: RequestInit = {}): Promise<string> => {
  const response = await fetch(url, init)
  const text = await response.text()
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`)
  return text
}

/** An InfluxDB, asked with its own language. */
export interface Influx {
  readonly url: string
  readonly token: string
}

const answerOf = async ({ url, token }: Influx, pipe: string): Promise<string> =>
  textOf(`${url}/api/v2/query?org=cisco`, {
    method: "POST",
    headers: { authorization: `Token ${token}`, "content-type": "application/vnd.flux" },
    body: `from(bucket: "gpu_telemetry") |> range(start: 1970-01-01T00:00:00Z, stop: 2100-01-01T00:00:00Z)
      |> filter(fn: (r) => r._field == "value") ${pipe}`
  })

/** Every point of the bucket, and a point twice if InfluxDB had it twice. */
export const rowsOfInflux = async (influx: Influx): Promise<ReadonlyArray<Row>> => {
  const text = await answerOf(influx, '|> keep(columns: ["_time", "_value", "uuid"]) |> group()')
  const columns = text.slice(0, text.indexOf("\r\n")).split(",")
  return rowsOf(text, columns.indexOf("uuid"), columns.indexOf("_time"), columns.indexOf("_value"))
}

export const countOfInflux = async (influx: Influx): Promise<number> => {
  const text = await answerOf(influx, '|> group() |> count() |> keep(columns: ["_value"])')
  return Number(text.trim().split(",").at(-1))
}

/** What the gateway exports, of every GPU that it lists. */
export const rowsOfApi = async (url: string): Promise<ReadonlyArray<Row>> => {
  const { data } = JSON.parse(await textOf(`${url}/api/v1/gpus`)) as { data: ReadonlyArray<string> }
  const exports = await Promise.all(
    data.map((uuid) => textOf(`${url}/api/v1/gpus/${encodeURIComponent(uuid)}/telemetry/export?format=csv`))
  )
  return exports.flatMap((text) => rowsOf(text, 4, 0, 10)).sort()
}

/** Samples that are stored, as the gateway counts them. */
export const countOfApi = async (url: string): Promise<number> =>
  JSON.parse(await textOf(`${url}/api/v1/stats`)).total_metrics
