/** The examples that the README shows run, and are what the README shows. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, it } from "@effect/vitest"
import { Chunk, Effect, Layer, Option, Stream } from "effect"
import { layerFetch } from "telemetry-pipeline/client"
import { GatewayAddress } from "telemetry-pipeline/http/Gateway"
import { Collectors } from "telemetry-pipeline/layers/Collectors"
import { Streamers } from "telemetry-pipeline/layers/Streamers"
import { TelemetryStore } from "telemetry-pipeline/layers/TelemetryStore"
import { telemetryStoreContract } from "../contracts/TelemetryStore.contract.ts"
import { epochNs, sampleOf } from "../Samples.ts"
import { highest, modelOf, newest } from "./client.ts"
import { layerFile } from "./own-store.ts"
import { systemOver, wholeSystem } from "./whole-system.ts"

const read = (path: string) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8")

const allStored = Effect.gen(function* () {
  yield* (yield* Streamers).done
  yield* (yield* Collectors).drain
})

const temporaryFile = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "telemetry-example-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
).pipe(Effect.map((folder) => join(folder, "samples.jsonl")))

it.live("the whole system in memory answers REST with every sample of its fleet", () =>
  Effect.gen(function* () {
    yield* allStored
    const { url } = yield* GatewayAddress
    type List = { readonly data: ReadonlyArray<string>; readonly count: number }
    const get = (path: string) =>
      Effect.promise(() => fetch(url + path).then((answer) => answer.json() as Promise<List>))
    const gpus = yield* get("/api/v1/gpus")
    expect(gpus.count).toBe(8)
    const metrics = yield* get("/api/v1/metrics")
    const stats = yield* get("/api/v1/stats")
    expect(stats).toMatchObject({ total_gpus: 8, total_metrics: 8 * metrics.count, rejects: {} })
    const page = yield* get(`/api/v1/gpus/${gpus.data[0]}/telemetry`)
    expect(page.count).toBe(metrics.count)
  }).pipe(Effect.provide(wholeSystem))
)

it.live("the typed client reads the gateway over a socket", () =>
  Effect.gen(function* () {
    yield* allStored
    const { url } = yield* GatewayAddress
    yield* Effect.gen(function* () {
      const temperatures = yield* highest("DCGM_FI_DEV_GPU_TEMP")
      expect(temperatures).toHaveLength(8)
      for (const { value } of temperatures) expect(value).toBeGreaterThan(0)
      const { id } = temperatures[0]!
      expect(Option.isSome(yield* modelOf(id))).toBe(true)
      expect(yield* modelOf("GPU-0")).toEqual(Option.none())
      const samples = Chunk.toReadonlyArray(yield* Stream.runCollect(newest(id)))
      expect(samples.length).toBeGreaterThan(0)
      expect(samples.every(({ uuid }) => uuid === id)).toBe(true)
    }).pipe(Effect.provide(layerFetch({ baseUrl: url })))
  }).pipe(Effect.provide(wholeSystem))
)

it.scopedLive("a store of one's own takes the place of another without a change elsewhere", () =>
  Effect.gen(function* () {
    const file = yield* temporaryFile
    const written = yield* Effect.gen(function* () {
      yield* allStored
      const { url } = yield* GatewayAddress
      const temperatures = yield* Effect.provide(
        highest("DCGM_FI_DEV_GPU_TEMP"),
        layerFetch({ baseUrl: url })
      )
      expect(temperatures).toHaveLength(8)
      return yield* (yield* TelemetryStore).stats
    }).pipe(Effect.provide(systemOver(layerFile(file))))
    expect(written.samples).toBeGreaterThan(0)
    const kept = yield* Effect.provide(
      Effect.flatMap(TelemetryStore, ({ stats }) => stats),
      layerFile(file)
    )
    expect(kept).toEqual(written)
  })
)

telemetryStoreContract(
  "a file of one's own",
  Layer.unwrapScoped(Effect.map(temporaryFile, (file) => layerFile(file)))
)

it.scopedLive("half a line, left by a crash, costs what was not yet stored and nothing else", () =>
  Effect.gen(function* () {
    const file = yield* temporaryFile
    yield* Effect.gen(function* () {
      const store = yield* TelemetryStore
      yield* store.write([sampleOf(epochNs)])
      appendFileSync(file, '\n{"series":{"metricName":"DCGM_FI')
      yield* store.write([sampleOf(epochNs + 1n)])
      expect((yield* store.stats).samples).toBe(2)
    }).pipe(Effect.provide(layerFile(file)))
  })
)

it("the README shows these examples as they run", () => {
  const shown = [...read("../../README.md").matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1])
  expect(shown).toContain(read("own-store.ts"))
  expect(read("own-store.ts").split("\n").length - 1).toBeLessThanOrEqual(40)
})
