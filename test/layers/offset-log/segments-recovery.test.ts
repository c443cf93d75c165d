/** What of a log is there when it is opened again: after it was closed, after a crash, and after its files were damaged. */
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { ReadFailed } from "../../../src/layers/OffsetLog.ts"
import { LogDamaged, LogUnusable } from "../../../src/layers/offset-log/segments.ts"
import { offsetOf } from "../../../src/protocol/Log.ts"
import { recordsOf } from "../../contracts/OffsetLog.contract.ts"
import { temporaryDirectory } from "../Directories.ts"
import {
  copyInto,
  copyOf,
  flipBit,
  openLog,
  patch,
  produced,
  readEverything,
  segmentFiles,
  withLog
} from "./SegmentGround.ts"

/** Appends of a few records each, and the records by offset. */
const appends = [produced(0, 2), produced(2, 3), produced(5, 1), produced(6, 2)]
const records = recordsOf(appends)

/** A folder with a log of those appends, as a kill leaves it or closed cleanly. */
const written = (how: "killed" | "closed", settings = {}, runs = appends) =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const copy = yield* temporaryDirectory
    yield* withLog(directory, settings, (log) =>
      Effect.gen(function* () {
        for (const [index, run] of runs.entries()) {
          yield* TestClock.setTime(1_000 * (index + 1))
          yield* log.append([run])
        }
        copyInto(directory, copy)
      })
    )
    return how === "killed" ? copy : directory
  })

/** Opens a log and reads all of it. */
const reopened = (directory: string, settings = {}) =>
  withLog(directory, settings, (log) =>
    Effect.gen(function* () {
      const { recovery } = yield* log.stats
      const found = yield* readEverything(log)
      return { found: [...found.values()], offsets: [...found.keys()], recovery: recovery! }
    })
  )

const smallSegments = { segmentBytes: 150 }

