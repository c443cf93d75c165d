/** Buckets of a real InfluxDB: made, changed or complained about. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Logger, type Scope } from "effect"
import { makeBuckets } from "../../../src/layers/telemetry-store/influx/buckets.ts"
import { InfluxConfig } from "../../../src/layers/telemetry-store/influx/Config.ts"
import { make as makeConnection } from "../../../src/layers/telemetry-store/influx/Connection.ts"
import { call, freshBucket, isInfluxThere } from "../../influx/Buckets.ts"
import { FaultProxy } from "../../influx/FaultProxy.ts"

const hourMs = 3_600_000

/** A bucket as InfluxDB describes it. */
interface Described {
  readonly id: string
  readonly orgID: string
  readonly retentionRules: ReadonlyArray<{ readonly everySeconds: number }>
}

const describeBucket = (config: InfluxConfig["Type"], name: string) =>
  Effect.map(
    call(config, "GET", `/api/v2/buckets?org=${config.org}&name=${name}`),
    (text) => (JSON.parse(text) as { buckets: ReadonlyArray<Described> }).buckets[0]!
  )

const retentionOf = (config: InfluxConfig["Type"], name: string) =>
  Effect.map(describeBucket(config, name), ({ retentionRules: [rule] }) => rule!.everySeconds * 1_000)

/** The buckets of a process with other settings than those of the test. */
const bucketsOf = (partial: Partial<InfluxConfig["Type"]> = {}) =>
  Effect.gen(function* () {
    const config = yield* InfluxConfig
    const connection = yield* Effect.provideService(makeConnection(), InfluxConfig, { ...config, ...partial })
    return yield* makeBuckets(connection)
  })

/** A token that may do only so much. */
const tokenFor = (
  config: InfluxConfig["Type"],
  permissions: (orgID: string) => ReadonlyArray<{ readonly action: string; readonly resource: object }>
) =>
  Effect.gen(function* () {
    const { orgID } = yield* describeBucket(config, "_monitoring")
    const body = JSON.stringify({ orgID, permissions: permissions(orgID) })
    const text = yield* call(config, "POST", "/api/v2/authorizations", body)
    return (JSON.parse(text) as { token: string }).token
  })

/** Runs a test with a bucket of its own, and answers what it logged. */
const onBucket = <A, E>(
  test: (log: ReadonlyArray<string>) => Effect.Effect<A, E, InfluxConfig | Scope.Scope>,
  partial: Partial<InfluxConfig["Type"]> = {}
) => {
  const log: Array<string> = []
  const logger = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ logLevel, message }) => log.push(`${logLevel.label}: ${message}`))
  )
  return Effect.scoped(
    Effect.flatMap(Layer.build(freshBucket(partial)), (bucket) => Effect.provide(test(log), bucket))
  ).pipe(Effect.provide(logger))
}

