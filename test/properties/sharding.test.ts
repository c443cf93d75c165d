/** Several streamers of one file: every row has one owner, who alone reads it and counts it, whatever any of them does. */
import { it } from "@effect/vitest"
import { Effect, FastCheck, Logger, LogLevel } from "effect"
import { expect } from "vitest"
import * as Rejects from "../../src/layers/Rejects.ts"
import type { SourcePosition } from "../../src/protocol/Log.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import { formatShard, type Shard, shardsOf, wholeSource } from "../../src/protocol/Shard.ts"
import { openSource, readAll, sourceOf, temporaryFile } from "../layers/telemetry-source/csv-harness.ts"
import { maxRowBytes } from "./CsvRows.ts"
import { bytesOf, shardedFile } from "./ShardedFile.ts"
import { withSoloClock } from "./SoloClock.ts"

const fastCheck = { numRuns: 60 }

/** What was rejected, where: a text for each. */
const rejected = Effect.gen(function* () {
  const byReason = yield* (yield* Rejects.Rejects).byReason
  return byReason.flatMap(({ reason, recent }) =>
    recent.map(({ origin, input }) => `${reason} ${origin} ${input}`)
  )
})

/** What a reader of a shard gives, and rejects, with nobody beside it. */
const readShard = (
  path: string,
  shard: Shard,
  { rowsMax, from, samplesMax }: { rowsMax: number; from?: SourcePosition | undefined; samplesMax?: number }
) =>
  Effect.gen(function* () {
    const read = yield* readAll(yield* openSource(from, shard), samplesMax, rowsMax)
    return { ...read, rejected: yield* rejected }
  }).pipe(Effect.scoped, Effect.provide(sourceOf({ path, maxRowBytes })))

/** Owners by the words of the documentation: FNV-1a in numbers that do not overflow. */
const ownerOf = ({ series: { hostname, uuid } }: Sample, count: number): number => {
  let hash = 2_166_136_261n
  for (const byte of Buffer.from(hostname === "" ? uuid : hostname))
    hash = ((hash ^ BigInt(byte)) * 16_777_619n) % 2n ** 32n
  return Number(hash % BigInt(count))
}

it.effect.prop(
  "of any file, the streamers that share it read and reject together what one would, each row once and by its owner",
  { file: shardedFile },
  ({ file }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { count, rowsMax } = file
        const path = yield* temporaryFile(bytesOf(file))
        const whole = yield* readShard(path, wholeSource, { rowsMax })
        const parts = yield* Effect.forEach(shardsOf(count, "host"), (shard) =>
          readShard(path, shard, { rowsMax })
        )
        parts.forEach((part, index) => {
          expect(part.samples).toEqual(whole.samples.filter((sample) => ownerOf(sample, count) === index))
        })
        expect(parts.flatMap((part) => part.rejected).sort()).toEqual([...whole.rejected].sort())
        expect(parts.reduce((sum, part) => sum + part.rowsRead, 0)).toBe(whole.rowsRead)
      })
    ),
  { fastCheck }
)

it.effect.prop(
  "in a loop, streamers that go through as many rows as one read exactly what that reads of their hosts: each as often",
  { file: shardedFile.filter(({ slots }) => slots.length > 0), rows: FastCheck.nat(100) },
  ({ file, rows }) =>
    Effect.gen(function* () {
      const { count, rowsMax } = file
      const path = yield* temporaryFile(bytesOf(file))
      const read = (shard: Shard) =>
        Effect.flatMap(openSource(undefined, shard), (reader) =>
          readAll(reader, undefined, rowsMax, rows)
        ).pipe(Effect.scoped, Effect.provide(sourceOf({ path, maxRowBytes, loop: true })), withSoloClock)
      const whole = yield* read(wholeSource)
      const parts = yield* Effect.forEach(shardsOf(count, "host"), read)
      parts.forEach((part, index) => {
        expect(part.samples).toEqual(whole.samples.filter((sample) => ownerOf(sample, count) === index))
      })
      expect(parts.reduce((sum, part) => sum + part.rowsRead, 0)).toBe(rows)
    }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.Error)),
  { fastCheck: { numRuns: 25 } }
)

