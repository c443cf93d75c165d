/** Certificates for tests of TLS, made when they are needed: X.509 version 3, ECDSA over P-256, in DER by hand (RFC 5280). */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto"

/** A certificate with its key, as PEM. */
export interface Identity {
  readonly certificate: string
  readonly key: string
}

export interface Authority extends Identity {
  /** Signs a certificate for these names and addresses; one that has expired where told. */
  readonly issue: (names: ReadonlyArray<string>, options?: { readonly isExpired?: boolean }) => Identity
}

const tagged = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const lengthBytes =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...lengthBytes]), content])
}

const sequence = (...parts: ReadonlyArray<Uint8Array>) => tagged(0x30, ...parts)
const octets = (content: Uint8Array) => tagged(0x04, content)
const integer = (n: number) => tagged(0x02, Buffer.from([n]))
const isTrue = tagged(0x01, Buffer.from([0xff]))
const time = (text: string) => tagged(0x18, Buffer.from(text))
const name = (commonName: string) =>
  sequence(tagged(0x31, sequence(commonNameOid, tagged(0x0c, Buffer.from(commonName)))))

/** An object identifier by the bytes that stand for it. */
const oid = (...bytes: ReadonlyArray<number>) => tagged(0x06, Buffer.from(bytes))
const commonNameOid = oid(0x55, 0x04, 0x03)
const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
const basicConstraints = oid(0x55, 0x1d, 0x13)
const subjectAltName = oid(0x55, 0x1d, 0x11)

const alternativeName = (text: string): Buffer =>
  /^[\d.]+$/.test(text)
    ? tagged(0x87, Buffer.from(text.split(".").map(Number)))
    : tagged(0x82, Buffer.from(text))

const pem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der)
    .toString("base64")
    .replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`

let serial = 1

const certify = (
  issuer: { readonly name: string; readonly key: KeyObject },
  subject: { readonly name: string; readonly key: KeyObject },
  extension: Uint8Array,
  isExpired = false
): string => {
  const body = sequence(
    tagged(0xa0, integer(2)),
    integer(serial++),
    ecdsaWithSha256,
    name(issuer.name),
    sequence(time("20000101000000Z"), time(isExpired ? "20010101000000Z" : "21000101000000Z")),
    name(subject.name),
    subject.key.export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(extension))
  )
  const signature = sign("sha256", body, issuer.key)
  return pem(sequence(body, ecdsaWithSha256, tagged(0x03, Buffer.from([0]), signature)))
}

const makeKeys = () => generateKeyPairSync("ec", { namedCurve: "P-256" })
const pemOf = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString()

/** An authority that signs itself. */
export const makeAuthority = (authorityName: string): Authority => {
  const { privateKey, publicKey } = makeKeys()
  const issuer = { name: authorityName, key: privateKey }
  const isAuthority = sequence(basicConstraints, isTrue, octets(sequence(isTrue)))
  return {
    certificate: certify(issuer, { name: authorityName, key: publicKey }, isAuthority),
    key: pemOf(privateKey),
    issue: (names, { isExpired = false } = {}) => {
      const keys = makeKeys()
      const alternatives = sequence(subjectAltName, octets(sequence(...names.map(alternativeName))))
      const subject = { name: names[0]!, key: keys.publicKey }
      return { certificate: certify(issuer, subject, alternatives, isExpired), key: pemOf(keys.privateKey) }
    }
  }
}