describe.skipIf(!isInfluxThere)("the buckets", () => {
  it.live("are created where they are missing, with the retention asked for and for ever", () =>
    onBucket(
      () =>
        Effect.gen(function* () {
          const config = yield* InfluxConfig
          const buckets = yield* bucketsOf()
          expect(yield* buckets.samples).toEqual({ retentionMs: 2 * hourMs })
          yield* buckets.catalogue
          expect(yield* retentionOf(config, config.bucket)).toBe(2 * hourMs)
          expect(yield* retentionOf(config, `${config.bucket}_catalogue`)).toBe(0)
        }),
      { retentionMs: 2 * hourMs }
    )
  )

  it.live("are created once by many processes that find them missing at the same moment", () =>
    onBucket(() =>
      Effect.gen(function* () {
        const all = yield* Effect.all(Array.from({ length: 8 }, () => bucketsOf()))
        const found = yield* Effect.forEach(all, ({ samples, catalogue }) => Effect.zip(samples, catalogue), {
          concurrency: "unbounded"
        })
        expect(found).toEqual(all.map(() => [{ retentionMs: 0 }, undefined]))
      })
    )
  )

  it.live(
    "keep the retention that they have, unless another one is asked for; a shorter one is warned of",
    () =>
      onBucket((log) =>
        Effect.gen(function* () {
          const config = yield* InfluxConfig
          yield* (yield* bucketsOf({ retentionMs: 4 * hourMs })).samples
          expect(yield* (yield* bucketsOf({ retentionMs: 2 * hourMs })).samples).toEqual({
            retentionMs: 4 * hourMs
          })
          const asked = { retentionMs: 2 * hourMs, isRetentionAsked: true }
          expect(yield* (yield* bucketsOf(asked)).samples).toEqual({ retentionMs: 2 * hourMs })
          expect(yield* retentionOf(config, config.bucket)).toBe(2 * hourMs)
          yield* (yield* bucketsOf(asked)).samples
          yield* (yield* bucketsOf({ retentionMs: 0, isRetentionAsked: true })).samples
          expect(yield* retentionOf(config, config.bucket)).toBe(0)
          expect(log).toEqual([
            `INFO: created bucket ${config.bucket} of InfluxDB, which keeps 4h`,
            `WARN: changed the retention of bucket ${config.bucket} from 4h to 2h: InfluxDB deletes what is older`,
            `INFO: changed the retention of bucket ${config.bucket} from 2h to for ever`
          ])
        })
      )
  )

  it.live("are looked for once, and again where a call found one missing", () =>
    onBucket(() =>
      Effect.gen(function* () {
        const config = yield* InfluxConfig
        const connection = yield* makeConnection()
        const buckets = yield* makeBuckets(connection)
        yield* Effect.all([buckets.samples, buckets.samples], { concurrency: "unbounded" })
        const { id } = yield* describeBucket(config, config.bucket)
        yield* call(config, "DELETE", `/api/v2/buckets/${id}`)
        yield* buckets.samples
        const missing = yield* Effect.flip(connection.write(config.bucket, ["m,uuid=u value=1 1"]))
        expect(missing.message).toContain("404")
        yield* buckets.noteFailure(missing as never)
        yield* buckets.samples
        yield* connection.write(config.bucket, ["m,uuid=u value=1 1"])
      })
    )
  )

  it.live("that a token may not create are told of by name, with what to mend", () =>
    onBucket(() =>
      Effect.gen(function* () {
        const config = yield* InfluxConfig
        const nothing =
          `has no bucket ${config.bucket} (INFLUXDB_BUCKET ${config.bucket}) in organization cisco (INFLUXDB_ORG) that the ` +
          "token (INFLUXDB_TOKEN) may read, and the token may not create one"
        const readOnly = yield* tokenFor(config, (orgID) => [
          { action: "read", resource: { type: "buckets", orgID } }
        ])
        const failure = yield* Effect.flip((yield* bucketsOf({ token: readOnly })).samples)
        expect(failure.problem).toContain(nothing)
        const blind = yield* tokenFor(config, (orgID) => [
          { action: "read", resource: { type: "dashboards", orgID } }
        ])
        expect((yield* Effect.flip((yield* bucketsOf({ token: blind })).samples)).problem).toContain(nothing)
        const able = yield* tokenFor(config, (orgID) =>
          ["read", "write"].map((action) => ({ action, resource: { type: "buckets", orgID } }))
        )
        yield* (yield* bucketsOf({ token: able })).samples
      })
    )
  )

  it.live("of an organization that is not there, or asked with a wrong token, are no buckets to create", () =>
    onBucket(() =>
      Effect.gen(function* () {
        const wrongToken = yield* Effect.flip((yield* bucketsOf({ token: "wrong" })).samples)
        expect(wrongToken.problem).toContain("does not accept the token (INFLUXDB_TOKEN)")
        const wrongOrg = yield* Effect.flip((yield* bucketsOf({ org: "nobody" })).samples)
        expect(wrongOrg.problem).toContain("does not have organization nobody (INFLUXDB_ORG)")
      })
    )
  )

  it.live("that InfluxDB fails to create are told of with its own words", () =>
    onBucket(() =>
      Effect.gen(function* () {
        const { url } = yield* InfluxConfig
        const proxy = yield* Effect.acquireRelease(
          Effect.promise(() => FaultProxy.start(url)),
          (started) => Effect.promise(() => started.refuse())
        )
        proxy.plan = ({ method }) =>
          method === "POST" ? { type: "answer", status: 500, body: '{"message":"disk full"}' } : undefined
        const failure = yield* Effect.flip((yield* bucketsOf({ url: proxy.url })).samples)
        expect(failure.problem).toContain("disk full")
        proxy.plan = () => undefined
        yield* (yield* bucketsOf({ url: proxy.url })).samples
      })
    )
  )

  it.live("can't keep for less than an hour", () =>
    onBucket(() =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip((yield* bucketsOf({ retentionMs: hourMs - 1 })).samples)
        expect(failure.problem).toBe(
          "keeps no bucket for less than 1h, and RETENTION_PERIOD is 59m 59s 999ms; 0 keeps for ever"
        )
      })
    )
  )
})
