/** Where samples come from, as it was set. */
import { Layer } from "effect"
import type { SourceSettings } from "../layers/settings/source.ts"
import * as Csv from "../layers/telemetry-source/csv.ts"
import * as Simulated from "../layers/telemetry-source/simulated.ts"
import { shippedSample } from "../sample.ts"

export const telemetrySource = ({ source, loop, timestamps, maxRowBytes }: SourceSettings) =>
  source.kind === "simulated"
    ? Simulated.layerSimulated.pipe(
        Layer.provide(Simulated.SimulatedSourceConfig.layer({ ...source, loop, timestamps }))
      )
    : Csv.layerCsv.pipe(
        Layer.provide(
          Csv.CsvSourceConfig.layer({ path: source.path ?? shippedSample, loop, timestamps, maxRowBytes })
        )
      )
