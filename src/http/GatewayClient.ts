/**
 * The typed client of the gateway, made from its contract: a method per endpoint, and streams where an answer has no bound.
 *
 * It stands on any `HttpClient` and imports nothing of the server, so that it also runs in a browser. What an endpoint
 * refuses is a problem of `Problem.ts`, to be caught by its tag; what did not come to an answer is an `HttpClientError`, and
 * an answer that breaks the contract a `ParseError`.
 */
import {
  FetchHttpClient,
  type HttpApi,
  HttpApiClient,
  HttpClient,
  HttpClientError,
  HttpClientRequest,
  HttpClientResponse
} from "@effect/platform"
import { Chunk, Context, Effect, Layer, Option, type ParseResult, Record, Schema, Stream } from "effect"
import { exportTelemetry, GatewayApi } from "./GatewayApi.ts"
import { Metric } from "./gateway/Answers.ts"
import { ExportParameters, type TelemetryFilters, type TelemetryParameters } from "./gateway/Parameters.ts"
import { BadRequest, InternalError, Unavailable } from "./Problem.ts"

export type {
  GpuDetails,
  GpuIds,
  Metric,
  MetricNames,
  Metrics,
  Stats,
  TelemetryPage
} from "./gateway/Answers.ts"
export { BadRequest, InternalError, NotFound, Unavailable } from "./Problem.ts"
export { GatewayApi }

/** Why an endpoint's samples could not be had, or not to their end. */
export type TelemetryFailure =
  | BadRequest
  | InternalError
  | Unavailable
  | HttpClientError.HttpClientError
  | ParseResult.ParseError

/** Which GPU is asked, as the methods of the contract take it. */
interface OfGpu<Parameters> {
  readonly path: { readonly id: string }
  readonly urlParams: Parameters
}

type Groups = typeof GatewayApi extends HttpApi.HttpApi<infer _Id, infer G, infer _E, infer _R> ? G : never
// Without the library's own decoding failure, which is never answered.
type Endpoints = HttpApiClient.Client<Groups, InternalError, never>

/** The methods of the contract, where an export is a stream. */
export interface GatewayMethods extends Omit<Endpoints, "telemetry"> {
  readonly telemetry: Pick<Endpoints["telemetry"], "page"> & {
    /**
     * Every sample that matches, page by page. It holds one page at a time, may be read as slowly as one likes, and neither
     * repeats nor skips a sample while new ones are written; `limit` is the size of a page.
     */
    readonly all: (
      request: OfGpu<Omit<TelemetryParameters, "cursor" | "offset">>
    ) => Stream.Stream<Metric, TelemetryFailure>
    /**
     * Every sample that matches, as one streamed answer: faster than pages, but the gateway cuts off who stops reading. One
     * that breaks midway fails, so that what ended well is whole.
     */
    readonly export: (request: OfGpu<TelemetryFilters>) => Stream.Stream<Metric, TelemetryFailure>
    /** The bytes of an export in the format that is asked for, to be stored or passed on. */
    readonly exportFile: (request: OfGpu<ExportParameters>) => Stream.Stream<Uint8Array, TelemetryFailure>
  }
}

/** Where the gateway is, and what else its requests should have: a token, retries. */
export interface GatewayClientOptions {
  readonly baseUrl: string | URL
  readonly transformClient?: (client: HttpClient.HttpClient) => HttpClient.HttpClient
}

export class GatewayClient extends Context.Tag("telemetry/GatewayClient")<GatewayClient, GatewayMethods>() {}

type Method = (request?: { readonly path?: Record<string, string> }) => unknown

/** Names are any text, which the library would put into a path as it is. */
const escapingPaths = (endpoints: Endpoints): Endpoints =>
  Record.map(endpoints as unknown as Record<string, Record<string, Method>>, (group) =>
    Record.map(
      group,
      (method): Method =>
        (request) =>
          method(request?.path ? { ...request, path: Record.map(request.path, encodeURIComponent) } : request)
    )
  ) as unknown as Endpoints

const failWith =
  <A, I>(problem: Schema.Schema<A, I>) =>
  (response: HttpClientResponse.HttpClientResponse) =>
    Effect.flatMap(HttpClientResponse.schemaBodyJson(problem)(response), Effect.fail)

const whereOk = HttpClientResponse.matchStatus({
  200: (response) => Effect.succeed(response),
  400: failWith(BadRequest),
  500: failWith(InternalError),
  503: failWith(Unavailable),
  orElse: (response) =>
    Effect.fail(
      new HttpClientError.ResponseError({
        request: response.request,
        response,
        reason: "StatusCode",
        description: "not an answer of the contract"
      })
    )
})

const decodeLine = Schema.decodeEither(Schema.parseJson(Metric))

const decodeLines = <E>(lines: Stream.Stream<string, E>): Stream.Stream<Metric, E | ParseResult.ParseError> =>
  Stream.mapChunksEffect(lines, (chunk) =>
    Effect.gen(function* () {
      const metrics: Array<Metric> = []
      for (const line of chunk) metrics.push(yield* decodeLine(line))
      return Chunk.unsafeFromArray(metrics)
    })
  )

/** A client of the gateway at a URL. */
export const make = ({
  baseUrl,
  transformClient = (client) => client
}: GatewayClientOptions): Effect.Effect<GatewayMethods, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const httpClient = transformClient(yield* HttpClient.HttpClient).pipe(
      HttpClient.mapRequest(HttpClientRequest.prependUrl(String(baseUrl)))
    )
    const endpoints = escapingPaths((yield* HttpApiClient.makeWith(GatewayApi, { httpClient })) as Endpoints)
    const { page } = endpoints.telemetry

    const all: GatewayMethods["telemetry"]["all"] = ({ path, urlParams }) =>
      Stream.paginateChunkEffect(undefined as string | undefined, (cursor) =>
        Effect.map(
          page({ path, urlParams: cursor === undefined ? urlParams : { ...urlParams, cursor } }),
          ({ data, next_cursor }) => [Chunk.unsafeFromArray(data), Option.fromNullable(next_cursor)]
        )
      )

    const exportFile: GatewayMethods["telemetry"]["exportFile"] = ({ path, urlParams }) =>
      Schema.encode(ExportParameters)(urlParams).pipe(
        Effect.flatMap((parameters) =>
          httpClient.get(
            exportTelemetry.path.replace(":id", () => encodeURIComponent(path.id)),
            {
              urlParams: parameters
            }
          )
        ),
        Effect.flatMap(whereOk),
        HttpClientResponse.stream
      )

    return {
      ...endpoints,
      telemetry: {
        page,
        all,
        export: ({ path, urlParams }) =>
          exportFile({ path, urlParams: { ...urlParams, format: "ndjson" } }).pipe(
            Stream.decodeText(),
            Stream.splitLines,
            decodeLines
          ),
        exportFile
      }
    }
  })

/** The client over the `HttpClient` at hand. */
export const layer = (
  options: GatewayClientOptions
): Layer.Layer<GatewayClient, never, HttpClient.HttpClient> => Layer.effect(GatewayClient, make(options))

/** The client over `fetch`, which Node and browsers have. */
export const layerFetch = (options: GatewayClientOptions): Layer.Layer<GatewayClient> =>
  Layer.provide(layer(options), FetchHttpClient.layer)
