/** What serves an HttpApi of ours: a router of its own, its document, and failures as problems. */
import type { RequestListener } from "node:http"
import {
  type HttpApi,
  HttpApiBuilder,
  HttpMiddleware,
  HttpRouter,
  HttpServer,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import * as Failures from "./Failures.ts"

/** An OpenAPI document, as far as it is looked at here. */
export interface ApiDocument {
  readonly paths: object
}

/** The router's own defaults ignore case, and drop slashes also within parameters. */
const routing = { caseSensitive: true, ignoreDuplicateSlashes: false, maxParamLength: 1024 }

/** What answers requests to the API at hand. */
export const requestListener = Effect.gen(function* () {
  const app = yield* HttpRouter.withRouterConfig(HttpApiBuilder.httpApp, routing)
  const listener: RequestListener = yield* NodeHttpServer.makeHandler(app).pipe(
    // A span per request costs a third of a small answer.
    Effect.locally(HttpMiddleware.currentTracerDisabledWhen, () => true)
  )
  return listener
})

/** Serves a document at these paths. */
export const layerDocument = (document: ApiDocument, ...paths: ReadonlyArray<`/${string}`>) =>
  HttpApiBuilder.Router.use((router) =>
    Effect.forEach(
      paths,
      (path) =>
        router.get(
          path,
          Effect.succeed(
            HttpServerResponse.text(JSON.stringify(document), { contentType: "application/json" })
          )
        ),
      { discard: true }
    )
  )

/**
 * The API with its document and its problems.
 *
 * The platform's layers find their router by sharing it: without `fresh`, all servers of a process would have one.
 */
export const layer = <E, R>(document: ApiDocument, api: Layer.Layer<HttpApi.Api, E, R>) =>
  Layer.mergeAll(
    api,
    layerDocument(document, "/openapi.json"),
    Failures.layer(document),
    HttpApiBuilder.Router.Live,
    HttpApiBuilder.Middleware.layer
  ).pipe(Layer.provideMerge(HttpServer.layerContext), Layer.fresh)
