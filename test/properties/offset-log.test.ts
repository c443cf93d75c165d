/** The offset log under any operations, against a model: a list of records and where it begins. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck, Layer } from "effect"
import * as Files from "../../src/layers/Files.ts"
import { OffsetLog, type RecordRun } from "../../src/layers/OffsetLog.ts"
import { layerMemory, MemoryLogConfig } from "../../src/layers/offset-log/memory.ts"
import { layerSegments, SegmentLogConfig } from "../../src/layers/offset-log/segments.ts"
import { offsetOf, ProducerId, type SourcePosition, sequenceOf } from "../../src/protocol/Log.ts"
import { type LoneRecord, recordsOf } from "../contracts/OffsetLog.contract.ts"
import { inDirectory } from "../layers/Directories.ts"

const run: FastCheck.Arbitrary<RecordRun> = FastCheck.tuple(
  FastCheck.array(FastCheck.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 12 }),
  FastCheck.option(FastCheck.tuple(FastCheck.constantFrom("a", "b"), FastCheck.nat(1_000)))
).map(([payloads, producer]) => ({
  payloads,
  producer: producer && {
    id: ProducerId.make(producer[0]),
    firstSequence: sequenceOf(producer[1]),
    positions: payloads.map((payload, index) =>
      payload.length % 3 === 0 ? null : (`position ${index}` as SourcePosition)
    )
  }
}))

/** A place in the log or a little beyond an end of it, as a share of what there is. */
const place = FastCheck.double({ min: 0, max: 1, noNaN: true })

const op = FastCheck.oneof(
  FastCheck.record({
    op: FastCheck.constant("append" as const),
    runs: FastCheck.array(run, { maxLength: 4 })
  }),
  FastCheck.record({
    op: FastCheck.constant("read" as const),
    place,
    recordsMax: FastCheck.integer({ min: 1, max: 60 }),
    bytesMax: FastCheck.integer({ min: 1, max: 5_000 })
  }),
  FastCheck.record({ op: FastCheck.constant("drop" as const), place })
)
type Op = typeof op extends FastCheck.Arbitrary<infer A> ? A : never

class Model {
  records: ReadonlyArray<LoneRecord> = []
  oldest = 0

  /** The records from a place on that fit, the first whatever its size. */
  read(from: number, recordsMax: number, bytesMax: number): ReadonlyArray<LoneRecord> {
    const candidates = this.records.slice(Math.max(from, this.oldest)).slice(0, recordsMax)
    let bytes = 0
    const tooMuch = candidates.findIndex((record, index) => {
      bytes += record.bytes
      return index > 0 && bytes > bytesMax
    })
    return tooMuch === -1 ? candidates : candidates.slice(0, tooMuch)
  }

  bytesFrom(from: number, to = this.records.length): number {
    return this.records.slice(from, to).reduce((sum, record) => sum + record.bytes, 0)
  }
}

const agree = (model: Model, log: OffsetLog["Type"]) =>
  Effect.map(log.bounds, ({ oldest, next, bytes, segments }) => {
    expect([oldest, next]).toEqual([model.oldest, model.records.length])
    expect(bytes).toBe(model.bytesFrom(model.oldest))
    let from: number = oldest
    for (const segment of segments) {
      expect(segment.next).toBeGreaterThan(from)
      expect(segment.bytes).toBe(model.bytesFrom(from, segment.next))
      from = segment.next
    }
    expect(from).toBe(next)
  })

const act = (model: Model, log: OffsetLog["Type"], op: Op) =>
  Effect.gen(function* () {
    if (op.op === "append") {
      yield* log.append(op.runs)
      model.records = [...model.records, ...recordsOf(op.runs)]
      return
    }
    const at = Math.round(model.records.length * op.place)
    if (op.op === "read") {
      const slice = yield* log.read(offsetOf(at), op)
      expect(slice.firstOffset).toBe(Math.max(at, model.oldest))
      expect(recordsOf(slice.runs)).toEqual(model.read(at, op.recordsMax, op.bytesMax))
      return
    }
    const { segments } = yield* log.bounds
    const bounds = yield* log.dropBefore(offsetOf(at))
    expect(bounds.oldest).toBeLessThanOrEqual(Math.max(at, model.oldest))
    const wholly = segments.filter((segment) => segment.next <= at)
    expect(bounds.oldest).toBe(wholly.at(-1)?.next ?? model.oldest)
    model.oldest = bounds.oldest
  })

const layers = {
  "in memory": (segmentBytes: number) => Layer.provide(layerMemory, MemoryLogConfig.layer({ segmentBytes })),
  "in segments": (segmentBytes: number) => segments(segmentBytes, 1_000_000),
  "in segments, read from their files": (segmentBytes: number) => segments(segmentBytes, 0)
}

const segments = (segmentBytes: number, cacheBytes: number) =>
  inDirectory((directory) =>
    Layer.provide(layerSegments, [
      SegmentLogConfig.layer({ directory, segmentBytes, cacheBytes, fsync: "never" }),
      Files.layerNode
    ])
  )

describe("an offset log, after any operations,", () => {
  for (const [name, layer] of Object.entries(layers)) {
    it.effect.prop(
      `${name}, reads a slice of what was appended, drops nothing at or above the offset, and its sizes sum up`,
      {
        ops: FastCheck.array(op, { maxLength: 40, size: "max" }),
        segmentBytes: FastCheck.constantFrom(1, 1_000, 10_000)
      },
      ({ ops, segmentBytes }) =>
        Effect.gen(function* () {
          const log = yield* OffsetLog
          const model = new Model()
          for (const op of ops) {
            yield* act(model, log, op)
            yield* agree(model, log)
          }
        }).pipe(Effect.provide(Layer.orDie(layer(segmentBytes)))),
      { fastCheck: { numRuns: name === "in memory" ? 150 : 40 } }
    )
  }
})
