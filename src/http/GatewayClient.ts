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
import {
  type AggregatedMetric,
  type AggregatedTelemetryPage,
  Metric,
  type TelemetryPage
} from "./gateway/Answers.ts"
import {
  ExportParameters,
  type FleetTelemetryParameters,
  type TelemetryFilters,
  type TelemetryParameters
} from "./gateway/Parameters.ts"
import { BadRequest, InternalError, Unavailable } from "./Problem.ts"

export type {
  AggregatedMetric,
  GpuDetails,
  GpuIds,
  Metric,
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

/** Parameters of a page of samples. */
type OfSamples<Parameters> = Omit<Parameters, "window" | "aggregate" | "group_by">
/** Parameters of a page of windows. */
type OfWindows<Parameters extends TelemetryParameters> = Parameters &
  Required<Pick<Parameters, "window" | "aggregate">>
/** Of all pages one after the other; `limit` is the size of one. */
type OfAllPages<Parameters> = Omit<Parameters, "cursor" | "offset">

/** Samples of a GPU, or of all (`fleet…`): a page of them, every one, or the windows that they are aggregated in. */
export interface TelemetryMethods {
  readonly page: (
    request: OfGpu<OfSamples<TelemetryParameters>>
  ) => Effect.Effect<TelemetryPage, TelemetryFailure>
  readonly fleetPage: (request: {
    readonly urlParams: OfSamples<FleetTelemetryParameters>
  }) => Effect.Effect<TelemetryPage, TelemetryFailure>
  /**
   * Every sample that matches, page by page. It holds one page at a time, may be read as slowly as one likes, and neither
   * repeats nor skips a sample while new ones are written; `limit` is the size of a page.
   */
  readonly all: (
    request: OfGpu<OfAllPages<OfSamples<TelemetryParameters>>>
  ) => Stream.Stream<Metric, TelemetryFailure>
  readonly fleetAll: (request: {
    readonly urlParams: OfAllPages<OfSamples<FleetTelemetryParameters>>
  }) => Stream.Stream<Metric, TelemetryFailure>
  /** Every window that holds a sample, with a value for each metric in it, page by page as `all`. */
  readonly windows: (
    request: OfGpu<OfAllPages<OfWindows<TelemetryParameters>>>
  ) => Stream.Stream<AggregatedMetric, TelemetryFailure>
  /** The same with a value for each metric and group. */
  readonly fleetWindows: (request: {
    readonly urlParams: OfAllPages<OfWindows<FleetTelemetryParameters>>
  }) => Stream.Stream<AggregatedMetric, TelemetryFailure>
  /**
   * Every sample that matches, as one streamed answer: faster than pages, but the gateway cuts off who stops reading. One
   * that breaks midway fails, so that what ended well is whole.
   */
  readonly export: (request: OfGpu<TelemetryFilters>) => Stream.Stream<Metric, TelemetryFailure>
  /** The bytes of an export in the format that is asked for, to be stored or passed on. */
  readonly exportFile: (request: OfGpu<ExportParameters>) => Stream.Stream<Uint8Array, TelemetryFailure>
}

/** The methods of the contract, of which those of samples say what they answer to which parameters. */
export interface GatewayMethods extends Omit<Endpoints, "telemetry"> {
  readonly telemetry: TelemetryMethods
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

type AnyPage = TelemetryPage | AggregatedTelemetryPage

/** What is answered where no windows were asked for. */
const samplesOf = <E, R>(page: Effect.Effect<AnyPage, E, R>) => page as Effect.Effect<TelemetryPage, E, R>

/** What is answered where windows were asked for; one without rows is the same either way. */
const windowsOf = <E, R>(page: Effect.Effect<AnyPage, E, R>) =>
  page as Effect.Effect<AggregatedTelemetryPage, E, R>

/** The rows of one page after the other, each of which is asked for when it is read. */
const rowsOf = <Row, E, R>(
  page: (place: {
    readonly cursor?: string
  }) => Effect.Effect<{ readonly data: ReadonlyArray<Row>; readonly next_cursor?: string | undefined }, E, R>
): Stream.Stream<Row, E, R> =>
  Stream.paginateChunkEffect({} as { readonly cursor?: string }, (place) =>
    Effect.map(page(place), ({ data, next_cursor }) => [
      Chunk.unsafeFromArray(data),
      Option.map(Option.fromNullable(next_cursor), (cursor) => ({ cursor }))
    ])
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
    const { page, fleetPage } = endpoints.telemetry

    return {
      ...endpoints,
      telemetry: {
        page: (request) => samplesOf(page(request)),
        fleetPage: (request) => samplesOf(fleetPage(request)),
        all: ({ path, urlParams }) =>
          rowsOf((cursor) => samplesOf(page({ path, urlParams: { ...urlParams, ...cursor } }))),
        fleetAll: ({ urlParams }) =>
          rowsOf((cursor) => samplesOf(fleetPage({ urlParams: { ...urlParams, ...cursor } }))),
        windows: ({ path, urlParams }) =>
          rowsOf((cursor) => windowsOf(page({ path, urlParams: { ...urlParams, ...cursor } }))),
        fleetWindows: ({ urlParams }) =>
          rowsOf((cursor) => windowsOf(fleetPage({ urlParams: { ...urlParams, ...cursor } }))),
        ...exports(httpClient)
      }
    }
  })

/** The methods that read a stream. */
const exports = (httpClient: HttpClient.HttpClient): Pick<TelemetryMethods, "export" | "exportFile"> => {
  const exportFile: TelemetryMethods["exportFile"] = ({ path, urlParams }) =>
    Schema.encode(ExportParameters)(urlParams).pipe(
      Effect.flatMap((parameters) =>
        httpClient.get(
          exportTelemetry.path.replace(":id", () => encodeURIComponent(path.id)),
          { urlParams: parameters }
        )
      ),
      Effect.flatMap(whereOk),
      HttpClientResponse.stream
    )
  return {
    exportFile,
    export: ({ path, urlParams }) =>
      exportFile({ path, urlParams: { ...urlParams, format: "ndjson" } }).pipe(
        Stream.decodeText(),
        Stream.splitLines,
        decodeLines
      )
  }
}

/** The client over the `HttpClient` at hand. */
export const layer = (
  options: GatewayClientOptions
): Layer.Layer<GatewayClient, never, HttpClient.HttpClient> => Layer.effect(GatewayClient, make(options))

/** The client over `fetch`, which Node and browsers have. */
export const layerFetch = (options: GatewayClientOptions): Layer.Layer<GatewayClient> =>
  Layer.provide(layer(options), FetchHttpClient.layer)
