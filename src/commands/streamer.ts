/** A streamer in a process of its own: a source, and a broker in another process, which knows where it goes on. */
import { Effect, Layer, Option } from "effect"
import { remoteBroker } from "../compose/broker.ts"
import { streamers } from "../compose/instances.ts"
import { readyWhile } from "../compose/servers.ts"
import { telemetrySource } from "../compose/source.ts"
import { answers } from "../http/ReadinessChecks.ts"
import { Broker } from "../layers/Broker.ts"
import * as Draining from "../layers/Draining.ts"
import * as Metrics from "../layers/Metrics.ts"
import * as Rejects from "../layers/Rejects.ts"
import { type StreamerProgress, Streamers } from "../layers/Streamers.ts"
import type { StreamerProcessSettings } from "../layers/settings/commands.ts"
import { print } from "../terminal.ts"
import * as Announcing from "./announcing.ts"
import { streamerProgress } from "./progress.ts"
import { endsUnfinished, stop } from "./stopping.ts"
import { logRejects, showProgress, tellRejects } from "./telling.ts"

const metrics = Layer.mergeAll(Metrics.layerStreamers, Metrics.layerRejects, Metrics.layerProcess)

/** The broker answers, and takes what is published. */
const dependencies = Effect.gen(function* () {
  const { stats } = yield* Broker
  const { progress } = yield* Streamers
  const refused = Effect.map(progress, (streamers) =>
    Option.fromNullable(streamers.map(({ waitsBecause }) => waitsBecause).find((problem) => problem !== null))
  )
  return [answers("broker")(stats), refused]
})

const layers = (settings: StreamerProcessSettings) =>
  metrics.pipe(
    Layer.provideMerge(Announcing.announcedProbe(settings.probe)),
    Layer.provide(readyWhile(dependencies)),
    Layer.provideMerge(streamers(settings.streamer)),
    Layer.provide(telemetrySource(settings.source)),
    Layer.provideMerge(remoteBroker(settings.client)),
    Layer.provideMerge(Layer.mergeAll(Draining.layer, Rejects.layer))
  )

const drain = Effect.gen(function* () {
  yield* (yield* Streamers).drain
  print(yield* streamerProgress)
})

const stopping = {
  doing: "publishing what was read",
  lost: "not everything that was read is published; the rest is read again after a restart"
}

/** Runs until everything that was read is acknowledged (`once`), until something fails, or until it is interrupted. */
export const streamer = (settings: StreamerProcessSettings, once: boolean) =>
  Effect.gen(function* () {
    yield* Announcing.announceStreamers(settings.source, settings.streamer)
    yield* Announcing.announceClient(settings.client)
    yield* Effect.forkScoped(showProgress(streamerProgress))
    yield* Effect.forkScoped(logRejects)
    const { done } = yield* Streamers
    if (!once) return yield* Effect.zipRight(done, Effect.never)
    yield* Effect.onInterrupt(done, () => endsUnfinished)
    print(yield* streamerProgress)
    const [{ rowsRead, streamerId }] = (yield* (yield* Streamers).progress) as [StreamerProgress]
    if (rowsRead === 0) print(`${streamerId} had read the source to its end before`)
    yield* tellRejects
  }).pipe(
    Effect.scoped,
    Effect.onInterrupt(() => stop(settings.process, stopping, drain)),
    Effect.provide(layers(settings))
  )
