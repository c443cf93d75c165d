/** The whole system in one process, on a simulated fleet: every service and what it stands on. */
import { Layer } from "effect"
import * as Gateway from "telemetry-pipeline/http/Gateway"
import { GatewayConfig } from "telemetry-pipeline/http/GatewayConfig"
import * as Broker from "telemetry-pipeline/layers/broker/embedded"
import * as Collectors from "telemetry-pipeline/layers/collectors/embedded"
import * as Journal from "telemetry-pipeline/layers/journal/memory"
import * as OffsetLog from "telemetry-pipeline/layers/offset-log/memory"
import * as Rejects from "telemetry-pipeline/layers/Rejects"
import * as Scheduler from "telemetry-pipeline/layers/Scheduler"
import * as Streamers from "telemetry-pipeline/layers/streamers/embedded"
import type { TelemetryStore } from "telemetry-pipeline/layers/TelemetryStore"
import * as Simulated from "telemetry-pipeline/layers/telemetry-source/simulated"
import * as Store from "telemetry-pipeline/layers/telemetry-store/memory"

const source = Simulated.layerSimulated.pipe(
  Layer.provide(Simulated.SimulatedSourceConfig.layer({ hosts: 2, gpusPerHost: 4, loop: false }))
)
const broker = Broker.layerEmbedded.pipe(
  Layer.provide([Broker.BrokerConfig.layer(), Journal.layerMemory]),
  Layer.provide(OffsetLog.layerMemory.pipe(Layer.provide(OffsetLog.MemoryLogConfig.layer())))
)

/** Over whatever store it is given. */
export const systemOver = (store: Layer.Layer<TelemetryStore>) =>
  Streamers.layer.pipe(
    Layer.provide([source, Streamers.StreamerConfig.layer({ rowsPerSecond: "max" })]),
    Layer.provideMerge(Collectors.layer),
    Layer.provide(Collectors.CollectorConfig.layer()),
    Layer.provideMerge(Gateway.layer),
    Layer.provide(GatewayConfig.layer({ port: 0 })),
    Layer.provideMerge(broker),
    Layer.provideMerge(store),
    Layer.provideMerge(Rejects.layer),
    Layer.provideMerge(Scheduler.layer)
  )

export const wholeSystem = systemOver(Layer.provide(Store.layerMemory, Store.MemoryStoreConfig.layer()))
