/** The contract of the broker's own HTTP API: what it holds, and how it is doing. Pure, as the gateway's. */
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "@effect/platform"
import { BrokerStatistics } from "../protocol/BrokerStatistics.ts"
import { BrokerHealth, BrokerReady } from "./broker/Answers.ts"
import { describeApi } from "./Document.ts"
import { documented, operations } from "./OperationsApi.ts"
import { InternalError, Unavailable } from "./Problem.ts"

const log = HttpApiGroup.make("log")
  .add(
    HttpApiEndpoint.get("stats", "/stats")
      .addSuccess(BrokerStatistics)
      .addError(Unavailable)
      .annotateContext(
        documented(
          "getStats",
          "Show what the log holds",
          "The log's bounds, its producers and subscribers, and what each subscriber has yet to read."
        )
      )
  )
  .annotateContext(OpenApi.annotations({ title: "Log", description: "The log of messages" }))

export const BrokerApi = HttpApi.make("broker")
  .add(log)
  .add(operations(BrokerHealth, BrokerReady))
  .addError(InternalError)
  .annotateContext(
    OpenApi.annotations({
      title: "GPU telemetry: broker",
      version: "1.0.0",
      summary: "The log between streamers and collectors",
      description:
        "How the broker is doing; messages are neither published nor read here. Times are RFC 3339 in UTC; errors are RFC 9457 problems.",
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
      servers: [{ url: "/", description: "The broker that serves this document" }],
      transform: describeApi
    })
  )

/** Its OpenAPI 3.1 document. Answers may gain fields: no schema forbids what it does not name. */
export const brokerDocument = OpenApi.fromApi(BrokerApi, { additionalPropertiesStrategy: "allow" })
