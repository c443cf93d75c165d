/**
 * Opens the folder of a log: finds its segments, checks what has to be checked, cuts off what was never finished.
 *
 * Closed segments are taken as their index has them, or read where that is missing or wrong. The last one is read, and every
 * byte of it checked.
 */
import { randomBytes, randomUUID } from "node:crypto"
import { join } from "node:path"
import { Clock, Effect } from "effect"
import { LogId } from "../../../protocol/Log.ts"
import { type FileFailed, Files, makeWhole, type OpenFile, unfinishedExtension } from "../../Files.ts"
import type { LogRecovery } from "../../OffsetLog.ts"
import { decodeFileHeader, encodeFileHeader, fileHeaderBytes, type LogIdentity } from "./format.ts"
import { readIndex, writeIndex } from "./index-file.ts"
import { LogDamaged } from "./LogDamaged.ts"
import { quarantine } from "./quarantine.ts"
import { baseOfName, Segment, segmentPath } from "./Segment.ts"
import { type Damage, type ScanOptions, scanBehind, scanIntact } from "./scan.ts"

export interface RecoveryOptions {
  readonly directory: string
  readonly onDamage: "stop" | "quarantine"
}

export interface RecoveredLog {
  readonly identity: LogIdentity
  /** In order, at least one; the last goes on. */
  readonly segments: ReadonlyArray<Segment>
  /** The file of the last, open to be written. */
  readonly file: OpenFile
  readonly recovery: LogRecovery | null
}

type Recovering<A> = Effect.Effect<A, FileFailed | LogDamaged, Files>

const identityPath = (directory: string): string => join(directory, "log.id")

/** Makes the file of a segment that begins at an offset. */
export const makeSegmentFile = (
  directory: string,
  base: number,
  identity: LogIdentity
): Effect.Effect<OpenFile, FileFailed, Files> =>
  makeWhole(segmentPath(directory, base), (file) => file.write(encodeFileHeader({ ...identity, base }), 0))

const writeIdentity = (directory: string, identity: LogIdentity) =>
  Effect.flatMap(
    makeWhole(identityPath(directory), (file) => file.write(encodeFileHeader({ ...identity, base: 0 }), 0)),
    (file) => file.close
  )

const readHeader = (path: string) =>
  Effect.flatMap(Files, (files) =>
    Effect.acquireUseRelease(
      files.open(path, "read"),
      (file) => Effect.map(file.read(0, fileHeaderBytes), decodeFileHeader),
      (file) => file.close
    )
  )

/** Whose log the folder has: as its file says, or where that is lost, as a segment says; a new one's where there is none. */
const findIdentity = (directory: string, bases: ReadonlyArray<number>): Recovering<LogIdentity> =>
  Effect.gen(function* () {
    if (bases.length > 0) {
      const kept = yield* Effect.option(readHeader(identityPath(directory)))
      if (kept._tag === "Some" && typeof kept.value !== "string") return kept.value
    }
    let identity: LogIdentity | undefined
    for (const base of bases) {
      const header = yield* readHeader(segmentPath(directory, base))
      if (typeof header !== "string") identity ??= header
    }
    if (identity === undefined && bases.length > 0) {
      const file = identityPath(directory)
      const problem = "neither it nor a segment says whose log this is"
      return yield* new LogDamaged({ file, position: 0, offset: bases[0]!, problem })
    }
    identity ??= { logId: LogId.make(randomUUID()), salt: randomBytes(4).readUInt32LE() }
    yield* writeIdentity(directory, identity)
    return identity
  })

interface Scanning extends RecoveryOptions {
  readonly identity: LogIdentity
  readonly base: number
  readonly limit: number
}

/** What is wrong with a segment's header, in words. */
const headerProblem = (bytes: Buffer, { identity, base }: Scanning): string | undefined => {
  const header = decodeFileHeader(bytes)
  if (typeof header === "string") return header
  if (header.logId !== identity.logId) return `it is a segment of another log, ${header.logId}`
  return header.base === base ? undefined : `it is the segment of offset ${header.base}`
}

/** What is wrong with a segment whose file was read up to where it is whole. */
const findDamage = (segment: Segment, options: ScanOptions, header: string | undefined) =>
  Effect.gen(function* () {
    if (header !== undefined) return { damage: { position: 0, offset: segment.base }, problem: header }
    const damage = yield* scanIntact(segment, options)
    if (damage !== undefined) return { damage, problem: "what is there is not what was written" }
    const { position, next } = segment.end
    if (next >= options.limit || !Number.isFinite(options.limit)) return undefined
    return {
      damage: { position, offset: next },
      problem: `the records up to ${options.limit - 1} are missing`
    }
  })

