/** The buckets that samples and catalogue lie in: found by their name, made where they are missing. */
import { Clock, Duration, Effect, Exit, Schema } from "effect"
import { StoreUnavailable } from "../../TelemetryStore.ts"
import { catalogueBucket } from "./Config.ts"
import { type InfluxConnection, statusOf } from "./Connection.ts"

export interface Buckets {
  /** The bucket of the samples is there. Remembered for about a minute. `retentionMs` is what it has now, 0 for ever. */
  readonly samples: Effect.Effect<{ readonly retentionMs: number }, StoreUnavailable>
  /** The bucket of the catalogue is there, and keeps for ever. */
  readonly catalogue: Effect.Effect<void, StoreUnavailable>
  /** Has the buckets looked for again where this is why a call failed: somebody has removed one. */
  readonly noteFailure: (failure: StoreUnavailable) => Effect.Effect<void>
}

/** How long a bucket that was there is taken to be, with the retention that it had. */
const rememberedMs = 60_000
/** InfluxDB keeps in shards of an hour and more, and refuses a retention below one. */
export const bucketRetentionMsMin = 3_600_000

interface Bucket {
  readonly id: string
  readonly orgID: string
  readonly retentionMs: number
}

const BucketList = Schema.Struct({
  buckets: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      orgID: Schema.String,
      retentionRules: Schema.Array(Schema.Struct({ everySeconds: Schema.Number }))
    })
  )
})

const OrganizationList = Schema.Struct({ orgs: Schema.Array(Schema.Struct({ id: Schema.String })) })

const isForbidden = (failure: StoreUnavailable): boolean => [401, 403].includes(statusOf(failure) ?? 0)

export const retentionText = (ms: number): string =>
  ms === 0 ? "for ever" : Duration.format(Duration.millis(ms))

const retentionRules = (ms: number) => [{ type: "expire", everySeconds: Math.ceil(ms / 1_000) }]

/**
 * Looks at most once at a time, and not again for a while after it has found what it looked for; those who ask meanwhile
 * have the same answer, also where that is a failure.
 */
const remembered = <A>(look: Effect.Effect<A, StoreUnavailable>) =>
  Effect.map(Effect.makeSemaphore(1), (turn) => {
    let last: { readonly exit: Exit.Exit<A, StoreUnavailable>; readonly atMs: number } | undefined
    const get = Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
      const before = last
      if (before !== undefined && Exit.isSuccess(before.exit) && nowMs - before.atMs < rememberedMs) {
        return before.exit
      }
      return turn.withPermits(1)(
        Effect.suspend(() => {
          if (last !== undefined && last !== before) return last.exit
          return Effect.flatMap(Effect.exit(look), (exit) => {
            last = { exit, atMs: nowMs }
            return exit
          })
        })
      )
    })
    const forget = Effect.sync(() => {
      last = undefined
    })
    return { get, forget }
  })

