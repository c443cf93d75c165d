/**
 * What is kept of a closed segment beside its file, so that it need not be read when the log is opened.
 *
 * Named `<base offset>.index`; little-endian numbers, all of 8 bytes (float64) but for the last. Made when a segment is closed,
 * and whenever it is missing or wrong; nothing is in it that is not in the segment.
 *
 * ```
 *  0   8  magic "GPULOGIX"
 *  8  80  version (1), base offset; of the end: position, next offset, records, bytes, oldest and newest ms; size of the file; places
 * 88  24  of each place: offset, position, greatest ms before
 *      4  CRC32C of everything before, seeded with the log's salt
 * ```
 */
import { crc32c } from "@node-rs/crc32"
import { Effect } from "effect"
import { type FileFailed, Files, unfinishedExtension } from "../../Files.ts"
import { Segment } from "./Segment.ts"

const magic = Buffer.from("GPULOGIX", "latin1")
const version = 1
const fixedNumbers = 10
const numberBytes = 8

const encode = (segment: Segment, fileBytes: number, salt: number): Buffer => {
  const { base, end, index } = segment
  const places = index.offsets.length
  const numbers = new Float64Array(fixedNumbers + places * 3)
  numbers.set([version, base, end.position, end.next, end.records, end.bytes, end.oldestMs, end.newestMs])
  numbers.set([fileBytes, places], 8)
  numbers.set(index.offsets, fixedNumbers)
  numbers.set(index.positions, fixedNumbers + places)
  numbers.set(index.timesMs, fixedNumbers + places * 2)
  const content = Buffer.concat([magic, Buffer.from(numbers.buffer)])
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32LE(crc32c(content, salt))
  return Buffer.concat([content, checksum])
}

/** The segment as its index has it; `undefined` where that is not of this file. */
const decode = (
  bytes: Buffer,
  { directory, base, fileBytes, salt }: IndexedFile & { readonly fileBytes: number }
): Segment | undefined => {
  const end = bytes.length - 4
  if (end < magic.length + fixedNumbers * numberBytes || !bytes.subarray(0, 8).equals(magic)) return undefined
  if (crc32c(bytes.subarray(0, end), salt) !== bytes.readUInt32LE(end)) return undefined
  const numbers = new Float64Array(Uint8Array.prototype.slice.call(bytes, magic.length, end).buffer)
  if (numbers[0] !== version || numbers[1] !== base || numbers[8] !== fileBytes) return undefined
  const [, , position, next, records, counted, oldestMs, newestMs, , places] = numbers as unknown as number[]
  const column = (index: number): Array<number> =>
    Array.from(numbers.subarray(fixedNumbers + index * places!, fixedNumbers + (index + 1) * places!))
  return new Segment(
    directory,
    base,
    {
      ...{ position: position!, next: next!, records: records!, bytes: counted! },
      ...{ oldestMs: oldestMs!, newestMs: newestMs! }
    },
    { offsets: column(0), positions: column(1), timesMs: column(2) }
  )
}

export interface IndexedFile {
  readonly directory: string
  readonly base: number
  readonly salt: number
}

/** Reads the index of a segment's file; `undefined` where there is none, or one of something else. */
export const readIndex = (file: IndexedFile): Effect.Effect<Segment | undefined, FileFailed, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const { path, indexPath } = new Segment(file.directory, file.base)
    const fileBytes = yield* files.size(path)
    const bytes = yield* Effect.option(files.readAll(indexPath))
    return bytes._tag === "None" ? undefined : decode(bytes.value, { ...file, fileBytes })
  })

/** Writes the index of a segment that is closed. One that can't be written is made when the log is opened again. */
export const writeIndex = (segment: Segment, salt: number): Effect.Effect<void, never, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const fileBytes = yield* files.size(segment.path)
    const unfinished = segment.indexPath + unfinishedExtension
    // Nothing waits for the disk: an index that is not whole is a wrong one, and made again.
    yield* Effect.acquireUseRelease(
      files.open(unfinished, "create"),
      (file) => file.write(encode(segment, fileBytes, salt), 0),
      (file) => file.close
    )
    yield* files.rename(unfinished, segment.indexPath)
  }).pipe(
    Effect.catchAll((failed) =>
      Effect.logWarning(`the index of a segment was not written: ${failed.message}`)
    )
  )
