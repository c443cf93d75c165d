/**
 * The log on segments through crashes at any operation on a file, with disks that fail, against a model: the appends that were
 * acknowledged, in order.
 */

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { offsetOf } from "../../src/protocol/Log.ts"
import { type LoneRecord, recordsOf } from "../contracts/OffsetLog.contract.ts"
import { CrashDisk } from "../layers/CrashDisk.ts"
import { temporaryDirectory } from "../layers/Directories.ts"
import {
  copyInto,
  type Log,
  openLog,
  produced,
  readEverything,
  type Settings
} from "../layers/offset-log/SegmentGround.ts"

/** A stream of numbers from a seed, below 1. */
const chance = (seed: number) => {
  let state = seed
  return (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const op = FastCheck.oneof(
  {
    weight: 6,
    arbitrary: FastCheck.record({
      op: FastCheck.constant("append" as const),
      count: FastCheck.integer({ min: 1, max: 4 }),
      size: FastCheck.integer({ min: 6, max: 200 })
    })
  },
  { weight: 2, arbitrary: FastCheck.record({ op: FastCheck.constant("sync" as const) }) },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      op: FastCheck.constant("drop" as const),
      share: FastCheck.double({ min: 0, max: 1, noNaN: true })
    })
  }
)
type Op = typeof op extends FastCheck.Arbitrary<infer A> ? A : never

const life = FastCheck.record({
  ops: FastCheck.array(op, { minLength: 1, maxLength: 14, size: "max" }),
  /** The operation on a file before which the power fails, or the process is killed. */
  crashAt: FastCheck.integer({ min: 1, max: 60 }),
  isKill: FastCheck.boolean(),
  seed: FastCheck.integer(),
  faultShare: FastCheck.constantFrom(0, 0, 0.05, 0.3)
})
type Life = typeof life extends FastCheck.Arbitrary<infer A> ? A : never

/** What is known of a log: what it was given, under which offset, and how much of that has to be there. */
class Model {
  /** Acknowledged records, by offset from 0 on. */
  records: Array<LoneRecord> = []
  /** What was tried at an offset and not acknowledged: a crash may leave it there. */
  tried = new Map<number, Array<ReadonlyArray<LoneRecord>>>()
  /** Ends of acknowledged appends: where a log may end. */
  ends = new Set<number>([0])
  /** Offset below which nothing is lost, whatever happens. */
  durable = 0
  /** How far it was dropped, at most. */
  dropped = 0
  sequence = 0

  copy(): Model {
    const copied = new Model()
    copied.records = [...this.records]
    copied.tried = new Map([...this.tried].map(([offset, tries]) => [offset, [...tries]]))
    copied.ends = new Set(this.ends)
    return Object.assign(copied, { durable: this.durable, dropped: this.dropped, sequence: this.sequence })
  }

  /** Checks what is there after a crash, and goes on from that. */
  recovered(
    found: ReadonlyMap<number, LoneRecord>,
    { oldest, next }: { oldest: number; next: number }
  ): void {
    expect(oldest).toBeLessThanOrEqual(this.dropped)
    expect([...found.keys()]).toEqual(Array.from({ length: next - oldest }, (_, index) => oldest + index))
    expect(next, "what was durable is there").toBeGreaterThanOrEqual(this.durable)
    const content = [...found.values()]
    const isKnown = (end: number, extra: ReadonlyArray<LoneRecord>): boolean =>
      this.ends.has(end) &&
      end + extra.length === next &&
      JSON.stringify([...this.records.slice(oldest, end), ...extra].slice(-content.length || undefined)) ===
        JSON.stringify(content)
    const candidates = [...this.tried].flatMap(([end, tries]) => tries.map((tried) => [end, tried] as const))
    const match = [[next, []] as const, ...candidates].find(([end, extra]) => isKnown(end, extra))
    expect(match, "it is a prefix of what was appended, in whole appends").toBeDefined()
    this.records = [...this.records.slice(0, match![0]), ...match![1]]
    this.ends = new Set([...this.ends].filter((end) => end <= match![0])).add(next)
    this.tried.clear()
    this.durable = next
  }
}

