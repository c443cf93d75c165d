/** Writes to a real InfluxDB: what is stored, reported, refused or left to be repeated. */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Layer, Logger, LogLevel, type Scope } from "effect"
import { StoreUnavailable } from "../../../src/layers/TelemetryStore.ts"
import { makeBuckets } from "../../../src/layers/telemetry-store/influx/buckets.ts"
import { InfluxConfig } from "../../../src/layers/telemetry-store/influx/Config.ts"
import { make as makeConnection } from "../../../src/layers/telemetry-store/influx/Connection.ts"
import { makeWriting } from "../../../src/layers/telemetry-store/influx/writing.ts"
import { writeSamplesMax } from "../../../src/protocol/Limits.ts"
import type { Sample } from "../../../src/protocol/Sample.ts"
import { call, freshBucket, isInfluxThere, post } from "../../influx/Buckets.ts"
import { FaultProxy } from "../../influx/FaultProxy.ts"
import { rowsOf } from "../../influx/Rows.ts"
import { epochNs, sampleAt, sampleOf } from "../../Samples.ts"

const hourMs = 3_600_000

const proxyBefore = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(() => FaultProxy.start(url)),
    (proxy) => Effect.promise(() => proxy.refuse())
  )

/** A process that writes through a proxy, and whose catalogue fails as often as told. */
const openWriting = (
  options: { readonly catalogueFailures?: number; readonly knowsRetention?: boolean } = {}
) =>
  Effect.gen(function* () {
    const { catalogueFailures = 0, knowsRetention = true } = options
    const config = yield* InfluxConfig
    const proxy = yield* proxyBefore(config.url)
    const connection = yield* Effect.provideService(makeConnection(), InfluxConfig, {
      ...config,
      url: proxy.url
    })
    const buckets = yield* makeBuckets(connection)
    const noted: Array<ReadonlyArray<Sample>> = []
    let failures = catalogueFailures
    const write = makeWriting(
      connection,
      knowsRetention ? buckets : { ...buckets, samples: Effect.as(buckets.samples, { retentionMs: 0 }) },
      {
        wrote: (samples) =>
          failures-- > 0
            ? new StoreUnavailable({ store: "catalogue", problem: "away" })
            : Effect.sync(() => {
                noted.push(samples)
              })
      }
    )
    return { config, proxy, write, noted }
  })

const onBucket = <A, E>(
  test: Effect.Effect<A, E, InfluxConfig | Scope.Scope>,
  partial: Partial<InfluxConfig["Type"]> = {}
) =>
  Effect.scoped(
    Effect.flatMap(Layer.build(freshBucket({ timeoutMs: 2_000, ...partial })), (bucket) =>
      Effect.provide(test, bucket)
    )
  ).pipe(Logger.withMinimumLogLevel(LogLevel.None))

const isWrite = ({ path }: { readonly path: string }) => path.startsWith("/api/v2/write")

