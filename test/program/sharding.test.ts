/** Several streamers and collectors in the program. */
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { start } from "./Program.ts"

const sampleFile = fileURLToPath(new URL("../../deploy/sample/dcgm_metrics.csv", import.meta.url))

/** A file of five hosts with a row of each reason to reject it beside the good ones. */
const header = "timestamp,metric_name,gpu_id,uuid,Hostname,value"
const good = Array.from(
  { length: 200 },
  (_, n) => `2025-07-18T20:42:${String(n % 60).padStart(2, "0")}Z,M${n % 7},0,GPU-${n % 5},host-${n % 5},${n}`
)
const bad = [
  "too,few",
  "2025-07-18T20:42:00Z,M,0,,host-1,1",
  "2025-07-18T20:42:00Z,M,0,GPU-1,host-2,NaN",
  `x,"`
]

let folder: string
let file: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "telemetry-sharding-"))
  file = join(folder, "rows.csv")
  await writeFile(file, [header, ...good.slice(0, 100), ...bad, ...good.slice(100), ""].join("\n"))
})
afterAll(() => rm(folder, { recursive: true }))

/** Imports a file; answers everything that is stored, and the line that sums it up. */
const importWith = async (path: string, flags: ReadonlyArray<string>) => {
  const program = await start([
    "--csv",
    path,
    "--timestamps",
    "original",
    "--once",
    "--serve",
    "--rate",
    "max",
    "--batch-size",
    "7",
    ...flags
  ])
  const [summary] = await program.says(/rows read .*/)
  const { data: uuids } = await program.json<{ data: ReadonlyArray<string> }>("/api/v1/gpus")
  const stored: Array<unknown> = []
  for (const uuid of uuids) {
    const path = `/api/v1/gpus/${uuid}/telemetry/export`
    stored.push(...(await program.json<{ data: ReadonlyArray<unknown> }>(path)).data)
  }
  program.signal("SIGTERM")
  expect(await program.exit).toBe(0)
  return { summary, stored, said: program.said() }
}

describe("an import by several streamers and collectors", () => {
  test.each([
    ["the sample that is shipped", () => sampleFile],
    ["a file with bad rows", () => file]
  ])("of %s stores what one streamer and one collector store", async (_, path) => {
    const one = await importWith(path(), [])
    const several = await importWith(path(), ["--streamers", "4", "--collectors", "2"])
    expect(several.stored).toEqual(one.stored)
    expect(several.summary.replace(" by each of 2 collectors", "").replace(/batches published \d+/, "")).toBe(
      one.summary.replace(/batches published \d+/, "")
    )
  })

  test("ends with exit code 0, and says who took part", async () => {
    const flags = ["--streamers", "5", "--collectors", "2", "--streamer-id", "s", "--collector-id", "c"]
    const program = await start(["--once", "--rate", "max", ...flags])
    expect(await program.exit).toBe(0)
    expect(program.said()).toMatch(/^streamers +5, each the rows of its hosts: s-0 to s-4$/m)
    expect(program.said()).toMatch(/^collectors +2, each reads the whole log: c-0, c-1$/m)
  })

  test("counts once what the store refuses to several collectors", async () => {
    const flags = ["--timestamps", "original", "--retention-period", "1h", "--collectors", "3"]
    const program = await start(["--csv", file, "--once", "--rate", "max", ...flags])
    expect(await program.exit).toBe(1)
    expect(program.said()).toMatch(/is stored: 200 samples refused by the store, 0 evicted/)
  })
})

describe("streamers that do not share", () => {
  const flags = ["--streamers", "2", "--shard-by", "none", "--once", "--rate", "max"]

  test("read everything each; at the time of reading it is stored as often", async () => {
    const program = await start(["--csv", file, ...flags])
    expect(await program.exit).toBe(0)
    expect(program.said()).toMatch(/^streamers +2, each reads everything: /m)
    expect(program.said()).toMatch(/every row is read 2 times, and stored as often/)
    expect(program.said()).toMatch(/rows read 408, .* samples stored 400, rejects 8$/m)
  })

  test("store nothing twice that has its own time", async () => {
    const one = await importWith(file, [])
    const several = await importWith(file, ["--streamers", "3", "--shard-by", "none"])
    expect(several.stored).toEqual(one.stored)
    expect(several.said).toMatch(/every row is read 3 times, and stored once/)
  })
})

test("what a streamer logs says which one it is", async () => {
  const path = join(folder, "one-host.csv")
  await writeFile(path, ["uuid,metric_name,value,Hostname", "GPU-1,M,1,host-1", ""].join("\n"))
  const program = await start(["--csv", path, "--streamers", "2", "--streamer-id", "s"])
  await program.says(/has no rows of shard [01]\/2; waiting for some" streamer=s-[01]/)
  program.signal("SIGTERM")
  expect(await program.exit).toBe(0)
})

test.each([
  [["--streamers", "0"], '--streamers: "0" is not accepted, expected an integer from 1 to 1000'],
  [["--streamers", "1001"], '--streamers: "1001" is not accepted, expected an integer from 1 to 1000'],
  [["--streamers", "two"], '--streamers: "two" is not accepted, expected an integer from 1 to 1000'],
  [["--collectors", "0"], '--collectors: "0" is not accepted, expected an integer from 1 to 64'],
  [["--shard-by", "uuid"], '--shard-by: "uuid" is not accepted, expected host or none']
])("%j is refused in one line", async (flags, line) => {
  const program = await start(flags)
  expect(await program.exit).toBe(1)
  expect(program.said()).toBe(`${line}\n`)
})
