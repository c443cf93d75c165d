/** Swagger UI over the document: one page that holds everything it needs, so that it works with no internet. */
import { HttpApiBuilder, HttpApiSwagger, HttpServerResponse } from "@effect/platform"
import { Effect, Layer } from "effect"
import { layerDocument } from "../ApiServer.ts"
import { gatewayDocument } from "../GatewayDocument.ts"

const swaggerPath = "/swagger/index.html"

// The router takes /swagger/ for /swagger.
const redirect = HttpApiBuilder.Router.use((router) =>
  router.get(
    "/swagger",
    Effect.succeed(HttpServerResponse.empty({ status: 301, headers: { location: swaggerPath } }))
  )
)

/** Swagger UI would ask validator.swagger.io about the document, and load what a document names; neither is wanted. */
const contentSecurityPolicy =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'"

const confinement = HttpApiBuilder.middleware((app) =>
  Effect.map(app, (response) =>
    response.headers["content-type"] === "text/html"
      ? HttpServerResponse.setHeader(response, "content-security-policy", contentSecurityPolicy)
      : response
  )
)

export const layer = Layer.mergeAll(
  layerDocument(gatewayDocument, "/swagger/doc.json"),
  redirect,
  confinement,
  HttpApiSwagger.layer({ path: swaggerPath })
)
