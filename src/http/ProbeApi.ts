/** The contract of the HTTP server of a process that has no other: how it is doing. Pure, as the gateway's. */
import { HttpApi, OpenApi } from "@effect/platform"
import { describeApi } from "./Document.ts"
import { Health, operations, Ready } from "./OperationsApi.ts"
import { InternalError } from "./Problem.ts"

export const ProbeApi = HttpApi.make("probe")
  .add(operations(Health, Ready))
  .addError(InternalError)
  .annotateContext(
    OpenApi.annotations({
      title: "GPU telemetry: streamer, collector",
      version: "1.0.0",
      summary: "How a streamer or a collector is doing",
      description: "For those who run it, and what watches it. Errors are RFC 9457 problems.",
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
      servers: [{ url: "/", description: "The process that serves this document" }],
      transform: describeApi
    })
  )

/** Its OpenAPI 3.1 document. Answers may gain fields: no schema forbids what it does not name. */
export const probeDocument = OpenApi.fromApi(ProbeApi, { additionalPropertiesStrategy: "allow" })
