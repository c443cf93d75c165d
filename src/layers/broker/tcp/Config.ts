/** Where a broker is, and how a connection to it is made. */
import { Context, Layer } from "effect"

/** PEM texts. Without a CA, those that Node trusts; certificate and key where the broker asks for them. */
export interface BrokerTlsOptions {
  readonly ca?: string
  readonly certificate?: string
  readonly key?: string
  /** The name that the broker's certificate is for, where it is not the host that is connected to. */
  readonly servername?: string
}

interface BrokerClientSettings {
  readonly host: string
  readonly port: number
  /** After this time without a sign of life a connection is taken for dead. A publish has no other deadline. */
  readonly silenceMsMax: number
  readonly token?: string
  /** Encrypted where given, if only with `{}`. */
  readonly tls?: BrokerTlsOptions
}

export class BrokerClientConfig extends Context.Tag("telemetry/BrokerClientConfig")<
  BrokerClientConfig,
  BrokerClientSettings
>() {
  static readonly defaults: BrokerClientSettings = {
    host: "localhost",
    port: 9000,
    silenceMsMax: 5_000
  }
  static readonly layer = (config: Partial<BrokerClientSettings> = {}): Layer.Layer<BrokerClientConfig> =>
    Layer.succeed(BrokerClientConfig, { ...BrokerClientConfig.defaults, ...config })
}
