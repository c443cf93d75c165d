/** The whole system in memory, on a simulated fleet: every service and what it stands on. */
import { Layer } from "effect"
import * as Gateway from "../../src/http/Gateway.ts"
import { GatewayConfig } from "../../src/http/GatewayConfig.ts"
import * as Broker from "../../src/layers/broker/embedded.ts"
import * as Collectors from "../../src/layers/collectors/embedded.ts"
import * as Journal from "../../src/layers/journal/memory.ts"
import * as OffsetLog from "../../src/layers/offset-log/memory.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import * as Streamers from "../../src/layers/streamers/embedded.ts"
import * as Simulated from "../../src/layers/telemetry-source/simulated.ts"
import * as Store from "../../src/layers/telemetry-store/memory.ts"

const source = Simulated.layerSimulated.pipe(
  Layer.provide(Simulated.SimulatedSourceConfig.layer({ hosts: 2, gpusPerHost: 4, loop: false }))
)
export const broker = Broker.layerEmbedded.pipe(
  Layer.provide([Broker.BrokerConfig.layer(), Journal.layerMemory]),
  Layer.provide(OffsetLog.layerMemory.pipe(Layer.provide(OffsetLog.MemoryLogConfig.layer())))
)

export const wholeSystem = Streamers.layer.pipe(
  Layer.provide([source, Streamers.StreamerConfig.layer({ rowsPerSecond: "max" })]),
  Layer.provideMerge(Collectors.layer),
  Layer.provide(Collectors.CollectorConfig.layer()),
  Layer.provideMerge(Gateway.layer),
  Layer.provide(GatewayConfig.layer({ port: 0 })),
  Layer.provideMerge(broker),
  Layer.provideMerge(Store.layerMemory),
  Layer.provide(Store.MemoryStoreConfig.layer()),
  Layer.provideMerge(Rejects.layer),
  Layer.provideMerge(Scheduler.layer)
)