const act = (log: Log, model: Model, op: Op, fsync: string) =>
  Effect.gen(function* () {
    if (op.op === "append") {
      const run = produced(model.sequence, op.count, op.size)
      model.sequence += op.count
      const offset = model.records.length
      model.tried.set(offset, [...(model.tried.get(offset) ?? []), recordsOf([run])])
      const outcome = yield* Effect.either(log.append([run]))
      if (outcome._tag === "Left") return
      model.records.push(...recordsOf([run]))
      model.ends.add(model.records.length)
    } else if (op.op === "sync") {
      const outcome = yield* Effect.either(log.sync)
      if (outcome._tag === "Right" && fsync !== "never") model.durable = model.records.length
    } else {
      // All of it, now and then, so that the active segment is closed.
      const offset = Math.min(model.records.length, Math.floor(model.records.length * op.share * 1.5))
      model.dropped = Math.max(model.dropped, offset)
      const { oldest } = yield* log.dropBefore(offsetOf(offset))
      expect(oldest).toBeLessThanOrEqual(model.dropped)
    }
    if (fsync !== "never") model.durable = Math.max(model.durable, log.readableEnd())
    expect((yield* log.bounds).next).toBe(model.records.length)
  })

/** Lives a life from a folder on; answers the folder that its crash leaves, and what is known of it. */
const live = (
  from: string,
  model: Model,
  { ops, crashAt, isKill, seed, faultShare }: Life,
  settings: Settings
) =>
  Effect.gen(function* () {
    const fsync = settings.fsync!
    const directory = yield* temporaryDirectory
    const left = yield* temporaryDirectory
    copyInto(from, directory)
    const random = chance(seed)
    const disk = new CrashDisk(() => random() < 0.5)
    for (const name of readdirSync(directory)) {
      disk.adopt(join(directory, name), readFileSync(join(directory, name)))
    }
    let known: Model | undefined
    const crash = () => {
      if (known !== undefined) return
      known = model.copy()
      if (isKill) {
        copyInto(directory, left)
        known.durable = model.records.length
      } else disk.crashInto(left)
    }
    let operations = 0
    yield* Effect.scoped(
      Effect.gen(function* () {
        const log = yield* openLog(directory, settings, disk.layer)
        disk.onChange = () => {
          if (++operations === crashAt) crash()
        }
        disk.fault = (operation) => {
          // A segment that is never synced is damaged by a loss of power, where closing it failed to sync it, too.
          if (fsync === "never" && operation === "datasync") return undefined
          return random() < faultShare ? { operation, code: "EIO", share: random() } : undefined
        }
        for (const op of ops) {
          if (known !== undefined) break
          yield* act(log, model, op, fsync)
        }
        crash()
        disk.fault = () => undefined
      })
    )
    return { left, known: known! }
  })

for (const fsync of ["always", "interval", "never"] as const) {
  it.scoped.prop(
    `a log on segments (${fsync}), after any crashes, is a prefix of what was appended that has all that was promised`,
    {
      lives: FastCheck.array(life, { minLength: 1, maxLength: 4 }),
      segmentBytes: FastCheck.constantFrom(300, 1_000, 1_000_000)
    },
    ({ lives, segmentBytes }) =>
      Effect.gen(function* () {
        const settings = { fsync, segmentBytes, cacheBytes: 1_000 }
        let directory = yield* temporaryDirectory
        let model = new Model()
        for (const one of lives) {
          const { left, known } = yield* live(directory, model, one, settings)
          yield* Effect.scoped(
            Effect.gen(function* () {
              // Opened as it was left, and left so: the next life opens it again.
              const copy = yield* temporaryDirectory
              copyInto(left, copy)
              const log = yield* openLog(copy, settings)
              const found = yield* readEverything(log)
              known.recovered(found, yield* log.bounds)
            })
          )
          model = known
          directory = left
        }
      }).pipe(Effect.scoped),
    // Shrinking opens some hundred logs more, and would let the test run out of time before it says what failed.
    { fastCheck: { numRuns: 40, endOnFailure: true } }
  )
}