describe("a log on segments, opened again,", () => {
  for (const how of ["killed", "closed"] as const) {
    it.scoped(`holds what it held, with its id, when it was ${how}`, () =>
      Effect.gen(function* () {
        for (const settings of [{}, smallSegments]) {
          const directory = yield* written(how, settings)
          const before = yield* withLog(directory, settings, (log) => Effect.succeed(log.logId))
          const { found, recovery } = yield* reopened(directory, settings)
          expect(found).toEqual(records)
          const bytes = records.reduce((sum, record) => sum + record.bytes, 0)
          expect(recovery).toMatchObject({ records: records.length, bytes, tornBytes: 0 })
          yield* withLog(directory, settings, (log) =>
            Effect.gen(function* () {
              expect(log.logId).toBe(before)
              yield* log.append([produced(8, 1)])
              expect((yield* log.bounds).next).toBe(9)
              expect(yield* log.offsetAt(2_500)).toBe(5)
            })
          )
        }
      })
    )
  }

  it.scoped("cuts an append that was torn, at whatever byte, and nothing else", () =>
    Effect.gen(function* () {
      const directory = yield* written("killed")
      const [file] = segmentFiles(directory)
      const whole = readFileSync(file!)
      const lastStart = whole.lastIndexOf(Buffer.from([0xd7, 0x42, 0x43, 0x48]))
      for (let end = lastStart; end <= whole.length; end++) {
        for (const rest of [0, 40]) {
          patch(file!, () => Buffer.concat([whole.subarray(0, end), Buffer.alloc(rest)]))
          const { found, recovery } = yield* reopened(yield* copyOf(directory))
          const isWhole = end === whole.length
          expect(found).toEqual(records.slice(0, isWhole ? 8 : 6))
          expect(recovery.tornBytes).toBe((isWhole ? 0 : end - lastStart) + rest)
        }
      }
    })
  )

  for (const how of ["killed", "closed"] as const) {
    it.scoped(
      `finds a bit that is wrong in any byte of a segment that was ${how}, and never gives other content`,
      () =>
        Effect.gen(function* () {
          const few = [produced(0, 1, 3, "s"), produced(1, 2, 3, "s"), produced(3, 1, 3, "s")]
          const records = recordsOf(few)
          const directory = yield* written(how, {}, few)
          const [file] = segmentFiles(directory)
          const size = readFileSync(file!).length
          let cuts = 0
          for (let position = 0; position < size; position++) {
            flipBit(file!, position)
            const outcome = yield* Effect.either(reopened(yield* copyOf(directory)))
            flipBit(file!, position)
            if (outcome._tag === "Left") {
              expect(outcome.left).toBeInstanceOf(LogDamaged)
              expect((outcome.left as LogDamaged).position).toBeLessThanOrEqual(position)
            } else {
              const { found, recovery } = outcome.right
              cuts++
              expect(recovery.tornBytes).toBeGreaterThanOrEqual(size - position)
              expect(found).toEqual(records.slice(0, found.length))
              // Closed cleanly, only the mark that says so can be lost; killed, the last append.
              expect(found.length).toBe(how === "closed" ? 4 : 3)
            }
          }
          expect(cuts).toBeGreaterThan(0)
          expect(cuts).toBeLessThan(size / 2)
        })
    )
  }

  it.scoped("names file, byte and record of damage, and leaves everything as it was", () =>
    Effect.gen(function* () {
      const directory = yield* written("closed")
      const [file] = segmentFiles(directory)
      flipBit(file!, 150)
      const before = readFileSync(file!)
      const failed = yield* Effect.flip(withLog(directory, {}, () => Effect.void))
      expect(failed).toMatchObject({ _tag: "LogDamaged", file, position: 44, offset: 0 })
      expect(failed.message).toContain("quarantine")
      expect(readFileSync(file!)).toEqual(before)
    })
  )

  it.scoped("takes the end of a file that was cut for damage where it was closed cleanly", () =>
    Effect.gen(function* () {
      const directory = yield* written("closed", smallSegments)
      const [first] = segmentFiles(directory)
      truncateSync(first!, readFileSync(first!).length - 30)
      const failed = yield* Effect.flip(reopened(directory, smallSegments))
      expect(failed).toBeInstanceOf(LogDamaged)
    })
  )

  it.scoped("misses a segment that is gone", () =>
    Effect.gen(function* () {
      const directory = yield* written("closed", smallSegments)
      rmSync(segmentFiles(directory)[1]!)
      const failed = yield* Effect.flip(reopened(directory, smallSegments))
      expect(failed).toMatchObject({ _tag: "LogDamaged" })
      expect(failed.message).toContain("missing")
    })
  )

  it.scoped("does without indexes that are missing or wrong, and makes them again", () =>
    Effect.gen(function* () {
      const directory = yield* written("closed", smallSegments)
      const indexes = readdirSync(directory).filter((name) => name.endsWith(".index"))
      expect(indexes.length).toBeGreaterThan(1)
      const [index] = indexes
      const whole = readFileSync(join(directory, index!))
      for (let position = 0; position < whole.length; position += 3) {
        flipBit(join(directory, index!), position)
        expect((yield* reopened(directory, smallSegments)).found).toEqual(records)
        expect(readFileSync(join(directory, index!))).toEqual(whole)
      }
      rmSync(join(directory, index!))
      patch(join(directory, indexes[1]!), (bytes) => bytes.subarray(0, 50))
      expect((yield* reopened(directory, smallSegments)).found).toEqual(records)
      expect(existsSync(join(directory, index!))).toBe(true)
    })
  )

  it.scoped("finds out whose it is from a segment where its id file is lost or wrong", () =>
    Effect.gen(function* () {
      const directory = yield* written("killed", smallSegments)
      const id = join(directory, "log.id")
      const whole = readFileSync(id)
      for (let position = 0; position < whole.length; position++) {
        flipBit(id, position)
        expect((yield* reopened(directory, smallSegments)).found).toEqual(records)
        expect(readFileSync(id)).toEqual(whole)
      }
      rmSync(id)
      expect((yield* reopened(directory, smallSegments)).found).toEqual(records)
    })
  )

  it.scoped("goes on behind what was dropped, and is another log once nothing is left of it", () =>
    Effect.gen(function* () {
      const directory = yield* written("closed", smallSegments)
      const logId = yield* withLog(directory, smallSegments, (log) =>
        Effect.as(log.dropBefore(offsetOf(8)), log.logId)
      )
      yield* withLog(directory, smallSegments, (log) =>
        Effect.gen(function* () {
          expect(log.logId).toBe(logId)
          expect(yield* log.bounds).toEqual({ oldest: 8, next: 8, bytes: 0, segments: [] })
        })
      )
      for (const file of segmentFiles(directory)) rmSync(file)
      yield* withLog(directory, smallSegments, (log) =>
        Effect.gen(function* () {
          expect(log.logId).not.toBe(logId)
          expect((yield* log.bounds).next).toBe(0)
        })
      )
    })
  )

  it.scoped("fails a read of a closed segment that is damaged, and is not opened with it the next time", () =>
    Effect.gen(function* () {
      const directory = yield* written("closed", smallSegments)
      const [first] = segmentFiles(directory)
      flipBit(first!, 120)
      yield* withLog(directory, smallSegments, (log) =>
        Effect.gen(function* () {
          const failed = yield* Effect.flip(readEverything(log))
          expect(failed).toBeInstanceOf(ReadFailed)
          expect(failed.message).toContain(`${first} is damaged at byte`)
        })
      )
      expect(yield* Effect.flip(reopened(directory, smallSegments))).toBeInstanceOf(LogDamaged)
    })
  )

  it.scoped("is refused to a second one, which is told the folder, until the first is closed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* openLog(directory)
          const failed = yield* Effect.flip(Effect.scoped(openLog(directory)))
          expect(failed).toBeInstanceOf(LogUnusable)
          expect(failed.message).toContain(directory)
          expect(failed.message).toContain("another process")
        })
      )
      yield* Effect.scoped(openLog(directory))
    })
  )
})

