#!/usr/bin/env node
/**
 * The program: everything in one process.
 *
 *     source → streamers → broker → collectors → store → gateway
 *
 * Composition and nothing else. What starts last and closes first stands first: streamers start once every collector has
 * subscribed; they stop reading, collectors store what was published, then the servers, the broker and the store end.
 */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeContext } from "@effect/platform-node"
import { Effect, Layer, Logger } from "effect"
import { makeCli, type RunOptions } from "./cli.ts"
import * as BrokerHttp from "./http/BrokerHttp.ts"
import * as Gateway from "./http/Gateway.ts"
import { GatewayConfig } from "./http/GatewayConfig.ts"
import { ListenError } from "./http/Listener.ts"
import { ReadinessChecks } from "./http/ReadinessChecks.ts"
import * as Broker from "./layers/broker/embedded.ts"
import { afterSubscribing } from "./layers/Collectors.ts"
import * as Collectors from "./layers/collectors/embedded.ts"
import * as Draining from "./layers/Draining.ts"
import * as Journal from "./layers/journal/memory.ts"
import * as Metrics from "./layers/Metrics.ts"
import * as OffsetLog from "./layers/offset-log/memory.ts"
import * as Rejects from "./layers/Rejects.ts"
import { load, type Setting } from "./layers/Setting.ts"
import { brokerHttpSettings } from "./layers/settings/broker-http.ts"
import {
  gatewaySettings,
  type RunSettings,
  runSettings,
  type SourceSettings,
  type StoreSettings,
  tellIgnoredVariables
} from "./layers/settings/run.ts"
import * as Streamers from "./layers/streamers/embedded.ts"
import * as Csv from "./layers/telemetry-source/csv.ts"
import * as Simulated from "./layers/telemetry-source/simulated.ts"
import * as FileStore from "./layers/telemetry-store/file.ts"
import * as InfluxStore from "./layers/telemetry-store/influx.ts"
import * as MemoryStore from "./layers/telemetry-store/memory.ts"
import { runProcess } from "./process.ts"
import { segmentsPerRetention } from "./protocol/Limits.ts"
import { offsetOf, ProducerId, SubscriberId } from "./protocol/Log.ts"
import { run } from "./run.ts"
import { terminalLogger } from "./terminal.ts"

const shippedSample = fileURLToPath(new URL("../deploy/sample/dcgm_metrics.csv", import.meta.url))

const telemetrySource = ({ source, loop, timestamps, maxRowBytes }: SourceSettings) =>
  source.kind === "simulated"
    ? Simulated.layerSimulated.pipe(
        Layer.provide(Simulated.SimulatedSourceConfig.layer({ ...source, loop, timestamps }))
      )
    : Csv.layerCsv.pipe(
        Layer.provide(
          Csv.CsvSourceConfig.layer({ path: source.path ?? shippedSample, loop, timestamps, maxRowBytes })
        )
      )

const broker = ({ logRetentionBytes, logRetentionMs, ...policy }: RunSettings["broker"]) => {
  const retentionMs = logRetentionMs ?? null
  const log = OffsetLog.MemoryLogConfig.layer({
    segmentBytes: Math.ceil(logRetentionBytes / segmentsPerRetention),
    segmentMs: retentionMs === null ? Number.POSITIVE_INFINITY : retentionMs / segmentsPerRetention
  })
  return Broker.layerEmbedded.pipe(
    Layer.provide(Broker.BrokerConfig.layer({ ...policy, retentionBytes: logRetentionBytes, retentionMs })),
    Layer.provide(OffsetLog.layerMemory.pipe(Layer.provide(log))),
    Layer.provide(Journal.layerMemory)
  )
}

const telemetryStore = (store: StoreSettings) => {
  switch (store.kind) {
    case "memory":
      return Layer.provide(MemoryStore.layerMemory, MemoryStore.MemoryStoreConfig.layer(store))
    case "file": {
      const directory = join(store.dataDir, "store")
      return Layer.provide(
        FileStore.layerFile,
        FileStore.FileStoreConfig.layer({ directory, retentionMs: store.retentionMs })
      )
    }
    case "influxdb":
      return Layer.provide(InfluxStore.layerInflux, InfluxStore.InfluxConfig.layer(store))
  }
}

/** Says by what setting a server gets another port. */
const portSetBy = ({ env, flag }: Setting<number>) =>
  Layer.mapError(
    (error: ListenError) =>
      new ListenError({ ...error, problem: `${error.problem} (${env} or ${flag} sets another)` })
  )

const servers = ({ gateway, brokerHttp }: RunSettings) => {
  const { apiHost: host, apiPort: port, ...limits } = gateway
  return Layer.merge(
    Gateway.layer.pipe(
      portSetBy(gatewaySettings.settings.apiPort),
      Layer.provide(GatewayConfig.layer({ ...limits, host, port }))
    ),
    BrokerHttp.layer.pipe(
      portSetBy(brokerHttpSettings.settings.httpPort),
      Layer.provide(
        BrokerHttp.BrokerHttpConfig.layer({ host: brokerHttp.httpHost, port: brokerHttp.httpPort })
      )
    )
  )
}

/** What the process measures, for both servers. */
const metrics = Layer.mergeAll(
  Metrics.layerStreamers,
  Metrics.layerCollectors,
  Metrics.layerBroker,
  Metrics.layerStore,
  Metrics.layerRejects,
  Metrics.layerProcess
)

/** Beside what they answer from, the servers are ready while the process is not ending. */
const readiness = Layer.effect(
  ReadinessChecks,
  Effect.map(Draining.Draining, ({ check }) => [check])
)

/** The whole system in one process. */
const pipeline = (settings: RunSettings) => {
  const { streamer, collector } = settings
  return metrics.pipe(
    Layer.provideMerge(afterSubscribing(Streamers.layer)),
    Layer.provide(telemetrySource(settings.source)),
    Layer.provide(
      Streamers.StreamerConfig.layer({
        streamerId: ProducerId.make(streamer.streamerId),
        streamers: streamer.streamers,
        shardBy: streamer.shardBy,
        batchSize: streamer.batchSize,
        collectIntervalMs: streamer.collectIntervalMs,
        rowsPerSecond: streamer.rate
      })
    ),
    Layer.provideMerge(Collectors.layer),
    Layer.provide(
      Collectors.CollectorConfig.layer({
        collectorId: SubscriberId.make(collector.collectorId),
        collectors: collector.collectors,
        from:
          typeof collector.startOffset === "number" ? offsetOf(collector.startOffset) : collector.startOffset
      })
    ),
    Layer.provideMerge(servers(settings)),
    Layer.provide(readiness),
    Layer.provideMerge(Draining.layer),
    Layer.provideMerge(broker(settings.broker)),
    Layer.provideMerge(telemetryStore(settings.store)),
    Layer.provideMerge(Rejects.layer)
  )
}

const program = makeCli((options: RunOptions) =>
  Effect.gen(function* () {
    const settings = yield* load(runSettings)
    yield* tellIgnoredVariables
    yield* run(settings, options).pipe(Effect.provide(pipeline(settings)))
  })
)

runProcess(
  Effect.provide(
    program(process.argv),
    Layer.merge(NodeContext.layer, Logger.replace(Logger.defaultLogger, terminalLogger))
  )
)
