/** The endpoints that every HTTP server of ours has for those who run it. Pure, as the contracts that it is a part of. */
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "@effect/platform"
import { Schema } from "effect"
import { Unavailable } from "./Problem.ts"
import { Rejections } from "./Rejections.ts"

/** Name for generated clients, title and description of an endpoint. */
export const documented = (identifier: string, summary: string, description: string) =>
  OpenApi.annotations({ identifier, summary, description })

const MetricsExposition = HttpApiSchema.Text({
  contentType: "text/plain; version=0.0.4; charset=utf-8"
}).annotations({
  description: "Prometheus' text format, version 0.0.4",
  examples: ['# TYPE telemetry_rejects_total counter\ntelemetry_rejects_total{reason="bad_value"} 3\n']
})

export const Health = Schema.Struct({
  status: Schema.Literal("healthy").annotations({
    description: "The process works",
    examples: ["healthy"]
  })
}).annotations({ identifier: "Health", description: "The process works" })

export const Ready = Schema.Struct({
  status: Schema.Literal("ready").annotations({ description: "It can answer", examples: ["ready"] })
}).annotations({ identifier: "Ready", description: "Everything that answers come from can be reached" })

/** With what a server answers about its health, and when it is ready. */
export const operations = <Health extends Schema.Schema.Any, Ready extends Schema.Schema.Any>(
  health: Health,
  ready: Ready
) =>
  HttpApiGroup.make("operations")
    .add(
      HttpApiEndpoint.get("health", "/health")
        .addSuccess(health)
        .annotateContext(
          documented(
            "getHealth",
            "Is the process alive?",
            "Liveness: answered while the process works, whatever it depends on."
          )
        )
    )
    .add(
      HttpApiEndpoint.get("ready", "/ready")
        .addSuccess(ready)
        .addError(Unavailable)
        .annotateContext(
          documented(
            "getReadiness",
            "Can it answer?",
            "Readiness: 503, naming what is missing, while it can't answer."
          )
        )
    )
    .add(
      HttpApiEndpoint.get("rejects", "/rejects")
        .addSuccess(Rejections)
        .annotateContext(
          documented(
            "listRejects",
            "Show rejected input",
            "What this process rejected since it started: counts by reason, and the last 100 inputs of each with where they came from."
          )
        )
    )
    .add(
      HttpApiEndpoint.get("metrics", "/metrics")
        .addSuccess(MetricsExposition)
        .annotateContext(
          documented(
            "scrapeMetrics",
            "Scrape metrics",
            "All that this process measures, for Prometheus: its streamers, broker, collectors, store and servers, as far as they are in it, and whatever else is counted with Effect's metrics."
          )
        )
    )
    .annotateContext(OpenApi.annotations({ title: "Operations", description: "How this process is doing" }))
