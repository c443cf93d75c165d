/** Handlers over all GPUs together: metrics and figures. */
import { HttpApiBuilder } from "@effect/platform"
import { Effect, Option } from "effect"
import { TelemetryStore } from "../../layers/TelemetryStore.ts"
import { formatTime } from "../../protocol/Time.ts"
import { orUnavailable } from "../Dependencies.ts"
import { GatewayApi } from "../GatewayApi.ts"
import { rejectCounts } from "../RejectsHandlers.ts"
import type { Stats } from "./Answers.ts"
import { describeMetrics } from "./MetricDescriptions.ts"

const metrics = Effect.gen(function* () {
  return describeMetrics(yield* orUnavailable((yield* TelemetryStore).metricNames(Option.none())))
})

const stats = Effect.gen(function* () {
  const held = yield* orUnavailable((yield* TelemetryStore).stats)
  const answer: Stats = {
    total_gpus: held.gpus,
    total_metrics: held.samples,
    ...(held.oldestNs === undefined ? {} : { oldest_metric: formatTime(held.oldestNs) }),
    ...(held.newestNs === undefined ? {} : { newest_metric: formatTime(held.newestNs) }),
    evicted: held.evicted,
    rejects: yield* rejectCounts
  }
  return answer
})

export const layer = HttpApiBuilder.group(GatewayApi, "fleet", (handlers) =>
  handlers.handle("metrics", () => metrics).handle("stats", () => stats)
)
