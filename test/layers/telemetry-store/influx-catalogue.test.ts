/** What a process knows of an InfluxDB that others write to as well: found, counted, and found again after a restart. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import type { StoreStats } from "../../../src/layers/TelemetryStore.ts"
import { makeBuckets } from "../../../src/layers/telemetry-store/influx/buckets.ts"
import * as Catalogue from "../../../src/layers/telemetry-store/influx/Catalogue.ts"
import { InfluxConfig } from "../../../src/layers/telemetry-store/influx/Config.ts"
import * as Connection from "../../../src/layers/telemetry-store/influx/Connection.ts"
import * as Queries from "../../../src/layers/telemetry-store/influx/queries.ts"
import { makeWriting } from "../../../src/layers/telemetry-store/influx/writing.ts"
import { call, freshBucket, isInfluxThere, post, theInflux } from "../../influx/Buckets.ts"
import { epochNs, sampleOf, secondNs } from "../../Samples.ts"

const dayNs = 86_400n * secondNs
const never = 1_000_000_000

/** What a process has: a view, and a way to write. */
const process = Effect.gen(function* () {
  const connection = yield* Connection.make()
  const buckets = yield* makeBuckets(connection)
  const catalogue = yield* Catalogue.make(connection, Queries.make(connection), buckets)
  yield* buckets.samples
  return { ...catalogue, write: makeWriting(connection, buckets, catalogue) }
})

type Process = Effect.Effect.Success<typeof process>

/** Another one, with another pace. */
const processAt = (pace: { readonly openIntervalMs: number; readonly everythingIntervalMs: number }) =>
  Effect.flatMap(InfluxConfig, (config) =>
    Effect.provide(process, Layer.succeed(InfluxConfig, { ...config, ...pace }))
  )

const quick = { openIntervalMs: 20, everythingIntervalMs: 20 }
const onlyMarks = { openIntervalMs: 20, everythingIntervalMs: never }

/** Asks until the figures are these. */
const untilStats = (of: Process, expected: Partial<StoreStats>) =>
  Effect.gen(function* () {
    for (;;) {
      const stats = yield* of.stats
      if (Object.entries(expected).every(([name, value]) => stats[name as keyof StoreStats] === value))
        return stats
      yield* Effect.sleep(20)
    }
  })

const uuids = (of: Process) => Effect.map(of.gpus({}), (gpus) => gpus.map(({ uuid }) => uuid))

const line = (timeNs: bigint, uuid: string, metric = "M") =>
  `${metric},uuid=${uuid},hostname=h,gpu_id=3 value=1 ${timeNs}`

const test = (
  name: string,
  body: Effect.Effect<void, unknown, InfluxConfig | import("effect/Scope").Scope>
) => it.scopedLive.skipIf(!isInfluxThere)(name, () => Effect.provide(body, freshBucket()))

const nowNs = Effect.map(
  Effect.clockWith((clock) => clock.currentTimeMillis),
  (ms) => BigInt(ms) * 1_000_000n
)

