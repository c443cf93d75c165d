/** The CSV file as a telemetry source (CONTRACTS.md, CSV input). */
import { Context, Effect, Layer } from "effect"
import { Rejects } from "../Rejects.ts"
import { type SourceError, TelemetrySource } from "../TelemetrySource.ts"
import { openCsvFile } from "./csv-file.ts"
import { type CsvSourceSettings, openCsvReader } from "./csv-reader.ts"
import { makeRowReader } from "./row.ts"
import { makeNameHash } from "./row-owner.ts"

export class CsvSourceConfig extends Context.Tag("telemetry/CsvSourceConfig")<
  CsvSourceConfig,
  CsvSourceSettings
>() {
  static readonly defaults: CsvSourceSettings = {
    path: "/data/dcgm_metrics.csv",
    loop: true,
    timestamps: "now",
    maxRowBytes: 1024 * 1024
  }

  /** The defaults but for what is given. */
  static readonly layer = (settings: Partial<CsvSourceSettings>): Layer.Layer<CsvSourceConfig> =>
    Layer.succeed(CsvSourceConfig, { ...CsvSourceConfig.defaults, ...settings })
}

const make = Effect.gen(function* () {
  const settings = yield* CsvSourceConfig
  const rejects = yield* Rejects
  // Looked at before anyone reads it, so that a program with a wrong path or a wrong file stops at start.
  yield* Effect.scoped(openCsvFile(settings.path, settings.maxRowBytes))
  const resources = { rejects, rowReader: makeRowReader(settings.timestamps), nameHash: makeNameHash() }
  return TelemetrySource.of({
    description: settings.path,
    open: (opening) => openCsvReader(settings, resources, opening)
  })
})

/** Fails where the file is missing, is no regular file, can't be read, or has no header with the required columns. */
export const layerCsv: Layer.Layer<TelemetrySource, SourceError, CsvSourceConfig | Rejects> = Layer.effect(
  TelemetrySource,
  make
)
