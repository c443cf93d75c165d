/** The examples that the README shows run, and are what the README shows. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { GatewayAddress } from "../../src/http/Gateway.ts"
import { Collectors } from "../../src/layers/Collectors.ts"
import * as CollectorsHere from "../../src/layers/collectors/embedded.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import { Streamers } from "../../src/layers/Streamers.ts"
import * as StreamersHere from "../../src/layers/streamers/embedded.ts"
import { TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import * as Simulated from "../../src/layers/telemetry-source/simulated.ts"
import { MemoryStoreConfig } from "../../src/layers/telemetry-store/memory.ts"
import { layerCounting, MetricCounts } from "./own-store.ts"
import { broker, wholeSystem } from "./whole-system.ts"

const read = (path: string) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8")

const allStored = Effect.gen(function* () {
  yield* (yield* Streamers).done
  yield* (yield* Collectors).drain
})

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

it.live("a store of one's own takes the place of another without a change elsewhere", () =>
  Effect.gen(function* () {
    yield* allStored
    const { samples } = yield* (yield* TelemetryStore).stats
    const counted = [...(yield* MetricCounts).values()].reduce((sum, count) => sum + count, 0)
    expect(counted).toBe(samples)
    expect(samples).toBeGreaterThan(0)
  }).pipe(
    Effect.provide(
      StreamersHere.layer.pipe(
        Layer.provide([
          StreamersHere.StreamerConfig.layer({ rowsPerSecond: "max" }),
          Simulated.layerSimulated.pipe(Layer.provide(Simulated.SimulatedSourceConfig.layer({ loop: false })))
        ]),
        Layer.provideMerge(CollectorsHere.layer),
        Layer.provide([CollectorsHere.CollectorConfig.layer(), broker]),
        Layer.provideMerge(layerCounting),
        Layer.provide(MemoryStoreConfig.layer()),
        Layer.provideMerge(MetricCounts.layer),
        Layer.provide(Rejects.layer),
        Layer.provideMerge(Scheduler.layer)
      )
    )
  )
)

it("the README shows these examples as they run", () => {
  const shown = [...read("../../README.md").matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1])
  expect(shown).toContain(read("own-store.ts"))
})
