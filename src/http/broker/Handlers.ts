/** Handlers of the broker's HTTP API. */
import { HttpApiBuilder } from "@effect/platform"
import { Clock, Effect, Layer, Option } from "effect"
import { Broker } from "../../layers/Broker.ts"
import { Recovery, recovering } from "../../layers/BrokerFront.ts"
import { statisticsOf } from "../../layers/BrokerStatistics.ts"
import { BrokerApi } from "../BrokerApi.ts"
import { orUnavailable } from "../Dependencies.ts"
import { exposition } from "../Metrics.ts"
import { Unavailable } from "../Problem.ts"
import { checkReadiness } from "../ReadinessChecks.ts"
import { rejectCounts, rejections } from "../RejectsHandlers.ts"
import type { BrokerHealth, BrokerReady } from "./Answers.ts"
import { heldBackBy, whyFull } from "./FullLog.ts"

const stats = Effect.gen(function* () {
  const shown = statisticsOf(yield* orUnavailable((yield* Broker).stats))
  return { ...shown, rejects: yield* rejectCounts }
})

/** The broker's figures while it takes messages. */
const working = Effect.gen(function* () {
  const figures = yield* orUnavailable((yield* Broker).stats)
  const { problem } = figures.log
  if (problem !== null) return yield* Effect.fail(Unavailable.because(`nothing can be appended: ${problem}`))
  const full = whyFull(figures, yield* Clock.currentTimeMillis)
  return Option.isNone(full) ? figures : yield* Effect.fail(Unavailable.because(full.value))
})

const health = Effect.flatMap(Recovery, ({ isUnderWay }) =>
  Effect.if(isUnderWay, {
    onTrue: () => Effect.succeed<BrokerHealth>({ status: "recovering", reason: recovering }),
    onFalse: () =>
      Effect.match(working, {
        onFailure: ({ detail }): BrokerHealth => ({ status: "degraded", reason: detail }),
        onSuccess: (): BrokerHealth => ({ status: "healthy" })
      })
  })
)

const ready = Effect.gen(function* () {
  const figures = yield* working
  yield* checkReadiness
  const answer: BrokerReady = { status: "ready", held_back_by: heldBackBy(figures) }
  return answer
})

export const layer = Layer.merge(
  HttpApiBuilder.group(BrokerApi, "log", (handlers) => handlers.handle("stats", () => stats)),
  HttpApiBuilder.group(BrokerApi, "operations", (handlers) =>
    handlers
      .handle("health", () => health)
      .handle("ready", () => ready)
      .handle("rejects", () => rejections)
      .handle("metrics", () => exposition)
  )
)
