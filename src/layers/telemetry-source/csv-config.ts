/** What an operator may set about the CSV source. */
import { Context, Layer } from "effect"

export interface CsvSourceSettings {
  /** The file, as the user named it. */
  readonly path: string
  /** Whether reading starts again at the beginning when the file is over. */
  readonly loop: boolean
  /** Which time a sample gets: when it was read, or its row's own. */
  readonly timestamps: "now" | "original"
  /** Longest row in bytes, its line end not counted. */
  readonly maxRowBytes: number
}

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
