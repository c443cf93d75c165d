/** What an operator may set about the gateway. */
import { Context, Layer } from "effect"

export class GatewayConfig extends Context.Tag("telemetry/GatewayConfig")<
  GatewayConfig,
  {
    /** Address to listen on. */
    readonly host: string
    /** Port to listen on; 0 takes a free one, which `GatewayAddress` tells. */
    readonly port: number
    /** Rows of a telemetry page where the request names no `limit`. */
    readonly defaultLimit: number
    /** Rows of any page at most; a larger `limit` is served as this. */
    readonly maxLimit: number
    /** How long a client may take to send a request, and to send the next on a connection it keeps. */
    readonly readTimeoutMs: number
    /** How long nothing may flow on a connection while an answer is under way. */
    readonly writeTimeoutMs: number
    /** How long answers under way may take to end when the gateway stops. */
    readonly drainTimeoutMs: number
  }
>() {
  static readonly defaults: GatewayConfig["Type"] = {
    host: "127.0.0.1",
    port: 8080,
    defaultLimit: 100,
    maxLimit: 1000,
    readTimeoutMs: 10_000,
    writeTimeoutMs: 10_000,
    drainTimeoutMs: 5_000
  }

  /** The defaults but for what is given. */
  static readonly layer = (partial: Partial<GatewayConfig["Type"]> = {}): Layer.Layer<GatewayConfig> =>
    Layer.succeed(GatewayConfig, { ...GatewayConfig.defaults, ...partial })
}