it.effect.prop(
  "streamers that do not share read everything each",
  { file: shardedFile },
  ({ file }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const path = yield* temporaryFile(bytesOf(file))
        const { positions: _, ...whole } = yield* readShard(path, wholeSource, file)
        for (const shard of shardsOf(Math.min(file.count, 3), "none")) {
          const { positions: _, ...part } = yield* readShard(path, shard, file)
          expect(part).toEqual(whole)
        }
      })
    ),
  { fastCheck: { numRuns: 20 } }
)

it.effect.prop(
  "a streamer that resumes behind any of its samples reads and rejects exactly the rest of what is its own",
  { file: shardedFile, at: FastCheck.nat(), index: FastCheck.nat() },
  ({ file, at, index }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { count, rowsMax } = file
        const path = yield* temporaryFile(bytesOf(file))
        const shard = shardsOf(count, "host")[index % count]!
        const whole = yield* readShard(path, shard, { rowsMax: 1_000 })
        if (whole.samples.length === 0) return
        const last = at % whole.samples.length
        const before = yield* readShard(path, shard, { rowsMax, samplesMax: last + 1 })
        const after = yield* readShard(path, shard, { rowsMax, from: before.positions[last] })
        expect([...before.samples.slice(0, last + 1), ...after.samples]).toEqual(whole.samples)
        expect(after.positions).toEqual(whole.positions.slice(last + 1))
        // What was rejected behind the position, and read already, is read and rejected again.
        expect([...new Set([...before.rejected, ...after.rejected])].sort()).toEqual(
          [...whole.rejected].sort()
        )
      })
    ),
  { fastCheck }
)

const anyShard = FastCheck.record({
  count: FastCheck.integer({ min: 1, max: 4 }),
  index: FastCheck.nat(),
  by: FastCheck.constantFrom("host" as const, "none" as const)
}).map(({ count, index, by }): Shard => ({ count, index: index % count, by }))

it.effect.prop(
  "a position of another shard is refused, and both are named",
  { of: anyShard, as: anyShard },
  ({ of, as }) =>
    Effect.gen(function* () {
      const rows = Array.from({ length: 12 }, (_, n) => `M,GPU-${n},h-${n},1`)
      const path = yield* temporaryFile(["metric_name,uuid,Hostname,value", ...rows, ""].join("\n"))
      const settings = { path, timestamps: "now" } as const
      yield* Effect.gen(function* () {
        const { positions } = yield* readAll(yield* openSource(undefined, of))
        if (positions.length === 0) return
        const opened = yield* Effect.either(openSource(positions[0], as))
        if (formatShard(of) === formatShard(as)) return expect(opened._tag).toBe("Right")
        expect(opened).toMatchObject({ _tag: "Left", left: { _tag: "SourceError", source: path } })
        const { problem } = (opened as Extract<typeof opened, { _tag: "Left" }>).left
        expect(problem).toContain(`as shard ${formatShard(of)} `)
        expect(problem).toContain(`as ${formatShard(as)}:`)
      }).pipe(Effect.provide(sourceOf(settings)))
    }).pipe(Effect.scoped),
  { fastCheck: { numRuns: 60 } }
)

it.effect.prop(
  "with the time of reading, no two samples of a file have the same time, whoever reads them and how often",
  {
    count: FastCheck.integer({ min: 2, max: 11 }),
    by: FastCheck.constantFrom("host" as const, "none" as const)
  },
  ({ count, by }) =>
    Effect.gen(function* () {
      const rows = Array.from({ length: 30 }, (_, n) => `M,GPU-1,h-${n % 5},${n}`)
      const path = yield* temporaryFile(["metric_name,uuid,Hostname,value", ...rows, ""].join("\n"))
      const times = yield* Effect.forEach(shardsOf(count, by), (shard) =>
        Effect.gen(function* () {
          // The clock of tests stands still: every run reads in the same instant as those before it.
          const first = yield* readAll(yield* openSource(undefined, shard), 3, 1)
          const second = yield* readAll(yield* openSource(first.positions.at(-1), shard))
          return [...first.samples, ...second.samples].map(({ timeNs }) => timeNs)
        })
      ).pipe(Effect.scoped, Effect.provide(sourceOf({ path, timestamps: "now" })))
      expect(times.flat()).toHaveLength(by === "none" ? 30 * count : 30)
      expect(new Set(times.flat()).size).toBe(times.flat().length)
    }).pipe(Effect.scoped),
  { fastCheck: { numRuns: 20 } }
)