describe("what others write", () => {
  test(
    "is found whatever its time: of this hour, of today, of years ago, and of years to come",
    Effect.gen(function* () {
      const view = yield* processAt(quick)
      expect(yield* view.stats).toEqual({ gpus: 0, samples: 0, evicted: 0 })
      const config = yield* InfluxConfig
      const now = yield* nowNs
      const times = [now, now - 7_200n * secondNs, now - 1_000n * dayNs, epochNs, now + 900n * dayNs]
      for (const [i, timeNs] of times.entries()) {
        yield* post(config, [line(timeNs, `GPU-${i}`), line(timeNs + 1n, `GPU-${i}`)])
        const samples = 2 * (i + 1)
        yield* untilStats(view, { samples, gpus: i + 1 })
        expect(yield* view.gpu(`GPU-${i}`)).toEqual(
          Option.some({
            ...{ uuid: `GPU-${i}`, gpuId: 3, device: "", modelName: "", hostname: "h" },
            ...{ firstSeenNs: timeNs, lastSeenNs: timeNs + 1n }
          })
        )
      }
      const { oldestNs, newestNs } = yield* view.stats
      expect([oldestNs, newestNs]).toEqual([times[2], times[4]! + 1n])
    })
  )

  test(
    "is found by its mark alone where it is ours, in however many days",
    Effect.gen(function* () {
      const view = yield* processAt(onlyMarks)
      yield* view.stats
      const writer = yield* process
      const written = Array.from({ length: 40 }, (_, i) =>
        sampleOf(epochNs + BigInt(i) * dayNs, i, { uuid: `GPU-${i % 3}` })
      )
      yield* writer.write(written)
      yield* untilStats(view, { samples: 40, gpus: 3 })
      // The same again is nothing new, and one more in a day that was counted is one more.
      yield* writer.write([...written, sampleOf(epochNs + 1n)])
      yield* untilStats(view, { samples: 41 })
    })
  )

  test(
    "and has no UUID, is no sample of ours",
    Effect.gen(function* () {
      const view = yield* processAt(quick)
      const config = yield* InfluxConfig
      yield* view.stats
      yield* post(config, [`M,hostname=h value=1 ${epochNs}`, `M,uuid=GPU-1 other=1,value=2 ${epochNs}`])
      yield* untilStats(view, { samples: 1, gpus: 1 })
      expect(yield* view.metricNames(Option.none())).toEqual(["M"])
    })
  )

  test(
    "and is an integer, counts; what is text does not",
    Effect.gen(function* () {
      const view = yield* processAt(quick)
      const config = yield* InfluxConfig
      yield* post(config, [line(epochNs, "GPU-1"), `N,uuid=GPU-2 value=7i ${epochNs}`])
      yield* post(config, [`T,uuid=GPU-3 value="text" ${epochNs}`])
      expect(yield* view.stats).toMatchObject({ samples: 2, gpus: 2 })
      yield* post(config, [`N,uuid=GPU-2 value=8i ${epochNs + 1n}`, `T,uuid=GPU-4 value="text" ${epochNs}`])
      yield* untilStats(view, { samples: 3, gpus: 2 })
    })
  )

  test(
    "and deletes, is gone",
    Effect.gen(function* () {
      const view = yield* processAt(quick)
      const config = yield* InfluxConfig
      const now = yield* nowNs
      yield* post(config, [line(epochNs, "GPU-1"), line(now, "GPU-2"), line(now - 3n * dayNs, "GPU-3", "N")])
      yield* untilStats(view, { samples: 3, gpus: 3 })
      const influx = yield* theInflux
      const { org, bucket } = config
      for (const [uuid, left] of [
        ["GPU-3", ["GPU-1", "GPU-2"]],
        ["GPU-2", ["GPU-1"]],
        ["GPU-1", []]
      ] as const) {
        yield* call(
          influx,
          "POST",
          `/api/v2/delete?org=${org}&bucket=${bucket}`,
          JSON.stringify({
            start: "1970-01-01T00:00:00Z",
            stop: "2200-01-01T00:00:00Z",
            predicate: `uuid="${uuid}"`
          })
        )
        yield* untilStats(view, { samples: left.length, gpus: left.length })
        expect(yield* uuids(view)).toEqual(left)
      }
      expect(yield* view.metricNames(Option.none())).toEqual([])
    })
  )
})

