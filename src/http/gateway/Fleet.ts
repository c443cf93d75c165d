/** Handlers over all GPUs together: metrics and figures. */
import { HttpApiBuilder } from "@effect/platform"
import { Effect, Option } from "effect"
import { TelemetryStore } from "../../layers/TelemetryStore.ts"
import { dcgmCatalogue } from "../../protocol/DcgmCatalogue.ts"
import { formatTime } from "../../protocol/Time.ts"
import { orUnavailable } from "../Dependencies.ts"
import { GatewayApi } from "../GatewayApi.ts"
import { rejectCounts } from "../RejectsHandlers.ts"
import type { Metrics, Stats } from "./Answers.ts"

const metrics = Effect.gen(function* () {
  const data = yield* orUnavailable((yield* TelemetryStore).metricNames(Option.none()))
  const answer: Metrics = {
    data,
    count: data.length,
    metrics: data.map((name) => dcgmCatalogue.get(name) ?? { name })
  }
  return answer
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
