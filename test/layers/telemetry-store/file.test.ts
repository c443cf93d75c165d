import { once } from "node:events"
import { mkdir } from "node:fs/promises"
import { createRequire } from "node:module"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Option, Stream, TestClock } from "effect"
import Database from "libsql"
import { TelemetryStore } from "../../../src/layers/TelemetryStore.ts"
import { timeNsMax, timeNsMin } from "../../../src/protocol/Time.ts"
import { telemetryStoreContract } from "../../contracts/TelemetryStore.contract.ts"
import { all, write } from "../../contracts/TelemetryStore.samples.ts"
import { epochNs, sampleAt, sampleOf, seriesOf } from "../../Samples.ts"
import { freshStore, temporaryDirectory, using } from "./file/Folder.ts"

telemetryStoreContract("a file", freshStore())

const stats = Effect.flatMap(TelemetryStore, (store) => store.stats)

describe("what is in the file", () => {
  it.live("is there when the store is opened again", () =>
    Effect.gen(function* () {
      const directory = join(yield* temporaryDirectory, "made/when/missing")
      const samples = Array.from({ length: 300 }, (_, i) => sampleAt(i, { uuid: `GPU-${i % 3}` }))
      const ask = Effect.all([
        all(),
        stats,
        Effect.flatMap(TelemetryStore, (store) => store.gpus({})),
        Effect.flatMap(TelemetryStore, (store) => store.metricNames(Option.none()))
      ])
      const before = yield* using(directory, (store) =>
        Effect.provideService(Effect.zipRight(write(...samples), ask), TelemetryStore, store)
      )
      const after = yield* using(directory, (store) => Effect.provideService(ask, TelemetryStore, store))
      expect(before[0]).toEqual(samples)
      expect(after).toEqual(before)
      const more = yield* using(directory, (store) =>
        Effect.zipRight(store.write([sampleAt(0), sampleAt(300), ...samples]), store.stats)
      )
      expect(more.samples).toBe(302)
    }).pipe(Effect.scoped)
  )

  it.live("keeps times to their limits, and windows of them", () =>
    Effect.gen(function* () {
      const times = [timeNsMin, timeNsMin + 1n, -1n, 0n, 1n, timeNsMax - 1n, timeNsMax]
      yield* write(...times.map((timeNs, i) => sampleOf(timeNs, i)))
      expect((yield* all()).map(({ timeNs }) => timeNs)).toEqual(times)
      expect((yield* all({ order: "desc", startNs: -1n, endNs: timeNsMax })).length).toBe(5)
      const store = yield* TelemetryStore
      for (const order of ["asc", "desc"] as const) {
        const chunks = yield* Stream.runCollect(
          store.windows({ order, windowNs: 2n, aggregate: "last", groupBy: "metric" })
        )
        const rows = Chunk.toReadonlyArray(chunks).flat()
        const inOrder = order === "asc" ? rows : [...rows].reverse()
        expect(inOrder.map(({ startNs, value }) => [startNs, value])).toEqual([
          [timeNsMin, 1],
          [-2n, 2],
          [0n, 4],
          [timeNsMax - 1n, 6]
        ])
      }
    }).pipe(Effect.provide(freshStore()))
  )

  it.live("keeps texts that have no UTF-8 apart, and as they are", () =>
    Effect.gen(function* () {
      const uuids = ["GPU-\u0000", "GPU-\u0001", "GPU-\ufffd", "GPU-\ud800", "GPU-\u{10000}", "GPU-\udc00"]
      const samples = uuids.map((uuid, i) => sampleAt(0, { uuid, hostname: uuid, pod: uuid }, i))
      yield* write(...[...samples].reverse())
      expect(yield* all()).toEqual(samples)
      for (const sample of samples) expect(yield* all({ uuid: sample.series.uuid })).toEqual([sample])
      expect((yield* stats).gpus).toBe(uuids.length)
    }).pipe(Effect.provide(freshStore()))
  )

  it.live("of an identity that is in a write many times the last value is kept, and it is counted once", () =>
    Effect.gen(function* () {
      const samples = Array.from({ length: 1_000 }, (_, i) => sampleAt(i % 7, { gpuId: i % 2 }, i))
      yield* write(...samples)
      const last = samples.slice(-14).sort((a, b) => a.series.gpuId! - b.series.gpuId!)
      const values = (yield* all({ gpuId: 0 })).concat(yield* all({ gpuId: 1 })).map(({ value }) => value)
      expect(values.sort()).toEqual(last.map(({ value }) => value).sort())
      expect((yield* stats).samples).toBe(14)
    }).pipe(Effect.provide(freshStore()))
  )

  it.live("samples of a series share one Series object, whose JSON is then made once", () =>
    Effect.gen(function* () {
      yield* write(sampleAt(1), sampleAt(2))
      yield* write({ ...sampleAt(3), series: seriesOf() })
      const found = [...(yield* all()), ...(yield* all({ order: "desc" }))]
      expect(new Set(found.map(({ series }) => series)).size).toBe(1)
    }).pipe(Effect.provide(freshStore()))
  )

  it.live("can be read, and copied, while it is written", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const copied = join(directory, "copy")
      yield* Effect.promise(() => mkdir(copied))
      yield* using(directory, (store) =>
        Effect.gen(function* () {
          let written = 0
          const writeMore = Effect.suspend(() => {
            written += 500
            return store.write(Array.from({ length: 500 }, (_, i) => sampleAt(written - i)))
          })
          yield* Effect.repeatN(writeMore, 20)
          const writing = yield* Effect.fork(Effect.forever(writeMore))
          const before = written - 500
          yield* Effect.promise(() =>
            copy(join(directory, "telemetry.sqlite"), join(copied, "telemetry.sqlite"))
          )
          yield* Fiber.interrupt(writing)
          const { samples } = yield* using(copied, (copy) => copy.stats)
          expect(samples).toBeGreaterThanOrEqual(before)
          expect(samples % 500).toBe(0)
          expect((yield* using(copied, (copy) => collected(copy.samples({ order: "asc" })))).length).toBe(
            samples
          )
        })
      )
      expect(rowsIn(directory, "telemetry WHERE metric_name = 'DCGM_FI_DEV_GPU_UTIL'")).toBeGreaterThan(0)
    }).pipe(Effect.scoped)
  )
})