export const makeBuckets = (connection: InfluxConnection): Effect.Effect<Buckets> =>
  Effect.gen(function* () {
    const { url, org, bucket: samplesBucket, retentionMs: wantedMs, isRetentionAsked } = connection.config

    const unavailable = (problem: string, cause?: unknown) =>
      new StoreUnavailable({ store: `InfluxDB at ${url}`, problem, cause })

    /** A failure told by what it was that failed. */
    const because = (problem: string) => (failure: StoreUnavailable | { readonly message: string }) =>
      failure instanceof StoreUnavailable && !isForbidden(failure)
        ? failure
        : unavailable(`${problem}: ${failure.message}`, failure)

    /** Those of the organization; an organization that is not there, or no bucket of that name, has none. */
    const list = (query: string) =>
      connection.manage("GET", `/api/v2/buckets?org=${encodeURIComponent(org)}&${query}`).pipe(
        Effect.flatMap(Schema.decodeUnknown(BucketList)),
        Effect.map(({ buckets }) =>
          buckets.map(({ id, orgID, retentionRules: [rule] }): Bucket => {
            return { id, orgID, retentionMs: (rule?.everySeconds ?? 0) * 1_000 }
          })
        ),
        Effect.catchTags({
          ParseError: ({ message }) =>
            Effect.fail(unavailable(`its list of buckets can't be read: ${message}`)),
          RequestRefused: ({ message }) => Effect.fail(unavailable(`can't list its buckets: ${message}`))
        })
      )

    /** A bucket that is missing is answered like an organization that is: 404. */
    const find = (name: string) =>
      Effect.catchIf(
        list(`name=${encodeURIComponent(name)}`),
        (failure) => statusOf(failure) === 404 && /: 404 bucket /.test(failure.problem),
        () => Effect.succeed([])
      )

    const missing = (name: string): string =>
      `has no bucket ${name} (INFLUXDB_BUCKET ${samplesBucket}) in organization ${org} (INFLUXDB_ORG) that the token ` +
      "(INFLUXDB_TOKEN) may read, and the token may not create one"

    /** Names an organization as whoever creates something in it must; a token may see it, or only some bucket of it. */
    const organizationId = Effect.gen(function* () {
      const [organization] = yield* connection
        .manage("GET", `/api/v2/orgs?org=${encodeURIComponent(org)}`)
        .pipe(
          Effect.flatMap(Schema.decodeUnknown(OrganizationList)),
          Effect.map(({ orgs }) => orgs),
          Effect.catchAll(() => Effect.succeed([]))
        )
      return organization?.id ?? (yield* list("limit=100"))[0]?.orgID
    })

    const create = (name: string, retentionMs: number) =>
      Effect.gen(function* () {
        const orgID = yield* organizationId
        if (orgID === undefined) return yield* unavailable(missing(name))
        yield* connection
          .manage("POST", "/api/v2/buckets", { orgID, name, retentionRules: retentionRules(retentionMs) })
          .pipe(Effect.mapError(because(missing(name))))
        yield* Effect.logInfo(`created bucket ${name} of InfluxDB, which keeps ${retentionText(retentionMs)}`)
      })

    const findOrCreate = (name: string, retentionMs: number) =>
      Effect.gen(function* () {
        const [found] = yield* find(name)
        if (found !== undefined) return found
        // Another process may create it at this moment; then it is there when this has failed.
        const created = yield* Effect.either(create(name, retentionMs))
        const [bucket] = yield* find(name)
        if (bucket !== undefined) return bucket
        return yield* created._tag === "Left" ? created.left : unavailable(missing(name))
      })

    const changeRetention = (name: string, { id, retentionMs: nowMs }: Bucket, nextMs: number) =>
      Effect.gen(function* () {
        const change = `from ${retentionText(nowMs)} to ${retentionText(nextMs)}`
        yield* connection
          .manage("PATCH", `/api/v2/buckets/${id}`, { retentionRules: retentionRules(nextMs) })
          .pipe(Effect.mapError(because(`can't change the retention of bucket ${name} ${change}`)))
        const isShorter = nextMs !== 0 && (nowMs === 0 || nextMs < nowMs)
        yield* isShorter
          ? Effect.logWarning(
              `changed the retention of bucket ${name} ${change}: InfluxDB deletes what is older`
            )
          : Effect.logInfo(`changed the retention of bucket ${name} ${change}`)
      })

    const withRetention = (name: string, retentionMs: number, mayChange: boolean) =>
      Effect.gen(function* () {
        const bucket = yield* findOrCreate(name, retentionMs)
        const wholeSecondsMs = Math.ceil(retentionMs / 1_000) * 1_000
        if (!mayChange || bucket.retentionMs === wholeSecondsMs) return { retentionMs: bucket.retentionMs }
        yield* changeRetention(name, bucket, retentionMs)
        return { retentionMs: wholeSecondsMs }
      })

    const tooShort = unavailable(
      `keeps no bucket for less than 1h, and RETENTION_PERIOD is ${retentionText(wantedMs)}; 0 keeps for ever`
    )
    const samples = yield* remembered(
      wantedMs > 0 && wantedMs < bucketRetentionMsMin
        ? Effect.fail(tooShort)
        : withRetention(samplesBucket, wantedMs, isRetentionAsked)
    )
    const catalogue = yield* remembered(withRetention(catalogueBucket(samplesBucket), 0, true))
    return {
      samples: samples.get,
      catalogue: Effect.asVoid(catalogue.get),
      noteFailure: (failure) =>
        statusOf(failure) === 404 ? Effect.zipRight(samples.forget, catalogue.forget) : Effect.void
    }
  })