describe.skipIf(!isInfluxThere)("a write", () => {
  it.live(
    "is stored and noted, in requests of a bounded number of lines, and a repeated one changes nothing",
    () =>
      onBucket(
        Effect.gen(function* () {
          const { config, proxy, write, noted } = yield* openWriting()
          const samples = Array.from({ length: 2 * writeSamplesMax + 1 }, (_, n) => sampleAt(n))
          const report = { stored: samples.length, olderThanRetention: [] }
          expect(yield* write(samples)).toEqual(report)
          expect(proxy.asked.filter(isWrite)).toHaveLength(3)
          expect(yield* write(samples)).toEqual(report)
          expect(yield* rowsOf(config)).toEqual(samples.map(({ timeNs, value }) => ({ timeNs, value })))
          expect(noted).toEqual([samples, samples])
          expect(yield* write([])).toEqual({ stored: 0, olderThanRetention: [] })
        })
      )
  )

  it.live("keeps the last value of an identity", () =>
    onBucket(
      Effect.gen(function* () {
        const { config, write } = yield* openWriting()
        yield* write([sampleAt(0, {}, 1), sampleAt(0, {}, 2)])
        expect(yield* rowsOf(config)).toEqual([{ timeNs: epochNs, value: 2 }])
      })
    )
  )

  it.live("has failed while the catalogue has not noted it", () =>
    onBucket(
      Effect.gen(function* () {
        const { write, noted } = yield* openWriting({ catalogueFailures: 1 })
        expect((yield* Effect.flip(write([sampleAt(0)]))).message).toBe("catalogue: away")
        yield* write([sampleAt(0)])
        expect(noted).toEqual([[sampleAt(0)]])
      })
    )
  )

  it.live.each([true, false])(
    "reports what is older than the retention, whether that is known here or only to the server: %s",
    (knowsRetention) =>
      onBucket(
        Effect.gen(function* () {
          const { config, write, noted } = yield* openWriting({ knowsRetention })
          const nowNs = BigInt(yield* Clock.currentTimeMillis) * 1_000_000n
          const atHours = (hours: number) => sampleOf(nowNs - BigInt(hours * hourMs) * 1_000_000n, hours)
          const samples = [atHours(3), atHours(1), atHours(30), atHours(0), atHours(300)]
          const report = { stored: 2, olderThanRetention: [0, 2, 4] }
          expect(yield* write(samples)).toEqual(report)
          expect(noted).toEqual([[samples[1], samples[3]]])
          expect((yield* rowsOf(config)).map(({ value }) => value)).toEqual([1, 0])
          expect(yield* write([samples[0]!])).toEqual({ stored: 0, olderThanRetention: [0] })
          expect(noted).toHaveLength(1)
        }),
        { retentionMs: 2 * hourMs }
      )
  )

  it.live("reports the samples that InfluxDB can't carry, with the reason, and stores the others", () =>
    onBucket(
      Effect.gen(function* () {
        const { config, write, noted } = yield* openWriting()
        const report = yield* write([sampleAt(0), sampleAt(1, { pod: "a\\" }), sampleAt(2)])
        expect(report).toEqual({
          stored: 2,
          olderThanRetention: [],
          refused: [{ index: 1, problem: "InfluxDB can't carry it: the pod ends with a backslash" }]
        })
        expect((yield* rowsOf(config)).map(({ value }) => value)).toEqual([0, 2])
        expect(noted).toEqual([[sampleAt(0), sampleAt(2)]])
      })
    )
  )

  it.live("that meets points of another type is refused, and what is parted from them is stored", () =>
    onBucket(
      Effect.gen(function* () {
        const { config, write } = yield* openWriting()
        yield* write([])
        yield* post(config, [`theirs,uuid=u value="text" ${epochNs}`])
        const refused = yield* Effect.flip(write([sampleAt(0), sampleAt(0, { metricName: "theirs" })]))
        expect(refused._tag).toBe("WriteRefused")
        expect(refused.problem).toContain("field type conflict")
        expect(yield* write([sampleAt(0)])).toEqual({ stored: 1, olderThanRetention: [] })
      })
    )
  )

  it.live(
    "fails for now where the server is away, busy, slow or breaks off, and succeeds when it does not",
    () =>
      onBucket(
        Effect.gen(function* () {
          const { config, proxy, write } = yield* openWriting()
          const samples = Array.from({ length: 300 }, (_, n) => sampleAt(n))
          const busy = (status: number, headers = {}) => ({ type: "answer", status, headers }) as const
          for (const [fault, problem, retryAfterMs] of [
            [{ type: "reset" }, /can't be reached/, undefined],
            [{ type: "hang" }, /timed out/, undefined],
            [{ type: "hangAnswer" }, /timed out/, undefined],
            [{ type: "loseAnswer" }, /can't be reached/, undefined],
            [{ type: "cutRequest", bytes: 100 }, /can't be reached/, undefined],
            [{ type: "cutAnswer", bytes: 9 }, /can't be reached/, undefined],
            [busy(429, { "retry-after": "3" }), /answers 429/, 3_000],
            [busy(503, { "retry-after": "7" }), /answers 503/, 7_000],
            [busy(503), /answers 503/, undefined],
            [busy(500), /answers 500/, undefined],
            [busy(401), /does not accept the token \(INFLUXDB_TOKEN\)/, undefined],
            [busy(403), /token \(INFLUXDB_TOKEN\) may not/, undefined]
          ] as const) {
            proxy.plan = (asked) => (isWrite(asked) ? fault : undefined)
            const failure = yield* Effect.flip(write(samples))
            expect(failure._tag).toBe("StoreUnavailable")
            expect(failure.problem).toMatch(problem)
            expect((failure as StoreUnavailable).retryAfterMs).toBe(retryAfterMs)
          }
          yield* Effect.promise(() => proxy.refuse())
          expect((yield* Effect.flip(write(samples))).problem).toMatch(/ECONNREFUSED/)
          yield* Effect.promise(() => proxy.accept())
          proxy.plan = () => undefined
          yield* write(samples)
          expect(yield* rowsOf(config)).toHaveLength(300)
        }),
        { timeoutMs: 200 }
      )
  )

  it.live("is refused where the server says that it will never take it", () =>
    onBucket(
      Effect.gen(function* () {
        const { proxy, write } = yield* openWriting()
        for (const status of [400, 413, 422]) {
          proxy.plan = (asked) => (isWrite(asked) ? { type: "answer", status, body: "no" } : undefined)
          expect((yield* Effect.flip(write([sampleAt(0)])))._tag).toBe("WriteRefused")
        }
      })
    )
  )

  it.live(
    "finds its bucket again that was removed and made anew, or is still missing, and a token that was mended",
    () =>
      onBucket(
        Effect.gen(function* () {
          const { config, proxy, write } = yield* openWriting()
          yield* write([sampleAt(0)])
          const text = yield* call(config, "GET", `/api/v2/buckets?org=${config.org}&name=${config.bucket}`)
          const [{ id }] = (JSON.parse(text) as { buckets: [{ id: string }] }).buckets
          yield* call(config, "DELETE", `/api/v2/buckets/${id}`)
          const gone = yield* Effect.flip(write([sampleAt(1)]))
          expect(gone.problem).toContain(`bucket ${config.bucket} (INFLUXDB_BUCKET)`)
          yield* write([sampleAt(1)])
          proxy.token = "wrong"
          expect((yield* Effect.flip(write([sampleAt(2)]))).problem).toContain("(INFLUXDB_TOKEN)")
          proxy.token = undefined
          yield* write([sampleAt(2)])
          expect((yield* rowsOf(config)).map(({ value }) => value)).toEqual([1, 2])
        })
      )
  )
})
