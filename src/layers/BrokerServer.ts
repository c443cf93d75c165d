/** The broker's server: what lets peers in other processes publish and subscribe. */
import { Context, type Effect, Layer, Schema } from "effect"
import { frameBytesMax } from "../protocol/Limits.ts"
import type { WireErrorCode } from "../protocol/wire/WireErrors.ts"

/** The server can't listen where it is told to, or has no certificate that it can use. */
export class BrokerServerFailed extends Schema.TaggedError<BrokerServerFailed>()("BrokerServerFailed", {
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `broker server: ${this.problem}`
  }
}

export interface BrokerServerFigures {
  readonly connections: number
  readonly subscriptions: number
  /** Of requests that are not answered yet, on all connections. */
  readonly pendingBytes: number
  /** Since the server started: */
  readonly accepted: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly framesRead: number
  /** Errors that were sent, by name; names that never occurred are left out. */
  readonly errors: Readonly<Partial<Record<WireErrorCode, number>>>
}

export interface BrokerServerSettings {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** Where it is set, nothing but a `hello` with it is served. */
  readonly token: string | undefined
  readonly tls: TlsSettings | undefined
  /** A connection beyond is told `too_many_connections`, and closed. */
  readonly connectionsMax: number
  /** A subscription beyond is refused: `too_many_subscriptions`. */
  readonly subscriptionsPerConnectionMax: number
  /** A publish of another producer beyond is refused: `too_many_producers`. */
  readonly producersPerConnectionMax: number
  /** Bytes of unanswered requests on a connection, and on all of them, beyond which nothing more is read. */
  readonly pendingBytesPerConnectionMax: number
  readonly pendingBytesMax: number
  /** Time for the TLS handshake, and for a `hello` where a token is set; then `unauthorized`. */
  readonly helloTimeoutMs: number
  /** Silence after which a peer without a subscription is told `idle`, and closed. */
  readonly idleTimeoutMs: number
  /** Time for which a peer takes nothing of what it is sent, and sends nothing, until it is cut off (`write_stalled`). */
  readonly writeStallTimeoutMs: number
  /** Unacknowledged messages to a peer that did not say hello; 0 for no limit. */
  readonly legacyMaxInFlight: number
  /** Time for answers under way, when the server ends. */
  readonly drainTimeoutMs: number
}

/** Certificate and key in PEM, and, where clients have to show one of their own, the authorities that sign those. */
export interface TlsSettings {
  readonly certPath: string
  readonly keyPath: string
  readonly clientCaPath?: string
}

export class BrokerServerConfig extends Context.Tag("telemetry/BrokerServerConfig")<
  BrokerServerConfig,
  BrokerServerSettings
>() {
  static readonly defaults: BrokerServerSettings = {
    host: "127.0.0.1",
    port: 9000,
    token: undefined,
    tls: undefined,
    connectionsMax: 1_000,
    subscriptionsPerConnectionMax: 64,
    producersPerConnectionMax: 64,
    pendingBytesPerConnectionMax: 2 * frameBytesMax,
    pendingBytesMax: 256 * 1024 * 1024,
    helloTimeoutMs: 10_000,
    idleTimeoutMs: 15 * 60_000,
    writeStallTimeoutMs: 5 * 60_000,
    legacyMaxInFlight: 0,
    drainTimeoutMs: 5_000
  }
  static readonly layer = (config: Partial<BrokerServerSettings> = {}): Layer.Layer<BrokerServerConfig> =>
    Layer.succeed(BrokerServerConfig, { ...BrokerServerConfig.defaults, ...config })
}

export class BrokerServer extends Context.Tag("telemetry/BrokerServer")<
  BrokerServer,
  {
    /** Where it listens: the port that it got where it was to take a free one. */
    readonly address: { readonly host: string; readonly port: number }
    readonly figures: Effect.Effect<BrokerServerFigures>
  }
>() {}