describe("the bound on age", () => {
  const tenSeconds = freshStore(10_000)
  const ns = (seconds: number): bigint => BigInt(seconds) * 1_000_000_000n
  const times = Effect.map(all(), (samples) => samples.map(({ timeNs }) => timeNs))

  it.effect("samples that are too old are reported by index and not stored", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(100_000)
      const report = yield* write(...[ns(95), ns(90) - 1n, ns(90), 0n].map((timeNs) => sampleOf(timeNs)))
      expect(report).toEqual({ stored: 2, olderThanRetention: [1, 3] })
      expect(yield* times).toEqual([ns(90), ns(95)])
      expect((yield* stats).evicted).toBe(0)
    }).pipe(Effect.provide(tenSeconds))
  )

  it.effect("as time passes, every answer loses what is too old, and it is counted", () =>
    Effect.gen(function* () {
      const store = yield* TelemetryStore
      yield* write(sampleOf(ns(1)), sampleOf(ns(2)), sampleOf(ns(3), 1, { uuid: "GPU-2", metricName: "A" }))
      yield* TestClock.setTime(11_001)
      expect(yield* times).toEqual([ns(2), ns(3)])
      expect(yield* stats).toEqual({ gpus: 2, samples: 2, evicted: 1, oldestNs: ns(2), newestNs: ns(3) })
      expect(Option.map(yield* store.gpu("GPU-1"), (gpu) => gpu.firstSeenNs)).toEqual(Option.some(ns(2)))
      yield* TestClock.setTime(12_500)
      expect((yield* store.gpus({})).map(({ uuid }) => uuid)).toEqual(["GPU-2"])
      expect(yield* store.metricNames(Option.none())).toEqual(["A"])
      yield* TestClock.setTime(20_000)
      expect(yield* store.gpu("GPU-2")).toEqual(Option.none())
      expect(yield* store.metricNames(Option.none())).toEqual([])
      expect(yield* Stream.runCollect(store.samples({ order: "asc" }))).toEqual(Chunk.empty())
      expect(yield* stats).toEqual({ gpus: 0, samples: 0, evicted: 3 })
    }).pipe(Effect.provide(tenSeconds))
  )

  it.live(
    "what is too old is deleted when the store is opened, however much it is, and its GPUs with it",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const nowNs = BigInt(Date.now()) * 1_000_000n
        const old = Array.from({ length: 12_345 }, (_, i) =>
          sampleOf(epochNs + BigInt(i), i, { uuid: `GPU-${i % 5}` })
        )
        const young = [sampleOf(nowNs, 1), sampleOf(nowNs, 2, { uuid: "GPU-9" })]
        yield* using(directory, (store) => store.write([...old, ...young]))
        yield* using(
          directory,
          (store) =>
            Effect.gen(function* () {
              expect(yield* store.stats).toMatchObject({ gpus: 2, samples: 2, evicted: 12_345 })
              yield* Effect.repeat(Effect.yieldNow(), { until: () => rowsIn(directory, "samples") === 2 })
              yield* Effect.repeat(Effect.yieldNow(), { until: () => rowsIn(directory, "series") === 2 })
              expect(yield* store.stats).toMatchObject({ gpus: 2, samples: 2, evicted: 12_345 })
              // A series that was forgotten is taken up again.
              yield* store.write([sampleOf(nowNs, 3, { uuid: "GPU-3" })])
              expect((yield* store.gpus({})).map(({ uuid }) => uuid)).toEqual(["GPU-1", "GPU-3", "GPU-9"])
            }),
          3_600_000
        )
      }).pipe(Effect.scoped)
  )
})

const collected = <A, E>(stream: Stream.Stream<ReadonlyArray<A>, E>) =>
  Effect.map(Stream.runCollect(stream), (chunks) => Chunk.toReadonlyArray(chunks).flat())

/** Copies a database as the README says, in a thread of its own. */
const copy = async (from: string, to: string): Promise<void> => {
  const program = `
    const { workerData: [driver, from, to] } = require("node:worker_threads")
    const connection = new (require(driver))(from, { timeout: 10_000 })
    connection.prepare("VACUUM INTO ?").run([to])
    connection.close()`
  const driver = createRequire(import.meta.url).resolve("libsql")
  await once(new Worker(program, { eval: true, workerData: [driver, from, to] }), "exit")
}

const rowsIn = (directory: string, table: string): number => {
  const connection = new Database(join(directory, "telemetry.sqlite"), { readonly: true })
  try {
    return (connection.prepare(`SELECT count(*) FROM ${table}`).raw().all() as Array<[number]>)[0]![0]
  } finally {
    connection.close()
  }
}
