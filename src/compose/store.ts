/** Where samples are stored, as it was set. */
import { Layer } from "effect"
import type { StoreSettings } from "../layers/settings/store.ts"
import * as FileStore from "../layers/telemetry-store/file.ts"
import * as InfluxStore from "../layers/telemetry-store/influx.ts"
import * as MemoryStore from "../layers/telemetry-store/memory.ts"

export const telemetryStore = (store: StoreSettings) => {
  switch (store.kind) {
    case "memory":
      return Layer.provide(MemoryStore.layerMemory, MemoryStore.MemoryStoreConfig.layer(store))
    case "file":
      return Layer.provide(FileStore.layerFile, FileStore.FileStoreConfig.layer(store))
    case "influxdb":
      return Layer.provide(InfluxStore.layerInflux, InfluxStore.InfluxConfig.layer(store))
  }
}
