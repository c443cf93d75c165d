/** Where an InfluxDB is, and how it is used. */
import { Context, Layer } from "effect"

export class InfluxConfig extends Context.Tag("telemetry/InfluxConfig")<
  InfluxConfig,
  {
    readonly url: string
    readonly token: string
    readonly org: string
    /** The bucket of the samples. What is kept beside lies in `catalogueBucket`. */
    readonly bucket: string
    /**
     * How long the bucket keeps a sample, in milliseconds, 0 for ever: of a bucket that is created, and, where
     * `isRetentionAsked`, of one that is there.
     */
    readonly retentionMs: number
    readonly isRetentionAsked: boolean
    /** Silence after which a request has failed, in milliseconds. */
    readonly timeoutMs: number
    /** Between two counts of the samples of the last hour, and of all samples, to find what others have written. */
    readonly openIntervalMs: number
    readonly everythingIntervalMs: number
  }
>() {
  static readonly defaults: InfluxConfig["Type"] = {
    url: "http://localhost:8086",
    token: "",
    org: "cisco",
    bucket: "gpu_telemetry",
    retentionMs: 120 * 3_600_000,
    isRetentionAsked: false,
    timeoutMs: 10_000,
    openIntervalMs: 5_000,
    everythingIntervalMs: 10_000
  }

  /** The defaults but for what is given. */
  static readonly layer = (partial: Partial<InfluxConfig["Type"]> = {}): Layer.Layer<InfluxConfig> =>
    Layer.succeed(InfluxConfig, { ...InfluxConfig.defaults, ...partial })
}

/** The bucket beside the one of the samples. */
export const catalogueBucket = (bucket: string): string => `${bucket}_catalogue`
