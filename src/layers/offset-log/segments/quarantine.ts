/** What is kept of a damaged segment: everything that is whole, with marks in place of what is lost. */
import { Clock, Effect } from "effect"
import { type FileFailed, Files, makeWhole, type OpenFile } from "../../Files.ts"
import {
  batchHeaderBytes,
  encodeFileHeader,
  encodeMark,
  fileHeaderBytes,
  type LogIdentity,
  writeBatchHeader
} from "./format.ts"
import type { Segment } from "./Segment.ts"
import type { Behind, Damage, FoundBatch } from "./scan.ts"

const copyBytes = 4 * 1024 * 1024

/** Copies bytes of a file to the same place in another. */
const copyRange = (from: OpenFile, to: OpenFile, start: number, end: number) =>
  Effect.gen(function* () {
    for (let position = start; position < end; position += copyBytes) {
      yield* to.write(yield* from.read(position, Math.min(copyBytes, end - position)), position)
    }
  })

export interface Salvage {
  readonly segment: Segment
  /** The damaged file, open to be read. */
  readonly file: OpenFile
  readonly identity: LogIdentity
  readonly damage: Damage
  readonly behind: Behind
  /** Base of the next segment, up to which this one has to tell of every offset. */
  readonly limit: number
}

/** Writes what is whole into another file: as it stands up to the damage, and behind that moved up. */
const writeWhole = ({ segment, file, identity, behind, limit }: Salvage, to: OpenFile) =>
  Effect.gen(function* () {
    const nowMs = yield* Clock.currentTimeMillis
    const place = { salt: identity.salt, base: segment.base }
    let { position, next } = segment.end
    yield* to.write(encodeFileHeader({ ...identity, base: segment.base }), 0)
    yield* copyRange(file, to, fileHeaderBytes, position)

    const markUpTo = (nextOffset: number) =>
      Effect.suspend(() => {
        const mark = encodeMark(place, { nextOffset, nowMs, position })
        const at = position
        position += mark.length
        next = nextOffset
        return to.write(mark, at)
      })
    const move = ({ position: found, header }: FoundBatch) =>
      Effect.gen(function* () {
        const bytes = yield* file.read(found, batchHeaderBytes + header.bodyBytes)
        // The file has its name only when all of it is on the disk.
        writeBatchHeader(bytes, 0, { ...header, durableBefore: position }, place, position)
        yield* to.write(bytes, position)
        position += bytes.length
        next = header.firstOffset + header.records
      })

    for (const batch of behind.batches) {
      if (batch.header.firstOffset > next) yield* markUpTo(batch.header.firstOffset)
      yield* move(batch)
    }
    if (Number.isFinite(limit) && next < limit) yield* markUpTo(limit)
  })

/** Copies a damaged segment aside and puts what is whole of it in its place; answers where the copy is. */
export const quarantine = (salvage: Salvage): Effect.Effect<string, FileFailed, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const { path } = salvage.segment
    const aside = `${path}.damaged-${salvage.damage.position}`
    yield* files.copy(path, aside)
    yield* Effect.acquireUseRelease(
      files.open(aside, "write"),
      (copied) => copied.datasync,
      (copied) => copied.close
    )
    const whole = yield* makeWhole(path, (to) => writeWhole(salvage, to))
    yield* whole.close
    return aside
  })
