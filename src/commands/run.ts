/**
 * Everything in one process.
 *
 *     source → streamers → broker → collectors → store → gateway
 *
 * What starts last and closes first stands first: streamers start once every collector has subscribed; they stop reading,
 * collectors store what was published, then the servers, the broker and the store end. The broker's HTTP server is there
 * while its log is read back, and says so; others join over TCP once it is.
 */
import { Effect, Layer, Schema } from "effect"
import type { RunOptions } from "../cli.ts"
import { embeddedBroker } from "../compose/broker.ts"
import { collectors, streamers } from "../compose/instances.ts"
import { brokerHttp, brokerServer, gateway, readyWhile } from "../compose/servers.ts"
import { telemetrySource } from "../compose/source.ts"
import { telemetryStore } from "../compose/store.ts"
import * as BrokerFront from "../layers/BrokerFront.ts"
import { afterSubscribing, Collectors } from "../layers/Collectors.ts"
import * as Draining from "../layers/Draining.ts"
import * as Metrics from "../layers/Metrics.ts"
import * as Rejects from "../layers/Rejects.ts"
import { Streamers } from "../layers/Streamers.ts"
import type { RunSettings } from "../layers/settings/commands.ts"
import type { StoreSettings } from "../layers/settings/store.ts"
import { TelemetryStore } from "../layers/TelemetryStore.ts"
import { print } from "../terminal.ts"
import * as Announcing from "./announcing.ts"
import { fitCheckpoints } from "./checkpoints.ts"
import { pipelineProgress } from "./progress.ts"
import { endsUnfinished, stop } from "./stopping.ts"
import { logRejects, showProgress, tellRejects } from "./telling.ts"

/** What the process measures, for both HTTP servers. */
const metrics = Layer.mergeAll(
  Metrics.layerStreamers,
  Metrics.layerCollectors,
  Metrics.layerBroker,
  Metrics.layerBrokerServer,
  Metrics.layerStore,
  Metrics.layerRejects,
  Metrics.layerProcess
)

/** The whole system. */
const pipeline = (settings: RunSettings) =>
  metrics.pipe(
    Layer.provideMerge(afterSubscribing(streamers(settings.streamer))),
    Layer.provide(telemetrySource(settings.source)),
    Layer.provideMerge(collectors(settings.collector, "log_end")),
    Layer.provide(fitCheckpoints(settings)),
    Layer.provideMerge(gateway(settings.gateway)),
    Layer.provideMerge(
      BrokerFront.openFor(
        Layer.provideMerge(brokerServer(settings.brokerServer), embeddedBroker(settings.broker))
      )
    ),
    Layer.provideMerge(Layer.provide(brokerHttp(settings.brokerHttp), BrokerFront.layerBroker)),
    Layer.provide(readyWhile()),
    Layer.provideMerge(telemetryStore(settings.store)),
    Layer.provideMerge(Layer.mergeAll(Draining.layer, BrokerFront.layer, Rejects.layer))
  )

const announce = (settings: RunSettings) =>
  Effect.gen(function* () {
    yield* Announcing.announceStreamers(settings.source, settings.streamer)
    yield* Announcing.announceLog(settings.broker)
    yield* Announcing.announceCollectors
    yield* Announcing.announceStore(settings.store)
    yield* Announcing.announceApi
    yield* Announcing.announceBrokerHttp
    yield* Announcing.announceServer(settings.brokerServer)
  })

/** Samples that were read are not in the store: it refused them or had no room, or the log dropped them before. */
export class ImportIncomplete extends Schema.TaggedError<ImportIncomplete>()("ImportIncomplete", {
  refused: Schema.Number,
  evicted: Schema.Number,
  /** Messages, each of many samples. */
  missed: Schema.Number,
  /** Whether some were older than the store keeps. */
  someTooOld: Schema.Boolean
}) {
  override get message(): string {
    const { refused, evicted } = this
    const missed = this.missed === 0 ? "" : `, ${this.missed} messages dropped from the log before they were`
    const hint = this.someTooOld
      ? "; RETENTION_PERIOD (--retention-period none) lets it keep what is older"
      : ""
    return `not everything read is stored: ${refused} samples refused by the store, ${evicted} evicted from it${missed}${hint}`
  }
}

/** Everything that the source gave is stored; how it went is told, and is a failure where something is missing. */
const finishImport = (store: StoreSettings) =>
  Effect.gen(function* () {
    yield* (yield* Streamers).done
    yield* (yield* Collectors).drain
    print(yield* pipelineProgress)
    yield* tellRejects
    const collectors = yield* (yield* Collectors).progress
    // Every collector is refused the same samples; what one has missed another may have stored, but nobody knows.
    const refused = Math.max(...collectors.map(({ samplesRefused }) => samplesRefused))
    const missed = Math.max(...collectors.map(({ messagesMissed }) => messagesMissed))
    // What becomes too old where age alone is a bound, was stored and has had its time.
    const evicted = store.kind === "memory" ? (yield* (yield* TelemetryStore).stats).evicted : 0
    if (refused + evicted + missed > 0) {
      const reasons = yield* (yield* Rejects.Rejects).byReason
      const someTooOld = reasons.some(({ reason }) => reason === "older_than_retention")
      return yield* new ImportIncomplete({ refused, evicted, missed, someTooOld })
    }
  })

/** Ends when a streamer or a collector can't go on; else never. */
const untilFailure = Effect.gen(function* () {
  const collectors = yield* Collectors
  const streamers = yield* Streamers
  return yield* Effect.raceFirst(Effect.zipRight(streamers.done, Effect.never), collectors.failed)
})

/** Publishes and stores what was read. */
const drain = Effect.gen(function* () {
  yield* (yield* Streamers).drain
  yield* (yield* Collectors).drain
  print(yield* pipelineProgress)
})

const stopping = { doing: "storing what was read", lost: "not everything that was read is stored" }

/** Runs until the source is stored (`once`), until something fails, or until it is interrupted. */
export const run = (settings: RunSettings, { once, serve }: RunOptions) =>
  Effect.gen(function* () {
    yield* announce(settings)
    yield* Effect.forkScoped(showProgress(pipelineProgress))
    yield* Effect.forkScoped(logRejects)
    if (once) {
      const imported = Effect.raceFirst(finishImport(settings.store), (yield* Collectors).failed)
      yield* Effect.onInterrupt(imported, () => endsUnfinished)
    }
    if (!once || serve) return yield* untilFailure
  }).pipe(
    Effect.scoped,
    Effect.onInterrupt(() => stop(settings.process, stopping, drain)),
    Effect.provide(pipeline(settings))
  )
