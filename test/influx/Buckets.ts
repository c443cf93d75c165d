/** Buckets of the InfluxDB of this run: a fresh one for each that asks. */
import { randomUUID } from "node:crypto"
import { Effect, Layer } from "effect"
import { inject } from "vitest"
import { InfluxConfig } from "../../src/layers/telemetry-store/influx/Config.ts"
import { type Influx, ready } from "./Influxd.ts"

const influx = inject("influx")

/** Tests of InfluxDB are skipped where there is none; test/influx/global.ts says so, and fails in CI. */
export const isInfluxThere: boolean = influx !== undefined

/** The server, once it answers. */
export const theInflux: Effect.Effect<Influx> = Effect.suspend(() =>
  Effect.as(
    Effect.promise(() => ready(influx!)),
    influx!
  )
)

/** A call to its HTTP API, as anybody could make it. Fails on a status that is no success. */
export const call = (
  { url, token }: Influx,
  method: string,
  path: string,
  body?: string
): Effect.Effect<string> =>
  Effect.promise(async () => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Token ${token}` },
      ...(body === undefined ? {} : { body })
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text
  })

const bucketsNamed = (influx: Influx, name: string) =>
  Effect.map(
    call(influx, "GET", `/api/v2/buckets?limit=100&org=${influx.org}&name=${name}`).pipe(
      Effect.catchAllDefect(() => Effect.succeed('{"buckets":[]}'))
    ),
    (text) => (JSON.parse(text) as { buckets: ReadonlyArray<{ id: string }> }).buckets
  )

/** Takes a bucket away, and what is kept beside it. */
export const removeBuckets = (name: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const influx = yield* theInflux
    for (const bucket of [name, `${name}_catalogue`]) {
      for (const { id } of yield* bucketsNamed(influx, bucket)) {
        yield* call(influx, "DELETE", `/api/v2/buckets/${id}`)
      }
    }
  })

/** A name that nothing else uses; what is created under it, and beside it, goes with the scope. */
const bucketName = Effect.acquireRelease(
  Effect.sync(() => `test_${randomUUID()}`),
  removeBuckets
)

/** A configuration with a bucket of its own, that is not there yet and keeps everything. */
export const freshBucket = (partial: Partial<InfluxConfig["Type"]> = {}): Layer.Layer<InfluxConfig> =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const influx = yield* theInflux
      return InfluxConfig.layer({ ...influx, bucket: yield* bucketName, retentionMs: 0, ...partial })
    })
  )

/** Points written as another collector would write them: a plain POST of line protocol. */
export const post = (config: InfluxConfig["Type"], lines: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.asVoid(
    call(
      config,
      "POST",
      `/api/v2/write?org=${config.org}&bucket=${config.bucket}&precision=ns`,
      lines.join("\n")
    )
  )
