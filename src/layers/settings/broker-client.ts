/** What may be set about connections to a broker in another process. */
import { Config } from "effect"
import { type Group, group, make, makeLate, type Values } from "../Setting.ts"
import { boolean, duration, integer, text } from "./kinds.ts"
import { type TlsFiles, tlsFiles, token, withPair } from "./tls.ts"

const settings = {
  host: make({
    env: "MQ_HOST",
    meaning: "Where the broker is",
    kind: text("HOST"),
    default: "localhost"
  }),
  port: make({
    env: "MQ_PORT",
    meaning: "The port that the broker serves its protocol on",
    kind: { ...integer({ min: 1, max: 65_535 }, "PORT"), accepted: "a port from 1 to 65535" },
    default: 9000
  }),
  silenceMsMax: make({
    env: "MQ_PUBLISH_TIMEOUT",
    meaning:
      "Silence after which a connection to the broker is taken for dead and made anew; it is no deadline of a publish, which may wait for room",
    kind: duration({ min: 100, max: 3_600_000 }),
    default: 5_000
  }),
  token: token("The token that the broker asks for"),
  tls: make({
    env: "MQ_TLS",
    meaning: "Whether the connection is encrypted; so it is, too, where any of MQ_TLS_CA, MQ_TLS_CERT is set",
    kind: boolean,
    isSwitch: true,
    default: false
  }),
  ...tlsFiles({
    ca: "File of the authorities (PEM) that the broker's certificate is to be signed by",
    caShown: "those that Node trusts",
    certificate: "File of the certificate (PEM) to show to a broker that asks for one",
    key: "File of that certificate's key (PEM)"
  }),
  servername: makeLate({
    env: "MQ_TLS_SERVER_NAME",
    meaning: "The name that the broker's certificate is for",
    kind: text("NAME"),
    default: () => undefined,
    shown: "what MQ_HOST says"
  })
}

export interface BrokerClientSettings
  extends Pick<Values<typeof settings>, "host" | "port" | "silenceMsMax" | "token"> {
  /** `undefined` where the connection is not encrypted. */
  readonly tls: (TlsFiles & { readonly servername: string | undefined }) | undefined
}

const { title, config } = group("Broker connection", settings)

const resolve = ({
  tls,
  ca,
  certificate,
  key,
  servername,
  ...address
}: Values<typeof settings>): BrokerClientSettings => {
  const isEncrypted = tls || ca !== undefined || certificate !== undefined
  return { ...address, tls: isEncrypted ? { ca, certificate, key, servername } : undefined }
}

export const brokerClientSettings: Group<typeof settings, BrokerClientSettings> = {
  title,
  settings,
  config: config.pipe(Config.mapOrFail(withPair), Config.map(resolve))
}
