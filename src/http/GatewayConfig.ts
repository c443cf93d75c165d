/** What an operator may set about the gateway. */
import { Context, Layer } from "effect"
import { type ListenOptions, listenDefaults } from "./Listener.ts"

export class GatewayConfig extends Context.Tag("telemetry/GatewayConfig")<
  GatewayConfig,
  ListenOptions & {
    /** Rows of a telemetry page where the request names no `limit`. */
    readonly defaultLimit: number
    /** Rows of any page at most; a larger `limit` is served as this. */
    readonly maxLimit: number
    /** Within which a live GPU has a new sample; one whose newest is older is told to be stale. */
    readonly expectedIntervalMs: number
  }
>() {
  static readonly defaults: GatewayConfig["Type"] = {
    ...listenDefaults,
    port: 8080,
    defaultLimit: 100,
    maxLimit: 1000,
    expectedIntervalMs: 60_000
  }

  /** The defaults but for what is given. */
  static readonly layer = (partial: Partial<GatewayConfig["Type"]> = {}): Layer.Layer<GatewayConfig> =>
    Layer.succeed(GatewayConfig, { ...GatewayConfig.defaults, ...partial })
}
