/** Clients without Effect: types generated from the served document, a program that compiles with them, and its answers. */
import { execFile } from "node:child_process"
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import openapiTS, { astToString } from "openapi-typescript"
import { GatewayAddress } from "../../src/http/Gateway.ts"
import { sampleAt } from "../Samples.ts"
import { gatewayOver, storeOf } from "./TestGateway.ts"

const nodeModules = fileURLToPath(new URL("../../node_modules", import.meta.url))
const execute = promisify(execFile)

/** Every line compiles, but those that must not. */
const consumer = `import createClient from "openapi-fetch"
import type { components, paths } from "./gateway.js"

const client = createClient<paths>({ baseUrl: process.argv[2]! })
const path = { id: "GPU-1" }

const gpus = await client.GET("/api/v1/gpus", { params: { query: { limit: 1 } } })
const firstGpu: string | undefined = gpus.data?.data[0]
const cursor: string | undefined = gpus.data?.next_cursor

const page = await client.GET("/api/v1/gpus/{id}/telemetry", {
  params: { path, query: { order: "asc", start_time: "2025-07-18T20:42:34Z", gpu_id: 0 } }
})
const answered = page.data
if (answered === undefined || "window" in answered) throw new Error("expected samples")
const samples: Array<components["schemas"]["Metric"]> = answered.data
const hosts: Array<string> = samples.map(({ hostname }) => hostname)

const windows = await client.GET("/api/v1/telemetry", {
  params: { query: { window: "1m", aggregate: "max", group_by: "host" } }
})
if (windows.data === undefined || !("window" in windows.data)) throw new Error("expected windows")
const hottest: Array<[string | undefined, number]> = windows.data.data.map((row) => [row.hostname, row.value])

const gpu = await client.GET("/api/v1/gpus/{id}", { params: { path } })
const stale: boolean | undefined = gpu.data?.stale

const unknown = await client.GET("/api/v1/gpus/{id}", { params: { path: { id: "GPU-0" } } })
const code: "not_found" | "unavailable" | "internal_error" | undefined = unknown.error?.error

const csv = await client.GET("/api/v1/gpus/{id}/telemetry/export", {
  params: { path, query: { format: "csv" } },
  parseAs: "text"
})
const text: string | undefined = csv.data

const metrics = await client.GET("/api/v1/metrics")
const kind: "gauge" | "counter" | undefined = metrics.data?.metrics[0]?.type

const stats = await client.GET("/api/v1/stats")
const rejected: number | undefined = stats.data?.rejects["bad_value"]

// @ts-expect-error: no such field
samples[0]?.host_name
// @ts-expect-error: no such order
await client.GET("/api/v1/gpus/{id}/telemetry", { params: { path, query: { order: "newest" } } })
// @ts-expect-error: no such aggregate
await client.GET("/api/v1/telemetry", { params: { query: { window: "1m", aggregate: "average" } } })
// @ts-expect-error: which GPU?
const incomplete = () => client.GET("/api/v1/gpus/{id}/metrics", {})

console.log(JSON.stringify({ firstGpu, cursor, hosts, hottest, stale, code, text, kind, rejected: rejected ?? 0 }))
`

const compilerOptions = {
  ...{ target: "ES2022", module: "NodeNext", types: ["node"] },
  ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, skipLibCheck: true }
}

const withFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "telemetry-openapi-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true }))
)

it.scopedLive("types generated from the document compile, say what is answered, and refuse what is not", () =>
  Effect.gen(function* () {
    const { url } = yield* GatewayAddress
    const folder = yield* withFolder
    const printed = yield* Effect.promise(async () => {
      const types = astToString(await openapiTS(new URL(`${url}/openapi.json`)))
      const schemas = types.slice(
        types.indexOf("interface components"),
        types.indexOf("interface operations")
      )
      expect(schemas).not.toMatch(/: (unknown|any)\b/)
      await symlink(nodeModules, join(folder, "node_modules"))
      await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }))
      await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions }))
      await writeFile(join(folder, "gateway.ts"), types)
      await writeFile(join(folder, "consumer.ts"), consumer)
      const compiler = join(nodeModules, "typescript/bin/tsc")
      await execute(process.execPath, [compiler, "-p", folder]).catch(({ stdout }) => expect.fail(stdout))
      return (await execute(process.execPath, [join(folder, "consumer.js"), url])).stdout
    })
    expect(JSON.parse(printed)).toEqual({
      firstGpu: "GPU-1",
      cursor: expect.any(String),
      hosts: ["host-1", "host-1"],
      hottest: [["host-1", 1]],
      stale: true,
      code: "not_found",
      text: expect.stringMatching(/^Timestamp,(.*\n){3}$/),
      kind: "gauge",
      rejected: 0
    })
  }).pipe(Effect.provide(gatewayOver(storeOf([sampleAt(0), sampleAt(1), sampleAt(0, { uuid: "GPU-2" })]))))
)