/** Reads a segment. What was never finished is left behind its end; damage fails, or is put aside. */
const scan = (scanning: Scanning): Recovering<Segment> =>
  Effect.gen(function* () {
    const { directory, base, identity, limit, onDamage } = scanning
    const files = yield* Files
    const segment = new Segment(directory, base)
    const scanned = yield* Effect.acquireUseRelease(
      files.open(segment.path, "read"),
      (file) =>
        Effect.gen(function* () {
          const size = yield* file.size
          const options = { file, size, salt: identity.salt, limit }
          const header = headerProblem(yield* file.read(0, fileHeaderBytes), scanning)
          const found = yield* findDamage(segment, options, header)
          if (found === undefined) return undefined
          const behind = yield* scanBehind(segment, found.damage, options)
          const isUnfinished =
            header === undefined && !Number.isFinite(limit) && behind.durableBefore <= found.damage.position
          if (isUnfinished) return undefined
          if (onDamage === "stop") {
            return yield* new LogDamaged({ file: segment.path, ...found.damage, problem: found.problem })
          }
          return { ...found, aside: yield* quarantine({ ...found, segment, file, identity, behind, limit }) }
        }),
      (file) => file.close
    )
    if (scanned === undefined) return segment
    yield* logQuarantine(segment.path, scanned)
    return yield* scan({ ...scanning, onDamage: "stop" })
  })

const logQuarantine = (
  path: string,
  { damage, problem, aside }: { readonly damage: Damage; readonly problem: string; readonly aside: string }
) =>
  Effect.logWarning(
    `${path} was damaged at byte ${damage.position}, where record ${damage.offset} should be: ${problem}. ` +
      `It was copied to ${aside}; what can be read of it is kept`
  )

const closedSegment = (scanning: Scanning): Recovering<Segment> =>
  Effect.gen(function* () {
    const { directory, base, limit, identity } = scanning
    const indexed = yield* readIndex({ directory, base, salt: identity.salt })
    if (indexed !== undefined && indexed.end.next === limit) return indexed
    const segment = yield* scan(scanning)
    yield* writeIndex(segment, identity.salt)
    return segment
  })

/** Cuts off what was never finished, and has the rest on the disk; answers how much was cut. */
const finish = (segment: Segment, file: OpenFile) =>
  Effect.gen(function* () {
    const tornBytes = (yield* file.size) - segment.end.position
    if (tornBytes > 0) {
      yield* file.truncate(segment.end.position)
      yield* Effect.logWarning(
        `${segment.path}: cut off ${tornBytes} bytes at the end that were never finished, behind record ${segment.end.next - 1}`
      )
    }
    // What a process wrote that was killed is there, but who reads it now may rely on it.
    yield* file.datasync
    return tornBytes
  })

const removeUnfinished = (directory: string, names: ReadonlyArray<string>) =>
  Effect.flatMap(Files, (files) =>
    Effect.forEach(
      names.filter((name) => name.endsWith(unfinishedExtension)),
      (name) => files.remove(join(directory, name))
    )
  )

/** Opens a log, a new one where the folder has none. */
export const recover = (options: RecoveryOptions): Recovering<RecoveredLog> =>
  Effect.gen(function* () {
    const { directory } = options
    const files = yield* Files
    const startMs = yield* Clock.currentTimeMillis
    yield* files.makeDirectory(directory)
    const names = yield* files.list(directory)
    yield* removeUnfinished(directory, names)
    const bases = names.flatMap((name) => baseOfName(name) ?? []).sort((a, b) => a - b)
    const identity = yield* findIdentity(directory, bases)
    const last = bases.at(-1)
    if (last === undefined) {
      const file = yield* makeSegmentFile(directory, 0, identity)
      return { identity, segments: [new Segment(directory, 0)], file, recovery: null }
    }
    const segments: Array<Segment> = []
    for (const [place, base] of bases.entries()) {
      const limit = bases[place + 1] ?? Number.POSITIVE_INFINITY
      const scanning = { ...options, identity, base, limit }
      segments.push(yield* base === last ? scan(scanning) : closedSegment(scanning))
    }
    const file = yield* files.open(segmentPath(directory, last), "write")
    const tornBytes = yield* Effect.tapError(finish(segments.at(-1)!, file), () => file.close)
    for (const segment of segments) segment.committed = segment.end
    const sum = (figure: "records" | "bytes") => segments.reduce((total, { end }) => total + end[figure], 0)
    const durationMs = (yield* Clock.currentTimeMillis) - startMs
    const recovery = { records: sum("records"), bytes: sum("bytes"), tornBytes, durationMs }
    return { identity, segments, file, recovery }
  })
