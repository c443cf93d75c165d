/** The document and Swagger UI: one page that holds everything it needs, so that it works with no internet. */
import { HttpApiBuilder, HttpApiSwagger, HttpServerResponse } from "@effect/platform"
import { Effect, Layer } from "effect"
import { gatewayDocument } from "../GatewayDocument.ts"

const swaggerPath = "/swagger/index.html"

const documents = HttpApiBuilder.Router.use((router) =>
  Effect.gen(function* () {
    const document = HttpServerResponse.text(JSON.stringify(gatewayDocument), {
      contentType: "application/json"
    })
    yield* router.get("/openapi.json", Effect.succeed(document))
    yield* router.get("/swagger/doc.json", Effect.succeed(document))
    // The router takes /swagger/ for /swagger.
    const redirect = HttpServerResponse.empty({ status: 301, headers: { location: swaggerPath } })
    yield* router.get("/swagger", Effect.succeed(redirect))
  })
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

export const layer = Layer.mergeAll(documents, confinement, HttpApiSwagger.layer({ path: swaggerPath }))
