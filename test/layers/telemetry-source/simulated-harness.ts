/** Reads a simulated fleet as a test wants it. */
import { Effect, Layer, Option } from "effect"
import { expect } from "vitest"
import { layer as layerRejects, type RejectedForReason, Rejects } from "../../../src/layers/Rejects.ts"
import { type SourceError, TelemetrySource } from "../../../src/layers/TelemetrySource.ts"
import { layerSimulated, SimulatedSourceConfig } from "../../../src/layers/telemetry-source/simulated.ts"
import type { SourcePosition } from "../../../src/protocol/Log.ts"
import { encodeSample, type Sample } from "../../../src/protocol/Sample.ts"
import { type Shard, wholeSource } from "../../../src/protocol/Shard.ts"

export type Settings = NonNullable<Parameters<typeof SimulatedSourceConfig.layer>[0]>

/** A sample and the position behind it. */
export interface Read {
  readonly sample: Sample
  readonly after: SourcePosition
}

export interface Reading {
  readonly settings: Settings
  readonly shard?: Shard
  readonly from?: SourcePosition
  readonly rowsMax?: number
  /** Rows of the shard after which reading stops; without them it goes on until the source has ended. */
  readonly rows?: number
  /** The same for rows that were gone through, the shard's and others. */
  readonly rowsGone?: number
}

/** What reading gave. */
export interface Outcome {
  readonly read: ReadonlyArray<Read>
  readonly rowsRead: number
  readonly rejected: ReadonlyArray<RejectedForReason>
}

/** Reads `rowsMax` rows at a time, exactly as many as are asked for. */
export const readFleet = (options: Reading): Effect.Effect<Outcome, SourceError> =>
  Effect.gen(function* () {
    const source = yield* TelemetrySource
    const { from, shard = wholeSource, rowsMax = 1_000 } = options
    const { rows = Number.POSITIVE_INFINITY, rowsGone: rowsGoneMax = Number.POSITIVE_INFINITY } = options
    const reader = yield* source.open({ resumeAt: Option.fromNullable(from), shard })
    const read: Array<Read> = []
    let rowsRead = 0
    let rowsGone = 0
    while (rowsRead < rows && rowsGone < rowsGoneMax) {
      const wanted = Math.min(rowsMax, rows - rowsRead, rowsGoneMax - rowsGone)
      const chunk = yield* reader.read(wanted)
      if (Option.isNone(chunk)) break
      const { samples, positionAfter } = chunk.value
      const gone = chunk.value.rowsRead + chunk.value.rowsPassed
      expect(gone).toBeGreaterThan(0)
      expect(gone).toBeLessThanOrEqual(wanted)
      rowsRead += chunk.value.rowsRead
      rowsGone += gone
      samples.forEach((sample, index) => {
        read.push({ sample, after: positionAfter(index) })
      })
    }
    return { read, rowsRead, rejected: yield* (yield* Rejects).byReason }
  }).pipe(
    Effect.scoped,
    Effect.provide(
      layerSimulated.pipe(
        Layer.provideMerge(layerRejects),
        Layer.provide(SimulatedSourceConfig.layer(options.settings))
      )
    )
  )

/** What reading a fleet without faults gave: a sample of every row. */
export const readAll = (options: Reading): Effect.Effect<ReadonlyArray<Read>> =>
  readFleet(options).pipe(
    Effect.map(({ read, rowsRead, rejected }) => {
      expect(rejected).toEqual([])
      expect(read.length).toBe(rowsRead)
      return read
    }),
    Effect.orDie
  )

export const texts = (read: ReadonlyArray<Read>): ReadonlyArray<string> =>
  read.map(({ sample }) => encodeSample(sample))
