import { describe } from "@effect/vitest"
import { Layer } from "effect"
import { layerInflux } from "../../../src/layers/telemetry-store/influx.ts"
import { telemetryStoreContract } from "../../contracts/TelemetryStore.contract.ts"
import { freshBucket, isInfluxThere } from "../../influx/Buckets.ts"

describe.skipIf(!isInfluxThere)("InfluxDB", () =>
  telemetryStoreContract("InfluxDB", Layer.provide(layerInflux, freshBucket()))
)
