/** Finds records by the time at which they were appended: what a batch says. */
import { Effect } from "effect"
import { type FileFailed, Files } from "../../Files.ts"
import { batchHeaderBytes, readBatchHeader } from "./format.ts"
import type { Segment } from "./Segment.ts"

const chunkBytes = 64 * 1024

/** The first record of a segment that was appended at a time or after it; `undefined` where none was, or damage is in the way. */
const firstAt = (segment: Segment, atMs: number, salt: number) =>
  Effect.flatMap(Files, (files) =>
    Effect.acquireUseRelease(
      files.open(segment.path, "read"),
      (file) =>
        Effect.gen(function* () {
          const end = segment.committed.position
          let position = segment.positionBeforeTime(atMs)
          let start = position
          let chunk: Buffer = Buffer.alloc(0)
          while (position < end) {
            if (position + batchHeaderBytes > start + chunk.length) {
              start = position
              chunk = yield* file.read(start, chunkBytes)
            }
            const header = readBatchHeader(chunk, position - start, { salt, base: segment.base }, position)
            if (header === undefined) return undefined
            if (header.records > 0 && header.appendedMs >= atMs) return header.firstOffset
            position += batchHeaderBytes + header.bodyBytes
          }
          return undefined
        }),
      (file) => file.close
    )
  )

/** The first record that was appended at a time or after it; `undefined` where none was. */
export const findTime = (
  segments: ReadonlyArray<Segment>,
  atMs: number,
  salt: number
): Effect.Effect<number | undefined, FileFailed, Files> =>
  Effect.gen(function* () {
    for (const segment of segments) {
      const { records, newestMs } = segment.committed
      if (records === 0 || newestMs < atMs) continue
      // Where damage is in the way, rather too early than too late.
      return (yield* firstAt(segment, atMs, salt)) ?? segment.firstOffset
    }
    return undefined
  })
