/** Handlers of samples: a page of them, and all of them as a file. */
import type { ServerResponse } from "node:http"
import { HttpApiBuilder, type HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Cause, Effect, Option, Stream } from "effect"
import { type StoreUnavailable, TelemetryStore } from "../../layers/TelemetryStore.ts"
import { encodeSample } from "../../protocol/Sample.ts"
import { orUnavailable } from "../Dependencies.ts"
import { GatewayApi } from "../GatewayApi.ts"
import { GatewayConfig } from "../GatewayConfig.ts"
import { BadRequest } from "../Problem.ts"
import { sampleCursor } from "./Cursor.ts"
import { encodeExport, exportFormats } from "./ExportFormats.ts"
import type { ExportParameters, FleetTelemetryParameters, TelemetryParameters } from "./Parameters.ts"
import { given, queryIdentity, samplePage, sampleQuery } from "./Query.ts"
import { windowQuery, windowsPage } from "./Windows.ts"

/**
 * The JSON of a page, as bytes: what the Schema of `TelemetryPage` would encode, at a tenth of its cost.
 *
 * It takes its services as arguments because it also runs in front of the router (FastLane.ts).
 */
export const telemetryPage = (
  store: TelemetryStore["Type"],
  config: GatewayConfig["Type"],
  uuid: string | undefined,
  parameters: TelemetryParameters
): Effect.Effect<Uint8Array, BadRequest | StoreUnavailable> =>
  Effect.flatMap(sampleQuery(uuid, parameters), (query) =>
    Effect.flatMap(samplePage(query, parameters, config), (page) =>
      // One more than is answered tells whether there is a next page.
      Effect.map(store.page(query, { ...page, limit: page.limit + 1 }), (found) => {
        const samples = found.length > page.limit ? found.slice(0, page.limit) : found
        const next =
          found.length > page.limit
            ? `,"next_cursor":"${sampleCursor(queryIdentity(query), samples.at(-1)!)}"`
            : ""
        return Buffer.from(
          `{"data":[${samples.map(encodeSample).join(",")}],"count":${samples.length}${next}}`
        )
      })
    )
  )

/** A page of samples, or of the windows that they are aggregated in. */
const page = Effect.fnUntraced(function* (uuid: string | undefined, parameters: FleetTelemetryParameters) {
  const store = yield* TelemetryStore
  const config = yield* GatewayConfig
  const query = yield* windowQuery(uuid, parameters)
  if (Option.isSome(query)) {
    const windows = windowsPage(store, config, query.value, parameters)
    return HttpServerResponse.unsafeJson(yield* orUnavailable(windows))
  }
  const bytes = yield* orUnavailable(telemetryPage(store, config, uuid, parameters))
  return HttpServerResponse.uint8Array(bytes, { contentType: "application/json" })
})

/** A file name that no header is broken by; RFC 6266 has a place for what does not fit a plain name. */
const contentDisposition = (uuid: string, extension: string): string => {
  const name = `telemetry-${uuid}.${extension}`
  if (/^[\w.-]+$/.test(name)) return `attachment; filename=${name}`
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)
  return `attachment; filename=${name.replace(/[^\w.-]/g, "_")}; filename*=UTF-8''${encoded}`
}

/** Resets the connection where the stream fails: a client must never take half an export for a whole one. */
const resetOnFailure =
  (response: ServerResponse) =>
  <A>(stream: Stream.Stream<A, StoreUnavailable>): Stream.Stream<A> =>
    Stream.catchAllCause(stream, (cause) => {
      if (Cause.isInterruptedOnly(cause)) return Stream.failCause(cause as Cause.Cause<never>)
      const why = Option.match(Cause.failureOption(cause), {
        onNone: () => cause,
        onSome: (failure) => failure.message
      })
      return Effect.logWarning("an export broke midway and was reset:", why).pipe(
        Effect.andThen(Effect.sync(() => response.destroy())),
        // The end of the connection interrupts what serves it; until then nothing may end the answer well.
        Effect.andThen(Effect.never),
        Stream.fromEffect
      )
    })

const exportSamples = Effect.fnUntraced(function* (
  uuid: string,
  parameters: ExportParameters,
  response: ServerResponse
) {
  const store = yield* TelemetryStore
  const query = yield* sampleQuery(uuid, parameters)
  const format = parameters.format ?? "json"
  // The first chunk is awaited before anything is answered, so that a store that can't answer at all is a plain 503.
  const pull = yield* Stream.toPull(store.samples(query))
  const first = yield* pull.pipe(
    Effect.map(Option.some),
    Effect.catchAll(Option.match({ onNone: () => Effect.succeedNone, onSome: (e) => Effect.fail(e) })),
    orUnavailable
  )
  const samples = Option.match(first, {
    onNone: () => Stream.empty,
    onSome: (chunk) => Stream.concat(Stream.fromChunk(chunk), Stream.repeatEffectChunkOption(pull))
  })
  return HttpServerResponse.stream(
    encodeExport(exportFormats[format], samples).pipe(resetOnFailure(response)),
    {
      contentType: exportFormats[format].contentType,
      headers: { "content-disposition": contentDisposition(uuid, format) }
    }
  )
})

/** Refuses parameters that another path has: ignored, they would let an answer be taken for what it is not. */
const refuse = (
  { url }: HttpServerRequest.HttpServerRequest,
  names: ReadonlyArray<string>,
  where: string
) => {
  const given = new URL(url, "http://gateway").searchParams
  const misplaced = names.find((name) => given.has(name))
  return misplaced === undefined
    ? Effect.void
    : Effect.fail(BadRequest.because(`${misplaced}: expected at ${where} only`))
}

const refuseGrouping = (request: HttpServerRequest.HttpServerRequest) =>
  refuse(request, ["group_by"], "/api/v1/telemetry")

const refuseAggregation = (request: HttpServerRequest.HttpServerRequest) =>
  refuse(request, ["window", "aggregate", "group_by"], "/api/v1/gpus/{id}/telemetry and /api/v1/telemetry")

export const layer = HttpApiBuilder.group(GatewayApi, "telemetry", (handlers) =>
  handlers
    .handleRaw("page", ({ path, request, urlParams }) =>
      Effect.zipRight(refuseGrouping(request), page(path.id, urlParams))
    )
    .handleRaw("fleetPage", ({ urlParams }) => page(given(urlParams.uuid), urlParams))
    .handleRaw("export", ({ path, request, urlParams }) =>
      Effect.zipRight(
        refuseAggregation(request),
        exportSamples(path.id, urlParams, NodeHttpServerRequest.toServerResponse(request))
      )
    )
)
