/** What the tests of the CSV source share: files, a writer of CSV that knows nothing of the reader, and ways to read. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer, Option, type Scope } from "effect"
import { expect } from "vitest"
import * as Rejects from "../../../src/layers/Rejects.ts"
import { type SourceReader, TelemetrySource } from "../../../src/layers/TelemetrySource.ts"
import { CsvSourceConfig, layerCsv } from "../../../src/layers/telemetry-source/csv.ts"
import type { CsvSourceSettings } from "../../../src/layers/telemetry-source/csv-reader.ts"
import type { SourcePosition } from "../../../src/protocol/Log.ts"
import type { Sample } from "../../../src/protocol/Sample.ts"
import { wholeSource } from "../../../src/protocol/Shard.ts"

export const headerLine =
  "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw"

/** A cell as RFC 4180 writes it: in quotes where it has to be, or always. */
export const writeCell = (text: string, always = false): string =>
  always || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text

export const writeRow = (cells: ReadonlyArray<string>, always = false): string =>
  cells.map((cell) => writeCell(cell, always)).join(",")

/** A good row whose value, and uuid, tell which it is. */
export const goodRow = (n: number): string =>
  `2025-07-18T20:42:34Z,DCGM_FI_DEV_POWER_USAGE,0,nvidia0,GPU-${n},H100,host,,,,${n},"job=""dcgm"""`

/** A file in a folder of its own, both gone with the scope. */
export const temporaryFile = (content: string | Uint8Array): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "csv-source-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ).pipe(
    Effect.map((folder) => {
      const path = join(folder, "rows.csv")
      writeFileSync(path, content)
      return path
    })
  )

/** The source over a file, and the rejects it counts into. */
export const sourceOf = (settings: Partial<CsvSourceSettings>) => {
  const rejects = Rejects.layer
  return layerCsv.pipe(
    Layer.provideMerge(rejects),
    Layer.provide(CsvSourceConfig.layer({ loop: false, timestamps: "original", ...settings }))
  )
}

export interface Read {
  readonly samples: ReadonlyArray<Sample>
  /** The position behind each sample. */
  readonly positions: ReadonlyArray<SourcePosition>
  readonly rowsRead: number
}

/** Reads until the source ends or has given `samplesMax`, or until it has gone through exactly `rows` rows. */
export const readAll = (
  reader: SourceReader,
  samplesMax = Number.POSITIVE_INFINITY,
  rowsMax = 100,
  rows = Number.POSITIVE_INFINITY
) =>
  Effect.gen(function* () {
    const samples: Array<Sample> = []
    const positions: Array<SourcePosition> = []
    let rowsRead = 0
    let rowsGone = 0
    while (samples.length < samplesMax && rowsGone < rows) {
      const wanted = Math.min(rowsMax, rows - rowsGone)
      const chunk = yield* reader.read(wanted)
      if (Option.isNone(chunk)) break
      const gone = chunk.value.rowsRead + chunk.value.rowsPassed
      expect(gone).toBeGreaterThan(0)
      expect(gone).toBeLessThanOrEqual(Math.max(1, wanted))
      rowsGone += gone
      rowsRead += chunk.value.rowsRead
      samples.push(...chunk.value.samples)
      positions.push(...chunk.value.samples.map((_, i) => chunk.value.positionAfter(i)))
    }
    return { samples, positions, rowsRead } satisfies Read
  })

/** Opens the source of the context, at a position perhaps, for a part of its rows perhaps. */
export const openSource = (position?: SourcePosition, shard = wholeSource) =>
  Effect.flatMap(TelemetrySource, (source) => source.open({ resumeAt: Option.fromNullable(position), shard }))

/** Opens the source of the context and reads it, from a position perhaps. */
export const openAndRead = (position?: SourcePosition, samplesMax?: number, rowsMax?: number) =>
  Effect.scoped(Effect.flatMap(openSource(position), (reader) => readAll(reader, samplesMax, rowsMax)))

/** How often each reason was counted. */
export const rejectCounts = Effect.gen(function* () {
  const rejects = yield* Rejects.Rejects
  return Object.fromEntries((yield* rejects.byReason).map(({ reason, count }) => [reason, count]))
})

/** What a file reads as: its samples and what was rejected of it. */
export const readFile = (content: string | Uint8Array, settings: Partial<CsvSourceSettings> = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const path = yield* temporaryFile(content)
      return yield* Effect.gen(function* () {
        const read = yield* openAndRead()
        return { ...read, rejected: yield* rejectCounts }
      }).pipe(Effect.provide(sourceOf({ path, ...settings })))
    })
  )
