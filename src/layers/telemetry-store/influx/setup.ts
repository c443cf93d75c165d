/**
 * Makes an InfluxDB ready for those who store in it and read from it: waits until it answers, sets it up where it is new, and
 * sees that the token is one of its own.
 *
 * Doing it again, or several times at once, changes nothing. InfluxDB keeps what it has made when it then refuses something
 * else of a setup, and lets nobody set it up again: what it would refuse is refused here, before.
 */
import { HttpError } from "@influxdata/influxdb-client"
import { Effect, type ParseResult, Schedule, Schema, type Scope } from "effect"
import { OutageLog } from "../../OutageLog.ts"
import { StoreUnavailable } from "../../TelemetryStore.ts"
import { bucketRetentionMsMin, makeBuckets, retentionText } from "./buckets.ts"
import { InfluxConfig } from "./Config.ts"
import * as Connection from "./Connection.ts"

/** Who administers an InfluxDB that is set up; only a new one needs the password. */
export interface Administrator {
  readonly username: string
  readonly password: string | undefined
}

/** InfluxDB can't be used as it was asked for, and waiting would not help. */
export class SetupRefused extends Schema.TaggedError<SetupRefused>()("SetupRefused", {
  store: Schema.String,
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `${this.store}: ${this.problem}`
  }
}

/** Between two attempts to reach InfluxDB, growing from one to the other, and spread by chance. */
const attemptDelay = Schedule.exponential("200 millis").pipe(
  Schedule.union(Schedule.spaced("2 seconds")),
  Schedule.jittered
)
/** Somebody else may be setting it up: its token is valid when they are done. */
const untilOthersAreDone = Schedule.intersect(Schedule.spaced("500 millis"), Schedule.recurs(8))

const SetupState = Schema.Struct({ allowed: Schema.Boolean })

const overloaded = 429
const serverError = 500

/** Whether InfluxDB may answer otherwise later, by itself. */
const isAway = ({ cause }: StoreUnavailable): boolean => {
  if (cause instanceof StoreUnavailable) return isAway(cause)
  if (cause instanceof HttpError) return cause.statusCode === overloaded || cause.statusCode >= serverError
  return cause instanceof Error && !(cause instanceof Connection.RequestRefused)
}

/** What came instead of what InfluxDB says, in a word: the rest may be a page of somebody else's. */
const answered = (failure: StoreUnavailable | Connection.RequestRefused | ParseResult.ParseError): string => {
  const status = failure._tag === "RequestRefused" ? failure.status : Connection.statusOf(failure)
  return status === undefined ? "is answered otherwise" : `is answered with ${status}`
}

/** What InfluxDB would refuse of a setup when it has made the rest. */
const unusable = ({ bucket, retentionMs }: InfluxConfig["Type"]): string | undefined => {
  if (bucket.startsWith("_") || bucket.includes('"')) {
    return `takes no bucket of that name: ${bucket} (INFLUXDB_BUCKET) starts with an underscore or has quotation marks`
  }
  if (retentionMs > 0 && retentionMs < bucketRetentionMsMin) {
    return `keeps no bucket for less than 1h, and RETENTION_PERIOD is ${retentionText(retentionMs)}; none keeps for ever`
  }
  return undefined
}

/** Answers what is ready now, for people. */
export const setUp = ({
  username,
  password
}: Administrator): Effect.Effect<string, SetupRefused, InfluxConfig | Scope.Scope> =>
  Effect.gen(function* () {
    const config = yield* InfluxConfig
    const { token, org, bucket, retentionMs, url } = config
    const connection = yield* Connection.make()
    const buckets = yield* makeBuckets(connection)
    const refused = (problem: string, cause?: unknown) =>
      new SetupRefused({ store: `InfluxDB at ${url}`, problem, cause })

    const problem = unusable(config)
    if (problem !== undefined) return yield* refused(problem)

    const isNew = connection.manage("GET", "/api/v2/setup").pipe(
      Effect.flatMap(Schema.decodeUnknown(SetupState)),
      Effect.map(({ allowed }) => allowed),
      Effect.mapError((failure) =>
        failure._tag === "StoreUnavailable" && isAway(failure)
          ? failure
          : refused(`is no InfluxDB 2: GET /api/v2/setup ${answered(failure)}`, failure)
      )
    )

    /** Whether it was this call that did it: others may at the same moment. */
    const create = Effect.gen(function* () {
      if (password === undefined) {
        return yield* refused("is new, and INFLUXDB_PASSWORD, for its administrator, is not set")
      }
      const retentionPeriodSeconds = Math.ceil(retentionMs / 1_000)
      const body = { username, password, org, bucket, token, retentionPeriodSeconds }
      yield* connection.manage("POST", "/api/v2/setup", body)
      return true
    }).pipe(
      Effect.catchTag("RequestRefused", (failure) =>
        failure.status === 422
          ? Effect.succeed(false)
          : Effect.fail(refused(`refuses to be set up: ${failure.message}`, failure))
      )
    )

    const check = buckets.samples.pipe(
      Effect.retry({ schedule: untilOthersAreDone, while: (failure) => !isAway(failure) })
    )

    const attempt = Effect.gen(function* () {
      const isOurs = (yield* isNew) && (yield* create)
      const { retentionMs: keptMs } = yield* check.pipe(
        Effect.catchIf(
          (failure) => !isOurs && !isAway(failure),
          (failure) => Effect.fail(refused(`was set up before, and ${failure.problem}`, failure))
        )
      )
      const how = isOurs ? "is set up" : "was set up before and takes the token"
      return `InfluxDB at ${url} ${how}: organization ${org}, bucket ${bucket}, which keeps ${retentionText(keptMs)}`
    })

    const outage = new OutageLog("waiting for InfluxDB", "InfluxDB answers")
    return yield* attempt.pipe(
      Effect.tapError((failure) =>
        failure._tag === "StoreUnavailable" ? outage.failed(failure.message) : Effect.void
      ),
      Effect.retry({ schedule: attemptDelay, while: ({ _tag }) => _tag === "StoreUnavailable" }),
      Effect.tap(outage.succeeded()),
      Effect.catchTag("StoreUnavailable", (failure) => Effect.fail(refused(failure.problem, failure)))
    )
  })
