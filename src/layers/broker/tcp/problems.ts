/** What goes wrong with a connection, in words for whoever has to mend it. */

/** An error of a socket, by its code; what it says itself where the code is none of these. */
export const socketProblem = (error: SocketError, at: string, host: string): string => {
  const { code = "" } = error
  const known = problems[code]
  if (known !== undefined) return known(at, host)
  if (!code.startsWith("ERR_SSL_") && code !== "EPROTO") {
    return `the connection to ${at} fails: ${error.message || code}`
  }
  const reason = error.reason ?? /:SSL routines:[^:]*:([^:]+):/.exec(error.message)?.[1] ?? error.message
  return (
    tlsProblems.find(([pattern]) => pattern.test(reason))?.[1](at, host) ?? `TLS with ${at} fails: ${reason}`
  )
}

interface SocketError extends Error {
  readonly code?: string
  /** What OpenSSL says. */
  readonly reason?: string
}

type Words = (at: string, host: string) => string

const unreachable: Words = (at) => `${at} can't be reached: there is no way to that host`
const untrusted: Words = (at) => `the certificate of ${at} is not signed by an authority that is trusted here`
const clientCertificate: Words = (at) => `${at} does not accept the client certificate`

const problems: Readonly<Record<string, Words>> = {
  ECONNREFUSED: (at) => `${at} refuses connections`,
  ECONNRESET: (at) => `${at} has reset the connection`,
  EPIPE: (at) => `${at} has reset the connection`,
  ETIMEDOUT: (at) => `${at} does not answer`,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ENOTFOUND: (_, host) => `there is no host ${host}`,
  EAI_AGAIN: (_, host) => `the address of ${host} can't be looked up now`,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  CERT_HAS_EXPIRED: (at) => `the certificate of ${at} has expired`,
  CERT_NOT_YET_VALID: (at) => `the certificate of ${at} is not valid yet`,
  ERR_TLS_CERT_ALTNAME_INVALID: (at, host) =>
    `the certificate of ${at} is for other names than ${host} (MQ_TLS_SERVER_NAME sets the name to expect)`
}

const tlsProblems: ReadonlyArray<readonly [reason: RegExp, Words]> = [
  [/wrong version number|packet length too long|unknown protocol/, (at) => `${at} does not speak TLS`],
  [/certificate required/, (at) => `${at} asks for a client certificate`],
  [/alert (handshake failure|bad certificate|certificate|unknown ca)/, clientCertificate]
]

/** Bytes that began where a frame should: what sent them is no broker, and perhaps its protocol can be told. */
export const strangerProblem = (first: Uint8Array, at: string): string => {
  const text = Buffer.from(first.subarray(0, 5)).toString("latin1")
  if (text.startsWith("HTTP")) return `${at} is no broker: it speaks HTTP`
  // A TLS record: an alert, or a handshake.
  if ((first[0] === 0x15 || first[0] === 0x16) && first[1] === 0x03) return `${at} speaks TLS only`
  return `${at} is no broker: it does not speak this protocol`
}