describe("a process", () => {
  test(
    "counts a day that all of time begins within",
    Effect.gen(function* () {
      const own = yield* process
      yield* own.write([sampleOf(-9_223_330_000_000_000_000n), sampleOf(epochNs)])
      expect(yield* own.stats).toMatchObject({ samples: 2, oldestNs: -9_223_330_000_000_000_000n })
    })
  )

  test(
    "has looked at everything in the end, however impatient those are who ask",
    Effect.gen(function* () {
      const config = yield* InfluxConfig
      const own = yield* process
      yield* post(config, [line(epochNs, "GPU-1")])
      for (;;) {
        const stats = yield* Effect.timeoutOption(own.stats, 1)
        if (Option.isSome(stats)) return expect(stats.value.samples).toBe(1)
      }
    })
  )

  test(
    "sees at once what it has written itself",
    Effect.gen(function* () {
      const own = yield* processAt({ openIntervalMs: never, everythingIntervalMs: never })
      const now = yield* nowNs
      yield* own.write([sampleOf(epochNs)])
      expect((yield* own.stats).samples).toBe(1)
      yield* own.write([sampleOf(now, 1, { uuid: "GPU-9" }), sampleOf(epochNs), sampleOf(epochNs - dayNs)])
      expect(yield* own.stats).toEqual({
        gpus: 2,
        samples: 3,
        evicted: 0,
        oldestNs: epochNs - dayNs,
        newestNs: now
      })
      expect(yield* uuids(own)).toEqual(["GPU-1", "GPU-9"])
    })
  )

  test(
    "answers after a restart as before, also where what is kept of the days is wrong by now",
    Effect.gen(function* () {
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          const view = yield* process
          yield* view.write(
            Array.from({ length: 100 }, (_, i) =>
              sampleOf(epochNs + BigInt(i) * dayNs, i, { uuid: `GPU-${i % 7}` })
            )
          )
          return [yield* view.stats, yield* view.gpus({}), yield* view.metricNames(Option.none())]
        })
      )
      const again = yield* Effect.scoped(
        Effect.gen(function* () {
          const view = yield* process
          return [yield* view.stats, yield* view.gpus({}), yield* view.metricNames(Option.none())]
        })
      )
      expect(again).toEqual(before)
      const config = yield* InfluxConfig
      yield* post({ ...config, bucket: `${config.bucket}_catalogue` }, [
        `day samples=5i,counted="x" ${epochNs - (epochNs % dayNs)}`,
        `day samples=7i,counted="x" 0`
      ])
      yield* post(config, [line(epochNs - 900n * dayNs, "GPU-old")])
      const view = yield* process
      expect((yield* view.stats).samples).toBe(101)
      expect(Option.isSome(yield* view.gpu("GPU-old"))).toBe(true)
    })
  )

  test(
    "makes a catalogue bucket again that somebody has removed",
    Effect.gen(function* () {
      const config = yield* InfluxConfig
      const influx = yield* theInflux
      const own = yield* processAt({ openIntervalMs: never, everythingIntervalMs: never })
      yield* own.write([sampleOf(epochNs)])
      expect((yield* own.stats).samples).toBe(1)
      const named = `/api/v2/buckets?org=${config.org}&name=${config.bucket}_catalogue`
      const { buckets } = JSON.parse(yield* call(influx, "GET", named)) as {
        buckets: ReadonlyArray<{ id: string }>
      }
      yield* call(influx, "DELETE", `/api/v2/buckets/${buckets[0]!.id}`)
      yield* own.write([sampleOf(epochNs + 1n)])
      expect((yield* own.stats).samples).toBe(2)
    })
  )

  test(
    "whose token may not make a catalogue bucket, counts all the same",
    Effect.gen(function* () {
      const config = yield* InfluxConfig
      const influx = yield* theInflux
      yield* post({ ...config, bucket: yield* Effect.as(process, config.bucket) }, [line(epochNs, "GPU-1")])
      const { buckets } = JSON.parse(
        yield* call(influx, "GET", `/api/v2/buckets?org=${config.org}&name=${config.bucket}`)
      ) as { buckets: ReadonlyArray<{ id: string; orgID: string }> }
      const { id, orgID } = buckets[0]!
      const permissions = ["read", "write"].map((action) => ({
        action,
        resource: { type: "buckets", id, orgID }
      }))
      const { token } = JSON.parse(
        yield* call(influx, "POST", "/api/v2/authorizations", JSON.stringify({ orgID, permissions }))
      ) as { token: string }
      const view = yield* Effect.provide(process, Layer.succeed(InfluxConfig, { ...config, token }))
      yield* view.write([sampleOf(epochNs, 1, { uuid: "GPU-2" })])
      expect(yield* view.stats).toMatchObject({ samples: 2, gpus: 2 })
    })
  )
})
