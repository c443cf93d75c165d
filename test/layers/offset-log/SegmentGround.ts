/** What tests of the log on segments stand on: logs in folders, copies of those as a crash leaves them, and damage. */
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { Effect, Layer, type Scope } from "effect"
import * as Files from "../../../src/layers/Files.ts"
import { OffsetLog, type RecordRun } from "../../../src/layers/OffsetLog.ts"
import { layerSegments, SegmentLogConfig } from "../../../src/layers/offset-log/segments.ts"
import { offsetOf, ProducerId, type SourcePosition, sequenceOf } from "../../../src/protocol/Log.ts"
import { type LoneRecord, recordsOf } from "../../contracts/OffsetLog.contract.ts"
import { temporaryDirectory } from "../Directories.ts"

export type Log = OffsetLog["Type"]
export type Settings = Partial<Omit<SegmentLogConfig["Type"], "directory">>

/** Opens the log in a folder until the scope closes. */
export const openLog = (
  directory: string,
  settings: Settings = {},
  files: Layer.Layer<Files.Files> = Files.layerNode
) =>
  Effect.map(
    Layer.build(Layer.provide(layerSegments, [SegmentLogConfig.layer({ directory, ...settings }), files])),
    (context) => context.unsafeMap.get(OffsetLog.key) as Log
  )

/** Opens the log in a folder, does something with it, and closes it cleanly. */
export const withLog = <A, E>(
  directory: string,
  settings: Settings,
  use: (log: Log) => Effect.Effect<A, E, Scope.Scope>,
  files?: Layer.Layer<Files.Files>
) => Effect.scoped(Effect.flatMap(openLog(directory, settings, files), use))

/** Copies a folder as it is now, as a process that is killed leaves it. */
export const copyInto = (directory: string, copy: string): void =>
  cpSync(directory, copy, { recursive: true, filter: (path) => !basename(path).startsWith("log.lock") })

export const copyOf = (directory: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.tap(temporaryDirectory, (copy) => Effect.sync(() => copyInto(directory, copy)))

export const segmentFiles = (directory: string): ReadonlyArray<string> =>
  readdirSync(directory)
    .filter((name) => name.endsWith(".log"))
    .sort()
    .map((name) => join(directory, name))

/** Files as they were, so that each can be damaged anew. */
export const patch = (path: string, change: (bytes: Buffer) => Buffer): void =>
  writeFileSync(path, change(readFileSync(path)))

export const flipBit = (path: string, position: number, bit = position % 8): void =>
  patch(path, (bytes) => {
    bytes[position]! ^= 1 << bit
    return bytes
  })

/** An append of some records whose content tells where they stand. */
export const produced = (firstSequence: number, count: number, size = 12, id = "streamer-1"): RecordRun => ({
  payloads: Array.from({ length: count }, (_, index) =>
    Buffer.from(`${firstSequence + index}`.padStart(size, "."))
  ),
  producer: {
    id: ProducerId.make(id),
    firstSequence: sequenceOf(firstSequence),
    positions: Array.from({ length: count }, (_, index) =>
      index % 2 === 0 ? (`row ${firstSequence + index} ü` as SourcePosition) : null
    )
  }
})

/** Everything that is retained, in slices as they come, with the offset of each record. */
export const readEverything = (log: Log, recordsMax = 7) =>
  Effect.gen(function* () {
    const found = new Map<number, LoneRecord>()
    const { oldest } = yield* log.bounds
    for (let from: number = oldest; ; ) {
      const { firstOffset, runs } = yield* log.read(offsetOf(from), { recordsMax, bytesMax: 100_000 })
      const records = recordsOf(runs)
      if (records.length === 0) return found
      for (const [index, record] of records.entries()) found.set(firstOffset + index, record)
      from = firstOffset + records.length
    }
  })
