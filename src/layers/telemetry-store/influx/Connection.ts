/**
 * What InfluxDB is asked over its HTTP API: a Flux query, a write of lines, or a call to manage it.
 *
 * Nothing is retried and nothing buffered in here: every failure is told at once, by what it means for whoever asked.
 */
import { Agent as HttpAgent } from "node:http"
import { Agent as HttpsAgent } from "node:https"
import {
  type FluxTableMetaData,
  HttpError,
  InfluxDB,
  type ParameterizedQuery,
  type SendOptions,
  setLogger
} from "@influxdata/influxdb-client"
import { Effect, Schema, type Scope } from "effect"
import { StoreUnavailable, WriteRefused } from "../../TelemetryStore.ts"
import { InfluxConfig } from "./Config.ts"

/** Sockets of one connection unless told: what is beyond waits in this process instead of in the server. */
const socketsMaxDefault = 16
/** Bodies above it are compressed. */
const gzipBytesMin = 1_024

/** A call that InfluxDB answered with a status that is not a success. */
export class RequestRefused extends Schema.TaggedError<RequestRefused>()("RequestRefused", {
  status: Schema.Number,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.status}: ${this.problem}`
  }
}

/** Makes a value of each row of a table that has these columns. */
export type TableReader<A> = (table: FluxTableMetaData) => (cells: ReadonlyArray<string>) => A

export interface InfluxConnection {
  /** The URL, organization and bucket, for people. */
  readonly description: string
  readonly config: InfluxConfig["Type"]
  /** The rows that a query yields, in the order they come. Holds all of them: ask for what is bounded. */
  readonly query: <A>(
    flux: ParameterizedQuery,
    reader: TableReader<A>
  ) => Effect.Effect<ReadonlyArray<A>, StoreUnavailable>
  /** Succeeds when InfluxDB says that every line is stored (204). Times are in nanoseconds. */
  readonly write: (
    bucket: string,
    lines: ReadonlyArray<string>
  ) => Effect.Effect<void, StoreUnavailable | WriteRefused>
  /** A call to the management API, answered with the decoded body. */
  readonly manage: (
    method: "GET" | "POST" | "PATCH" | "DELETE",
    path: string,
    body?: unknown
  ) => Effect.Effect<unknown, StoreUnavailable | RequestRefused>
}

/** The status that a failure goes back to; `undefined` where InfluxDB did not answer. */
export const statusOf = ({ cause }: { readonly cause?: unknown }): number | undefined =>
  cause instanceof HttpError
    ? cause.statusCode
    : cause instanceof StoreUnavailable
      ? statusOf(cause)
      : undefined

/** Whether a table is what a query that fails half way answers behind its rows, with a status of success. */
const isProblem = ({ columns }: FluxTableMetaData): boolean =>
  columns.some(({ label }) => label === "error") && columns.every(({ label }) => label !== "result")

/** The body's own words where it has some. */
const wordsOf = (error: HttpError): string =>
  typeof error.json?.message === "string" ? error.json.message : error.message

/** Statuses that say that the very same request will never succeed. */
const refusals = new Set([400, 413, 422])

const unreachable = (cause: unknown): string => {
  const { code, message } = cause as NodeJS.ErrnoException
  // Several addresses of one name are tried at once, and their failures come together, without a message.
  return code !== undefined && !message?.includes(code)
    ? `${code} ${message ?? ""}`.trim()
    : (message ?? String(cause))
}

/** What sets one connection apart from others to the same server. */
export interface Lane {
  readonly socketsMax?: number
  /** Silence after which a request has failed, in milliseconds; that of the configuration unless told. */
  readonly timeoutMs?: number
}

export const make = (lane: Lane = {}): Effect.Effect<InfluxConnection, never, InfluxConfig | Scope.Scope> =>
  Effect.gen(function* () {
    const config = yield* InfluxConfig
    const { url, token, org, bucket } = config
    const { socketsMax = socketsMaxDefault, timeoutMs = config.timeoutMs } = lane
    // The client prints what it also throws.
    setLogger({ error: () => {}, warn: () => {} })
    const Agent = url.startsWith("https:") ? HttpsAgent : HttpAgent
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Agent({ keepAlive: true, maxSockets: socketsMax })),
      (pool) => Effect.sync(() => pool.destroy())
    )
    const client = new InfluxDB({ url, token, timeout: timeoutMs, transportOptions: { agent } })
    const store = `InfluxDB at ${url}`

    const unavailable = (problem: string, cause: unknown, retryAfterMs?: number) =>
      new StoreUnavailable({ store, problem, cause, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })

    /** What a failure says of the one who asked: wait, mend the settings, or don't ask like that again. */
    const explain = (cause: unknown): StoreUnavailable | RequestRefused => {
      if (!(cause instanceof HttpError)) return unavailable(`can't be reached: ${unreachable(cause)}`, cause)
      const { statusCode: status } = cause
      const words = wordsOf(cause)
      if (refusals.has(status)) return new RequestRefused({ status, problem: words })
      if (status === 401) {
        return unavailable(
          `does not accept the token (INFLUXDB_TOKEN) for organization ${org} (INFLUXDB_ORG): 401 ${words}`,
          cause
        )
      }
      if (status === 403)
        return unavailable(`the token (INFLUXDB_TOKEN) may not do this: 403 ${words}`, cause)
      if (status === 404) {
        return unavailable(
          `does not have organization ${org} (INFLUXDB_ORG) or bucket ${bucket} (INFLUXDB_BUCKET): 404 ${words}`,
          cause
        )
      }
      const retryAfterMs = cause.retryAfter() * 1_000
      return unavailable(`answers ${status} ${words}`, cause, retryAfterMs > 0 ? retryAfterMs : undefined)
    }

    const request = (path: string, body: unknown, options: SendOptions) =>
      Effect.tryPromise({
        try: (signal) => client.transport.request(path, body, { ...options, signal }),
        catch: explain
      })

    const write: InfluxConnection["write"] = (into, lines) =>
      request(
        `/api/v2/write?org=${encodeURIComponent(org)}&bucket=${encodeURIComponent(into)}&precision=ns`,
        lines.join("\n"),
        {
          method: "POST",
          headers: { "content-type": "text/plain; charset=utf-8" },
          gzipThreshold: gzipBytesMin
        }
      ).pipe(
        Effect.catchTag("RequestRefused", ({ message }) =>
          Effect.fail(new WriteRefused({ store, problem: message }))
        ),
        Effect.asVoid
      )

    const queries = client.getQueryApi({ org, gzip: false })

    const badAnswer = (problem: string, cause: unknown) =>
      unavailable(`can't answer a query: ${problem}`, cause)

    const query: InfluxConnection["query"] = <A>(flux: ParameterizedQuery, reader: TableReader<A>) =>
      Effect.async<ReadonlyArray<A>, StoreUnavailable>((resume) => {
        const rows: Array<A> = []
        let table: FluxTableMetaData | undefined
        let read: (cells: ReadonlyArray<string>) => A
        let problem: string | undefined
        let cancel = () => {}
        queries.response(flux).consumeRows({
          next: (cells, of) => {
            if (of !== table) {
              table = of
              if (isProblem(of)) problem = cells[of.column("error").index]!
              else read = reader(of)
            }
            if (problem === undefined) rows.push(read(cells))
          },
          error: (cause) => {
            const failure = explain(cause)
            resume(
              Effect.fail(failure._tag === "RequestRefused" ? badAnswer(failure.message, cause) : failure)
            )
          },
          complete: () =>
            resume(
              problem === undefined
                ? Effect.succeed(rows)
                : Effect.fail(badAnswer(`it failed in the middle of it: ${problem}`, undefined))
            ),
          useCancellable: (cancellable) => {
            cancel = () => cancellable.cancel()
          }
        })
        return Effect.sync(() => cancel())
      })

    return {
      description: `${store}, organization ${org}, bucket ${bucket}`,
      config,
      query,
      write,
      manage: (method, path, body) => request(path, body === undefined ? "" : body, { method })
    }
  })
