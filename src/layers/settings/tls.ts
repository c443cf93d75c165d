/** Files that TLS is set up from, on either side of a connection to the broker. */
import { ConfigError, Either } from "effect"
import { makeLate } from "../Setting.ts"
import { text } from "./kinds.ts"

/** Files of PEM texts. */
export interface TlsFiles {
  readonly ca: string | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
}

/** A secret that a broker may ask its peers for. */
export const token = (meaning: string) =>
  makeLate({
    env: "MQ_TOKEN",
    meaning: `${meaning}; better set as a variable, as flags can be seen by others`,
    kind: text("TOKEN", 4_096),
    default: () => undefined,
    shown: "no token"
  })

/** The three files, by what each is for. */
export const tlsFiles = (of: {
  readonly ca: string
  readonly caShown: string
  readonly certificate: string
  readonly key: string
}) => {
  const file = (env: string, meaning: string, shown: string) =>
    makeLate({ env, meaning, kind: text("PATH", 4_096), default: () => undefined, shown })
  return {
    certificate: file("MQ_TLS_CERT", of.certificate, "no certificate"),
    key: file("MQ_TLS_KEY", of.key, "no key"),
    ca: file("MQ_TLS_CA", of.ca, of.caShown)
  }
}

const unmet = (name: string, needed: string) =>
  Either.left(ConfigError.MissingData([needed], `${needed}: not set, and ${name} needs it`))

/** Of a server also: it asks peers for certificates only where it has one itself. */
export const withServerPair = <A extends TlsFiles>(read: A): Either.Either<A, ConfigError.ConfigError> =>
  read.ca !== undefined && read.certificate === undefined ? unmet("MQ_TLS_CA", "MQ_TLS_CERT") : withPair(read)

/** A certificate is of no use without its key, nor a key without its certificate. */
export const withPair = <A extends TlsFiles>(read: A): Either.Either<A, ConfigError.ConfigError> => {
  if (read.certificate === undefined && read.key !== undefined) return unmet("MQ_TLS_KEY", "MQ_TLS_CERT")
  if (read.certificate !== undefined && read.key === undefined) return unmet("MQ_TLS_CERT", "MQ_TLS_KEY")
  return Either.right(read)
}
