/** `GET /metrics`: what services are asked for and what Effect's `Metric` counted, by one renderer. */
import { Effect, Metric } from "effect"
import { MetricSources } from "../layers/MetricSources.ts"
import { metricsText } from "./MetricsText.ts"

/** The answer. */
export const exposition: Effect.Effect<string> = Effect.gen(function* () {
  const read = yield* (yield* MetricSources).read
  const counted = yield* Metric.snapshot
  return metricsText([...read, ...counted])
})
