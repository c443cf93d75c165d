/**
 * Where in which file reading goes on, as a text that a record of the log carries.
 *
 * A file is known by its content, not by its name: by a hash of its beginning and how long that beginning is. A file that
 * moved goes on, one that grew is still the same, one that was replaced starts afresh. Two files that begin with the same
 * 4 KiB are taken for one.
 */
import { createHash } from "node:crypto"
import { type Option, Schema } from "effect"
import { SourcePosition } from "../../protocol/Log.ts"
import { timeNsMax, timeNsMin } from "../../protocol/Time.ts"

/** Bytes of a file's beginning by which it is known; fewer where the file has fewer. */
export const identityBytesMax = 4096

const FileIdentity = Schema.Struct({
  sha256: Schema.String.pipe(Schema.length(64)),
  /** How many bytes were hashed. */
  bytes: Schema.Int.pipe(Schema.between(1, identityBytesMax))
})
export type FileIdentity = typeof FileIdentity.Type

/** What a position says. */
export const CsvPosition = Schema.Struct({
  file: FileIdentity,
  /** Whose rows were read, by `formatShard`. */
  shard: Schema.String.pipe(Schema.maxLength(32)),
  /** How often the file was read to its end before. */
  pass: Schema.NonNegativeInt,
  /** The line at which reading goes on; the header is line 1 where nothing stands above it. */
  row: Schema.Int.pipe(Schema.positive()),
  /** Its byte offset. */
  offset: Schema.NonNegativeInt,
  /** The last time that was given to a sample, in nanoseconds; absent while none was. */
  lastGivenNs: Schema.optional(Schema.BigInt.pipe(Schema.betweenBigInt(timeNsMin, timeNsMax)))
})
export type CsvPosition = typeof CsvPosition.Type

const CsvPositionText = Schema.parseJson(CsvPosition)
const encode = Schema.encodeSync(CsvPositionText)
const decode = Schema.decodeOption(CsvPositionText)

/** The text of a position: some 220 bytes, never more than the 1 KiB that a record may carry. */
export const encodePosition = (position: CsvPosition): SourcePosition => SourcePosition.make(encode(position))

/** What a position of this source says; `None` where the text is none. */
export const decodePosition = (text: SourcePosition): Option.Option<CsvPosition> => decode(text)

/** The identity of a file that begins with these bytes, at most `identityBytesMax` of them. */
export const identityOf = (beginning: Uint8Array): FileIdentity => ({
  sha256: createHash("sha256").update(beginning).digest("hex"),
  bytes: beginning.length
})

/** Whether a file that now begins with these bytes is the one with that identity, grown perhaps. */
export const isSameFile = (identity: FileIdentity, beginning: Uint8Array): boolean =>
  beginning.length >= identity.bytes &&
  identityOf(beginning.subarray(0, identity.bytes)).sha256 === identity.sha256
