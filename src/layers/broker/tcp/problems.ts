/** What goes wrong with a connection, in words for whoever has to mend it. */

/** An error of a socket, by its code; what it says itself where the code is none of these. */
export const socketProblem = (
  error: Error & { readonly code?: string },
  at: string,
  host: string
): string => {
  const { code = "" } = error
  const known = problems[code]
  if (known !== undefined) return known(at, host)
  if (code.startsWith("ERR_SSL_") || code === "EPROTO") return `TLS with ${at} fails: ${error.message}`
  return `the connection to ${at} fails: ${error.message}`
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
    `the certificate of ${at} is for other names than ${host} (a servername can be set)`,
  ERR_SSL_WRONG_VERSION_NUMBER: (at) => `${at} does not speak TLS`,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: (at) => `${at} does not speak TLS`,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: (at) => `${at} asks for a client certificate`,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: clientCertificate,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: clientCertificate,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: clientCertificate,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: clientCertificate,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: clientCertificate
}

/** Bytes that began where a frame should: what sent them is no broker, and perhaps its protocol can be told. */
export const strangerProblem = (first: Uint8Array, at: string): string => {
  const text = Buffer.from(first.subarray(0, 5)).toString("latin1")
  if (text.startsWith("HTTP")) return `${at} is no broker: it speaks HTTP`
  // A TLS record: an alert, or a handshake.
  if ((first[0] === 0x15 || first[0] === 0x16) && first[1] === 0x03) return `${at} speaks TLS only`
  return `${at} is no broker: it does not speak this protocol`
}
