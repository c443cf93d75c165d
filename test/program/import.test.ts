/** `--once`: a file is imported, and the exit code tells whether all of it is stored. */
import { existsSync } from "node:fs"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parse } from "csv-parse/sync"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { start } from "./Program.ts"

const realFile = fileURLToPath(
  new URL("../../../shared/data/dcgm_metrics_20250718_134233.csv", import.meta.url)
)
const sampleFile = fileURLToPath(new URL("../../deploy/sample/dcgm_metrics.csv", import.meta.url))
const sampleRows = 832

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "telemetry-import-"))
})
afterAll(() => rm(folder, { recursive: true }))

const fileWith = async (name: string, change: (lines: Array<string>) => void): Promise<string> => {
  const lines = (await readFile(sampleFile, "utf8")).trimEnd().split("\n")
  change(lines)
  const path = join(folder, name)
  await writeFile(path, `${lines.join("\n")}\n`)
  return path
}

/** What a sample is, in a form in which rows of a file and answers of the API can be compared. */
const identities = (rows: ReadonlyArray<Record<string, string | number>>) =>
  rows
    .map((row) => [row.timestamp, row.metric_name, row.uuid, row.hostname, row.gpu_id, row.value].join("|"))
    .sort()

const importedRows = async (path: string) => {
  const program = await start([
    "--csv",
    path,
    "--timestamps",
    "original",
    "--once",
    "--serve",
    "--rate",
    "max"
  ])
  await program.says(/rows read/)
  const { data: uuids } = await program.json<{ data: Array<string> }>("/api/v1/gpus")
  const rows: Array<Record<string, string | number>> = []
  for (const uuid of uuids) {
    const exported = await program.json<{ data: typeof rows }>(`/api/v1/gpus/${uuid}/telemetry/export`)
    rows.push(...exported.data)
  }
  const metrics = (await program.json<{ data: Array<string> }>("/api/v1/metrics")).data
  const stats = await program.json<object>("/api/v1/stats")
  program.signal("SIGTERM")
  expect(await program.exit).toBe(0)
  return { uuids, rows, metrics, stats }
}

const expectedRows = async (path: string) => {
  const columns = (names: Array<string>) => names.map((name) => name.toLowerCase())
  const rows: Array<Record<string, string>> = parse(await readFile(path), { columns })
  return rows.map((row) => ({ ...row, value: Number(row.value), gpu_id: Number(row.gpu_id) }))
}

describe("an import", () => {
  test("stores every row of the real file once, as it is in the file", async (context) => {
    if (!existsSync(realFile)) {
      console.warn("SKIPPED: the real file is not here: the import of real data is not tested")
      context.skip()
    }
    const { uuids, rows, metrics, stats } = await importedRows(realFile)
    expect(uuids).toHaveLength(247)
    expect(metrics).toHaveLength(10)
    expect(stats).toMatchObject({ total_gpus: 247, total_metrics: 2470, rejects: {} })
    expect(identities(rows)).toEqual(identities(await expectedRows(realFile)))
  })

  test("stores every row of the sample that is shipped", async () => {
    const { rows } = await importedRows(sampleFile)
    expect(identities(rows)).toEqual(identities(await expectedRows(sampleFile)))
  })

  test("counts and tells rejected rows, and does not fail for them", async () => {
    const path = await fileWith("rejects.csv", (lines) => {
      lines.splice(2, 0, "too,few", `${lines[2]!.replace(/"[^"]*"$/, '"')}`)
      lines.push(lines[5]!.replace(/GPU-[0-9a-f-]+/, ""))
    })
    const program = await start(["--csv", path, "--once", "--rate", "max"])
    expect(await program.exit).toBe(0)
    expect(program.said()).toContain(`samples stored ${sampleRows}, rejects 3`)
    expect(program.said()).toMatch(/rejected wrong_cell_count: 1, the last at .*rejects\.csv:3/)
    expect(program.said()).toMatch(/rejected empty_uuid: 1/)
    expect(program.said()).toMatch(/rejected unterminated_quote: 1/)
  })

  test("fails where the store had no room for all that was read", async () => {
    const program = await start(["--once", "--rate", "max"], { MEMORY_MAX_SAMPLES: `${sampleRows - 20}` })
    expect(await program.exit).toBe(1)
    expect(program.said()).toMatch(
      /not everything read is stored: 0 samples refused by the store, 20 evicted/
    )
  })

  test("fails where the store refuses samples for their age", async () => {
    const program = await start([
      "--once",
      "--rate",
      "max",
      "--timestamps",
      "original",
      "--retention-period",
      "1h"
    ])
    expect(await program.exit).toBe(1)
    expect(program.said()).toContain(`rejected older_than_retention: ${sampleRows}`)
  })

  test("of a file without rows ends well, with nothing read", async () => {
    const path = await fileWith("header-only.csv", (lines) => lines.splice(1))
    const program = await start(["--csv", path, "--once"])
    expect(await program.exit).toBe(0)
    expect(program.said()).toMatch(/rows read 0, batches published 0, samples stored 0, rejects 0/)
  })

  test.each([
    ["a missing file", ["--csv", "no-such.csv", "--once"], /^no-such\.csv: no such file\n$/],
    ["a folder", ["--csv", tmpdir(), "--once"], /: is a directory, expected a file\n$/],
    ["an unreadable setting", ["--rate", "fast"], /^--rate: "fast" is not accepted, expected max, or .*\n$/],
    ["an unknown flag", ["--bogus"], /^unknown flag --bogus \(see --help\)\n$/]
  ])("of %s is refused in one line", async (_, flags, line) => {
    const program = await start(flags)
    expect(await program.exit).toBe(1)
    expect(program.said()).toMatch(line)
  })

  test("that is interrupted stores what was read, and is not taken for done", async () => {
    const program = await start(["--once", "--rate", "20"])
    await program.says(/Broker +http/)
    program.signal("SIGTERM")
    expect(await program.exit).toBe(1)
    expect(program.said()).toMatch(/interrupted before the source had ended\n/)
  })

  test("of a header without required columns names them", async () => {
    const path = await fileWith("bad-header.csv", (lines) => {
      lines[0] = lines[0]!.replace("uuid", "id").replace("value", "worth")
    })
    const program = await start(["--csv", path, "--once"])
    expect(await program.exit).toBe(1)
    expect(program.said()).toMatch(/^\S+bad-header\.csv: has no column uuid, value in its header .*\n$/)
  })
})
