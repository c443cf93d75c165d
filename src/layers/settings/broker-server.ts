/** What may be set about the broker's server: where it listens, whom it lets in, and how much it takes of them. */
import { Config } from "effect"
import { frameBytesMax } from "../../protocol/Limits.ts"
import { type Group, group, make, type Values } from "../Setting.ts"
import { bytes, duration, hostOfAddress, integer, port, portOfAddress, text } from "./kinds.ts"
import { type TlsFiles, tlsFiles, token, withServerPair } from "./tls.ts"

const MiB = 1024 * 1024
const GiB = 1024 * MiB

const settings = (host: string) => ({
  host: make({
    env: "TCP_HOST",
    aliases: [["TCP_ADDR", hostOfAddress]],
    meaning:
      "Address that the broker's protocol is served on; 0.0.0.0 opens it to the network (TCP_ADDR: host:port)",
    kind: text("HOST"),
    default: host
  }),
  port: make({
    env: "TCP_PORT",
    aliases: [["TCP_ADDR", portOfAddress]],
    meaning: "Port that the broker's protocol is served on (TCP_ADDR: host:port)",
    kind: port,
    default: 9000
  }),
  token: token("The token that peers have to show; without one, whoever can connect is served"),
  ...tlsFiles({
    ca: "File of the authorities (PEM) one of which has to have signed the certificate of every peer",
    caShown: "peers need no certificate",
    certificate: "File of the server's certificate (PEM): connections are encrypted then, and only then",
    key: "File of the key (PEM) of the server's certificate"
  }),
  connectionsMax: make({
    env: "TCP_MAX_CONNECTIONS",
    meaning: "Connections that are open at a time; one more is told too_many_connections and closed",
    kind: integer({ min: 1, max: 100_000 }),
    default: 1_000
  }),
  subscriptionsPerConnectionMax: make({
    env: "TCP_MAX_SUBSCRIPTIONS",
    meaning: "Subscriptions of one connection; one more is refused with too_many_subscriptions",
    kind: integer({ min: 1, max: 10_000 }),
    default: 64
  }),
  producersPerConnectionMax: make({
    env: "TCP_MAX_PRODUCERS",
    meaning: "Producers of one connection; a publish of one more is refused with too_many_producers",
    kind: integer({ min: 1, max: 10_000 }),
    default: 64
  }),
  pendingBytesPerConnectionMax: make({
    env: "TCP_MAX_PENDING",
    meaning: "Bytes of unanswered requests on one connection beyond which nothing more is read from it",
    kind: bytes({ min: frameBytesMax, max: GiB }),
    default: 2 * frameBytesMax
  }),
  pendingBytesMax: make({
    env: "TCP_MAX_PENDING_TOTAL",
    meaning: "Bytes of unanswered requests on all connections beyond which nothing more is read",
    kind: bytes({ min: 2 * frameBytesMax, max: 64 * GiB }),
    default: 256 * MiB
  }),
  helloTimeoutMs: make({
    env: "TCP_HELLO_TIMEOUT",
    meaning:
      "How long a peer may take for the TLS handshake, and to show its token where one is asked for; then it is told unauthorized",
    kind: duration(),
    default: 10_000
  }),
  idleTimeoutMs: make({
    env: "TCP_IDLE_TIMEOUT",
    meaning: "How long a peer without a subscription may be silent; then it is told idle and closed",
    kind: duration(),
    default: 15 * 60_000
  }),
  writeStallTimeoutMs: make({
    env: "TCP_STALL_TIMEOUT",
    meaning:
      "How long a peer may take nothing of what it is sent, and send nothing; then it is cut off (write_stalled)",
    kind: duration(),
    default: 5 * 60_000
  }),
  legacyMaxInFlight: make({
    env: "LEGACY_MAX_IN_FLIGHT",
    meaning:
      "Unacknowledged messages to a peer that does not say how much it takes (hello); 0 is no limit. The collector of the earlier system needs 1, as it misreads a message that reaches it in pieces",
    kind: integer({ min: 0, max: 1_000_000 }),
    default: 0
  })
})

type Read = Values<ReturnType<typeof settings>>

export interface BrokerServerSettings extends Omit<Read, keyof TlsFiles> {
  /** `undefined` where connections are not encrypted. */
  readonly tls: TlsFiles | undefined
}

const resolve = ({ ca, certificate, key, ...server }: Read): BrokerServerSettings => ({
  ...server,
  tls: certificate === undefined ? undefined : { ca, certificate, key }
})

/** Those of a process that listens on `host` unless told. */
export const brokerServerSettings = (
  host: string
): Group<ReturnType<typeof settings>, BrokerServerSettings> => {
  const { title, settings: record, config } = group("Broker TCP", settings(host))
  return {
    title,
    settings: record,
    config: config.pipe(Config.mapOrFail(withServerPair), Config.map(resolve))
  }
}
