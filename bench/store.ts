/**
 * What the memory store costs: `npm run bench:store`.
 *
 * A fleet of 250 GPUs with 10 metrics each and one GPU with 100,000 samples a series; what is written is what a
 * collector writes: batches in the order of time, each sample of a series with the same `Series` object.
 */
import { Effect, Layer } from "effect"
import { TelemetryStore } from "../src/layers/TelemetryStore.ts"
import { layerMemory, MemoryStoreConfig } from "../src/layers/telemetry-store/memory.ts"
import type { Series } from "../src/protocol/Series.ts"
import { batchAt, epochNs, fleet, sampleAt } from "./Fleet.ts"

const print = (name: string, figure: string): void => console.log(`${name.padEnd(64)}${figure.padStart(16)}`)

/** Microseconds per run of an effect, the median of 20 rounds behind a warm-up. */
const measured = (runs: number, effect: (run: number) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    const rounds: Array<number> = []
    for (let round = 0; round < 30; round++) {
      const startedMs = performance.now()
      for (let run = 0; run < runs; run++) yield* effect(run)
      if (round >= 10) rounds.push(((performance.now() - startedMs) * 1000) / runs)
    }
    return rounds.sort((a, b) => a - b)[10]!
  })

/** Writes `count` samples and prints the rate; the making of the samples is not in it. */
const writing = (name: string, series: ReadonlyArray<Series>, first: number, count: number, size: number) =>
  Effect.gen(function* () {
    const store = yield* TelemetryStore
    let spentMs = 0
    for (let written = 0; written < count; written += size) {
      const batch = batchAt(series, first + written, size)
      const startedMs = performance.now()
      yield* store.write(batch)
      spentMs += performance.now() - startedMs
    }
    const perBatchUs = ((spentMs * 1000) / count) * size
    print(`${name}, batches of ${size}`, `${Math.round(count / spentMs)} k/s`)
    print(`  one batch`, `${perBatchUs.toFixed(1)} us`)
  })

const gc = (globalThis as { gc?: () => void }).gc ?? (() => undefined)

/** What is in use; the buffers of a first collection are given back behind the second. */
const memoryBytes = Effect.sync(gc).pipe(
  Effect.zipRight(Effect.sleep("200 millis")),
  Effect.zipRight(Effect.sync(gc)),
  Effect.map(() => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers)
)

const wideFleet = Effect.gen(function* () {
  const store = yield* TelemetryStore
  const series = fleet(250, 10)
  const bytesBefore = yield* memoryBytes
  yield* writing("write, 2,500 series, filling", series, 0, 500_000, 100)
  yield* writing("write, 2,500 series, filling", series, 500_000, 500_000, 1_000)
  const bytes = (yield* memoryBytes) - bytesBefore
  print("memory, 1 M samples of 2,500 series", `${(bytes / 1e6).toFixed(1)} B/sample`)
  print("resident set", `${Math.round(process.memoryUsage().rss / 1e6)} MB`)
  yield* writing("write, 2,500 series, full", series, 1_000_000, 500_000, 100)
  yield* writing("write, 2,500 series, full", series, 1_500_000, 500_000, 1_000)
  print(
    "memory, after as many were evicted",
    `${(((yield* memoryBytes) - bytesBefore) / 1e6).toFixed(1)} B/sample`
  )

  const uuid = series[1_000]!.uuid
  const page = (offset: number) => ({ limit: 100, start: { offset } })
  const pageUs = yield* measured(100, () => store.page({ uuid, order: "desc" }, page(0)))
  print("page of 100, one GPU, newest first", `${pageUs.toFixed(1)} us`)
  const allUs = yield* measured(5, () => store.page({ order: "desc" }, page(0)))
  print("page of 100, all GPUs, newest first", `${allUs.toFixed(1)} us`)
  const after = sampleAt(series, 1_500_000)
  const afterUs = yield* measured(5, () => store.page({ order: "desc" }, { limit: 100, start: { after } }))
  print("page of 100, all GPUs, by cursor from the middle", `${afterUs.toFixed(1)} us`)
  const offsetUs = yield* measured(1, () => store.page({ order: "desc" }, page(500_000)))
  print("page of 100, all GPUs, offset 500,000", `${offsetUs.toFixed(1)} us`)
  const gpusUs = yield* measured(5, () => store.gpus({}))
  print("list of 250 GPUs", `${gpusUs.toFixed(1)} us`)
})

const deepGpu = Effect.gen(function* () {
  const store = yield* TelemetryStore
  const series = fleet(1, 10)
  const uuid = series[0]!.uuid
  for (let first = 0; first < 1_000_000; first += 1_000) yield* store.write(batchAt(series, first, 1_000))
  for (const order of ["asc", "desc"] as const) {
    const firstUs = yield* measured(100, () =>
      store.page({ uuid, order }, { limit: 100, start: { offset: 0 } })
    )
    print(`page of 100, 10 series x 100,000, ${order}`, `${firstUs.toFixed(1)} us`)
  }
  const afterUs = yield* measured(100, (run) =>
    store.page({ uuid, order: "desc" }, { limit: 100, start: { after: sampleAt(series, 7_919 * (run + 1)) } })
  )
  print("  by cursor", `${afterUs.toFixed(1)} us`)
  const offsetUs = yield* measured(100, (run) =>
    store.page({ uuid, order: "desc" }, { limit: 100, start: { offset: 7_919 * (run + 1) } })
  )
  print("  by offset, up to 800,000", `${offsetUs.toFixed(1)} us`)
  const late = yield* measured(100, (run) =>
    store.write([{ ...sampleAt(series, 7_919 * (run + 1)), timeNs: epochNs + BigInt(run) * 1_000_000_007n }])
  )
  print("write of one sample out of order", `${late.toFixed(1)} us`)
})

// Each gets a store of its own.
const inFreshStore = Effect.provide(Layer.fresh(Layer.provide(layerMemory, MemoryStoreConfig.layer())))
await Effect.runPromise(Effect.zipRight(inFreshStore(wideFleet), inFreshStore(deepGpu)))
