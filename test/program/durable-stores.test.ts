/** The program killed at the worst moments, over stores that outlive it: what was stored is there, once. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parse } from "csv-parse/sync"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest"
import { removeBuckets } from "../influx/Buckets.ts"
import { FaultProxy } from "../influx/FaultProxy.ts"
import { ready } from "../influx/Influxd.ts"
import { eventually, type Program, start } from "./Program.ts"

const sampleFile = fileURLToPath(new URL("../../deploy/sample/dcgm_metrics.csv", import.meta.url))
const passes = 24
const influx = inject("influx")

let folder: string
let file: string
/** What a sample is, in a form in which rows of the file and answers of the API can be compared. */
let expected: ReadonlyArray<string>

type Row = Record<string, string | number>

const identity = (row: Row): string =>
  [row.timestamp, row.metric_name, row.uuid, row.hostname, row.gpu_id, Number(row.value)].join("|")

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "telemetry-durable-"))
  file = join(folder, "metrics.csv")
  const [header, ...lines] = (await readFile(sampleFile, "utf8")).trimEnd().split("\n")
  const rows = Array.from({ length: passes }, (_, second) =>
    lines.map((line) => line.replace(/\d\dZ/, `${String(second).padStart(2, "0")}Z`))
  ).flat()
  const text = `${[header, ...rows].join("\n")}\n`
  await writeFile(file, text)
  const parsed: ReadonlyArray<Row> = parse(text, { columns: true })
  expected = parsed.map((row) => identity({ ...row, hostname: row.Hostname! })).sort()
})
afterAll(() => rm(folder, { recursive: true }))

const flags = (...more: ReadonlyArray<string>) => [
  "--csv",
  file,
  "--timestamps",
  "original",
  "--once",
  "--serve",
  ...more
]

const stored = async (program: Program): Promise<number> => {
  const stats = await program.json<{ total_metrics?: number }>("/api/v1/stats")
  return stats.total_metrics ?? 0
}

/** Lets a program do its work to the end, and answers all that its API has. */
const finished = async (program: Program): Promise<ReadonlyArray<string>> => {
  await program.says(/rows read .*\n/)
  expect(await stored(program)).toBe(expected.length)
  const { data: uuids } = await program.json<{ data: ReadonlyArray<string> }>("/api/v1/gpus")
  const rows: Array<Row> = []
  for (const uuid of uuids) {
    const { data } = await program.json<{ data: ReadonlyArray<Row> }>(`/api/v1/gpus/${uuid}/telemetry/export`)
    rows.push(...data)
  }
  program.signal("SIGTERM")
  expect(await program.exit).toBe(0)
  return rows.map(identity).sort()
}

describe("with --data", () => {
  test("whatever was stored when it was killed is there when it starts again, and the rest follows", async () => {
    const data = join(folder, "data")
    let before = 0
    for (let kill = 1; kill <= 5; kill++) {
      const program = await start(flags("--data", data, "--rate", "20000"))
      expect(await stored(program)).toBeGreaterThanOrEqual(before)
      // Each one reads the file from its start: identity makes it harmless.
      before = await eventually(
        () => stored(program),
        (samples) => samples >= Math.min(kill * 3_000, expected.length)
      )
      program.signal("SIGKILL")
      await program.exit
    }
    expect(await finished(await start(flags("--data", data, "--rate", "max")))).toEqual(expected)
  })
})

describe.skipIf(influx === undefined)("with InfluxDB", () => {
  test("killed between what InfluxDB stored and the commit of it, again and again, it loses and doubles nothing", async () => {
    await ready(influx!)
    const proxy = await FaultProxy.start(influx!.url)
    const bucket = `test_kill_${process.pid}`
    const environment = {
      ...{ STORAGE_TYPE: "influxdb", INFLUXDB_URL: proxy.url, INFLUXDB_TOKEN: influx!.token },
      ...{ INFLUXDB_ORG: influx!.org, INFLUXDB_BUCKET: bucket, RETENTION_PERIOD: "none" }
    }
    const isWrite = ({ path }: { readonly path: string }) => path.includes(`bucket=${bucket}&`)
    try {
      for (let kill = 1; kill <= 5; kill++) {
        let writes = 0
        let hasHung = () => {}
        const hung = new Promise<void>((resolve) => {
          hasHung = resolve
        })
        proxy.afterwards = hasHung
        proxy.plan = (asked) => (isWrite(asked) && ++writes >= kill ? { type: "hangAnswer" } : undefined)
        const program = await start(flags("--rate", "max", "--batch-size", "50"), environment)
        await hung
        program.signal("SIGKILL")
        await program.exit
      }
      proxy.plan = () => undefined
      expect(await finished(await start(flags("--rate", "max"), environment))).toEqual(expected)
    } finally {
      await proxy.refuse()
      await Effect.runPromise(removeBuckets(bucket))
    }
  })
})
