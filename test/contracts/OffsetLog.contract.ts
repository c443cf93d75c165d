/** What every offset log promises. The layer is built anew for each test. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, type Layer, TestClock } from "effect"
import { OffsetLog, type RecordRun, recordBytes, runBytes } from "../../src/layers/OffsetLog.ts"
import { offsetOf, ProducerId, type SourcePosition, sequenceOf } from "../../src/protocol/Log.ts"

const everything = { recordsMax: 1_000, bytesMax: 1_000_000 }

/** A payload that tells where it stands. */
const payload = (n: number, size = 2): Uint8Array => new Uint8Array(size).fill(n % 256)
const anonymous = (first: number, count: number, size?: number): RecordRun => ({
  payloads: Array.from({ length: count }, (_, index) => payload(first + index, size)),
  producer: null
})
const produced = (id: string, firstSequence: number, count: number): RecordRun => ({
  payloads: Array.from({ length: count }, (_, index) => payload(firstSequence + index)),
  producer: {
    id: ProducerId.make(id),
    firstSequence: sequenceOf(firstSequence),
    positions: Array.from({ length: count }, (_, index) =>
      index % 2 === 0 ? (`${id} ${firstSequence + index}` as SourcePosition) : null
    )
  }
})

/** A record by itself: what a log keeps, however it cuts it into runs. */
export interface LoneRecord {
  readonly payload: Uint8Array
  readonly producer: {
    readonly id: string
    readonly sequence: number
    readonly position: string | null
  } | null
  readonly bytes: number
}

export const recordsOf = (runs: ReadonlyArray<RecordRun>): ReadonlyArray<LoneRecord> =>
  runs.flatMap((run) =>
    run.payloads.map((payload, index) => ({
      // Whatever stands behind it, a payload is its bytes.
      payload: Uint8Array.from(payload),
      producer: run.producer && {
        id: run.producer.id,
        sequence: run.producer.firstSequence + index,
        position: run.producer.positions[index] ?? null
      },
      bytes: recordBytes(run, index)
    }))
  )

export const offsetLogContract = <E>(name: string, layer: Layer.Layer<OffsetLog, E>): void => {
  const test = (guarantee: string, body: (log: OffsetLog["Type"]) => Effect.Effect<void, unknown>) =>
    it.effect(guarantee, () => Effect.provide(Effect.flatMap(OffsetLog, body), layer))

  describe(`${name}, an offset log,`, () => {
    test("says of each segment when its newest record came", (log) =>
      Effect.gen(function* () {
        yield* TestClock.setTime(5_000)
        yield* log.append([anonymous(0, 1)])
        yield* TestClock.setTime(9_000)
        yield* log.append([anonymous(1, 1)])
        expect((yield* log.bounds).segments).toMatchObject([{ next: 2, newestMs: 9_000 }])
      }))
    test("is empty at first, and reads nothing", (log) =>
      Effect.gen(function* () {
        expect(yield* log.bounds).toEqual({ oldest: 0, next: 0, bytes: 0, segments: [] })
        expect(yield* log.read(offsetOf(0), everything)).toEqual({ firstOffset: 0, runs: [] })
        expect(log.logId.length).toBeGreaterThan(0)
      }))

    test("reads what was appended, in order, under offsets that start at 0 and are dense", (log) =>
      Effect.gen(function* () {
        const runs = [produced("a", 7, 3), anonymous(0, 2), produced("b", 0, 1), produced("a", 10, 2)]
        yield* log.append(runs.slice(0, 2))
        yield* log.append(runs.slice(2))
        const slice = yield* log.read(offsetOf(0), everything)
        expect(slice.firstOffset).toBe(0)
        expect(recordsOf(slice.runs)).toEqual(recordsOf(runs))
        expect((yield* log.bounds).next).toBe(8)
      }))

    test("reads from the middle of a run, with the sequences and positions that belong to it", (log) =>
      Effect.gen(function* () {
        const run = produced("a", 100, 10)
        yield* log.append([run])
        const slice = yield* log.read(offsetOf(4), { ...everything, recordsMax: 3 })
        expect(slice.firstOffset).toBe(4)
        expect(recordsOf(slice.runs)).toEqual(recordsOf([run]).slice(4, 7))
      }))

    test("reads up to the bytes that are asked for, and one record whatever its size", (log) =>
      Effect.gen(function* () {
        const runs = [anonymous(0, 3, 100), anonymous(3, 3, 10)]
        yield* log.append(runs)
        const sizes = recordsOf(runs).map((record) => record.bytes)
        const read = (from: number, bytesMax: number) =>
          Effect.map(
            log.read(offsetOf(from), { recordsMax: 10, bytesMax }),
            ({ runs }) => recordsOf(runs).length
          )
        expect(yield* read(0, 1)).toBe(1)
        expect(yield* read(0, sizes[0]! + sizes[1]! - 1)).toBe(1)
        expect(yield* read(0, sizes[0]! + sizes[1]!)).toBe(2)
        expect(yield* read(2, sizes[2]! + sizes[3]!)).toBe(2)
      }))

    test("reads nothing at its end", (log) =>
      Effect.gen(function* () {
        yield* log.append([anonymous(0, 3)])
        expect(yield* log.read(offsetOf(3), everything)).toEqual({ firstOffset: 3, runs: [] })
      }))

    test("knows its size, by segments and in all", (log) =>
      Effect.gen(function* () {
        const runs = Array.from({ length: 20 }, (_, index) => anonymous(index * 5, 5))
        yield* Effect.forEach(runs, (run) => log.append([run]))
        const { bytes, segments, next } = yield* log.bounds
        expect(bytes).toBe(runs.reduce((sum, run) => sum + runBytes(run), 0))
        expect(segments.reduce((sum, segment) => sum + segment.bytes, 0)).toBe(bytes)
        expect(segments.at(-1)!.next).toBe(next)
      }))

    test("drops whole segments below an offset, nothing at or above it, and starts a read behind them", (log) =>
      Effect.gen(function* () {
        const runs = Array.from({ length: 20 }, (_, index) => anonymous(index * 5, 5))
        yield* Effect.forEach(runs, (run) => log.append([run]))
        const { segments } = yield* log.bounds
        const [first] = segments
        expect(segments.length, "the layer under test has small segments").toBeGreaterThan(2)
        const kept = yield* log.dropBefore(offsetOf(first!.next - 1))
        expect(kept.oldest).toBe(0)
        const dropped = yield* log.dropBefore(first!.next)
        expect(dropped).toEqual(yield* log.bounds)
        expect(dropped.oldest).toBe(first!.next)
        expect(dropped.segments).toEqual(segments.slice(1))
        const slice = yield* log.read(offsetOf(0), everything)
        expect(slice.firstOffset).toBe(first!.next)
        expect(recordsOf(slice.runs)).toEqual(recordsOf(runs).slice(first!.next))
      }))

    test("goes on from the same offset when all of it was dropped", (log) =>
      Effect.gen(function* () {
        yield* log.append([anonymous(0, 7)])
        expect(yield* log.dropBefore(offsetOf(7))).toEqual({ oldest: 7, next: 7, bytes: 0, segments: [] })
        yield* log.append([anonymous(7, 2)])
        const slice = yield* log.read(offsetOf(0), everything)
        expect(slice.firstOffset).toBe(7)
        expect(recordsOf(slice.runs)).toEqual(recordsOf([anonymous(7, 2)]))
      }))

    test("appends nothing where there is nothing to append", (log) =>
      Effect.gen(function* () {
        yield* log.append([])
        expect((yield* log.bounds).next).toBe(0)
      }))
  })
}