describe("a damaged log that is opened with quarantine", () => {
  const quarantined = (directory: string, settings = {}) =>
    reopened(directory, { ...settings, onDamage: "quarantine" as const })

  it.scoped("keeps what can be read, around what is lost, and the damaged file aside", () =>
    Effect.gen(function* () {
      for (const settings of [{}, smallSegments]) {
        const whole = yield* written("closed", settings)
        const files = segmentFiles(whole).length
        for (let place = 0; place < files; place++) {
          const size = readFileSync(segmentFiles(whole)[place]!).length
          for (let position = 0; position < size; position += 11) {
            const directory = yield* copyOf(whole)
            const file = segmentFiles(directory)[place]!
            flipBit(file, position)
            rmSync(file.replace(/log$/, "index"), { force: true })
            const { found, offsets } = yield* quarantined(directory, settings)
            expect(found).toEqual(offsets.map((offset) => records[offset]))
            // At most the append that is damaged is lost.
            expect(offsets.length).toBeGreaterThanOrEqual(records.length - 3)
            const isAside = readdirSync(directory).some((name) => name.includes(".log.damaged-"))
            expect(isAside).toBe(offsets.length < records.length || position < 44)
            const again = yield* reopened(directory, settings)
            expect(again.offsets).toEqual(offsets)
            yield* withLog(directory, settings, (log) =>
              Effect.gen(function* () {
                expect((yield* log.bounds).next).toBe(records.length)
                yield* log.append([produced(8, 1)])
              })
            )
            expect((yield* reopened(directory, settings)).offsets).toEqual([...offsets, 8])
          }
        }
      }
    })
  )

  it.scoped("answers a read from within what is lost with what comes next", () =>
    Effect.gen(function* () {
      const directory = yield* written("closed")
      const [file] = segmentFiles(directory)
      const second = readFileSync(file!).indexOf(Buffer.from([0xd7, 0x42, 0x43, 0x48]), 60)
      flipBit(file!, second + 70)
      yield* withLog(directory, { onDamage: "quarantine" }, (log) =>
        Effect.gen(function* () {
          const limits = { recordsMax: 100, bytesMax: 100_000 }
          const before = yield* log.read(offsetOf(0), limits)
          expect(recordsOf(before.runs)).toEqual(records.slice(0, 2))
          for (const from of [2, 3, 4, 5]) {
            const behind = yield* log.read(offsetOf(from), limits)
            expect(behind.firstOffset).toBe(5)
            expect(recordsOf(behind.runs)).toEqual(records.slice(5))
          }
        })
      )
    })
  )

  it.scoped("tells of a segment that is gone", () =>
    Effect.gen(function* () {
      const directory = yield* written("closed", smallSegments)
      const [, second, third] = segmentFiles(directory)
      rmSync(second!)
      const first = Number(/(\d+)\.log$/.exec(second!)![1])
      const next = Number(/(\d+)\.log$/.exec(third!)![1])
      const { offsets } = yield* quarantined(directory, smallSegments)
      expect(offsets).toEqual([...records.keys()].filter((offset) => offset < first || offset >= next))
    })
  )
})
