/** What a log on segments does when the disk fails: it refuses, says why, serves reads, and goes on once that is proven safe. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import * as Files from "../../../src/layers/Files.ts"
import { AppendFailed } from "../../../src/layers/OffsetLog.ts"
import { offsetOf } from "../../../src/protocol/Log.ts"
import { recordsOf } from "../../contracts/OffsetLog.contract.ts"
import { CrashDisk, type Fault } from "../CrashDisk.ts"
import { temporaryDirectory } from "../Directories.ts"
import { copyInto, type Log, openLog, produced, readEverything, withLog } from "./SegmentGround.ts"

const settings = { segmentBytes: 1_000 }

/** Appends a record each until one is refused; answers which. */
const held = (log: Log) => Effect.map(readEverything(log), (found) => [...found.values()])
const append = (log: Log, index: number) => log.append([produced(index, 1)])

const faults: ReadonlyArray<Fault> = [
  { operation: "write", code: "ENOSPC" },
  { operation: "write", code: "EIO", share: 0.5 },
  { operation: "write", code: "ENOSPC", share: 1 },
  { operation: "datasync", code: "EIO" },
  { operation: "create", code: "ENOSPC" },
  { operation: "syncDirectory", code: "EIO" },
  { operation: "rename", code: "EIO" }
]

/** Appends go on until this many segments were needed. */
const appends = 20

describe("a log on segments whose disk fails", () => {
  for (const fsync of ["always", "interval", "never"] as const) {
    for (const fault of faults) {
      const name = `${fault.operation} fails with ${fault.code}${fault.share ? ` after ${fault.share} of it` : ""}`
      it.scoped(
        `keeps what it took and refuses the rest until the disk is well again: ${fsync}, ${name}`,
        () =>
          Effect.gen(function* () {
            const directory = yield* temporaryDirectory
            const copy = yield* temporaryDirectory
            const disk = new CrashDisk(() => true)
            const taken: Array<number> = []
            yield* withLog(
              directory,
              { ...settings, fsync },
              (log) =>
                Effect.gen(function* () {
                  yield* Effect.forEach([0, 1, 2], (index) => append(log, index))
                  taken.push(0, 1, 2)
                  disk.fault = (operation) => (operation === fault.operation ? fault : undefined)
                  let refused = 0
                  for (let index = 3; index < appends; index++) {
                    const outcome = yield* Effect.either(append(log, index))
                    if (fsync === "interval" && fault.operation === "datasync") yield* Effect.ignore(log.sync)
                    if (outcome._tag === "Right") taken.push(index)
                    else {
                      refused++
                      expect(outcome.left).toBeInstanceOf(AppendFailed)
                      expect(outcome.left.problem).toContain(fault.code)
                      expect(outcome.left.problem).toContain(directory)
                      expect((yield* log.stats).problem).toContain(fault.code)
                    }
                    const readable = log.readableEnd()
                    expect(yield* held(log)).toEqual(
                      recordsOf(taken.slice(0, readable).map((taken) => produced(taken, 1)))
                    )
                  }
                  expect(refused > 0 || fsync === "never").toBe(true)
                  disk.fault = () => undefined
                  if (refused > 0) {
                    yield* TestClock.adjust("1 second")
                    while ((yield* log.stats).problem !== null) yield* Effect.yieldNow()
                  }
                  yield* append(log, appends)
                  taken.push(appends)
                  yield* log.sync
                  expect(yield* held(log)).toEqual(recordsOf(taken.map((index) => produced(index, 1))))
                  copyInto(directory, copy)
                }),
              disk.layer
            )
            for (const folder of [copy, directory]) {
              yield* withLog(folder, settings, (log) =>
                Effect.map(held(log), (found) =>
                  expect(found).toEqual(recordsOf(taken.map((index) => produced(index, 1))))
                )
              )
            }
          })
      )
    }
  }

  for (const operation of ["create", "syncDirectory", "rename"] as const) {
    it.scoped(
      `loses nothing of what is appended after a segment could not be begun: ${operation} fails`,
      () =>
        Effect.gen(function* () {
          const directory = yield* temporaryDirectory
          const copy = yield* temporaryDirectory
          const disk = new CrashDisk(() => true)
          yield* withLog(
            directory,
            {},
            (log) =>
              Effect.gen(function* () {
                yield* append(log, 0)
                disk.fault = (asked) => (asked === operation ? { operation, code: "EIO" } : undefined)
                expect((yield* log.dropBefore(offsetOf(1))).oldest).toBe(0)
                disk.fault = () => undefined
                yield* append(log, 1)
                copyInto(directory, copy)
              }),
            disk.layer
          )
          const found = yield* withLog(copy, {}, held)
          expect(found).toEqual(recordsOf([produced(0, 1), produced(1, 1)]))
        })
    )
  }

  it.scoped("acknowledges an append when it is synced, and not before", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const isAsked = yield* Deferred.make<void>()
      const mayEnd = yield* Deferred.make<void>()
      let isHeld = false
      const slow = Layer.provide(
        Layer.effect(
          Files.Files,
          Effect.map(Files.Files, (files) =>
            Files.Files.of({
              ...files,
              open: (path, mode) =>
                Effect.map(files.open(path, mode), (file) => ({
                  ...file,
                  datasync: Effect.suspend(() =>
                    isHeld
                      ? Deferred.succeed(isAsked, undefined).pipe(
                          Effect.zipRight(Deferred.await(mayEnd)),
                          Effect.zipRight(file.datasync)
                        )
                      : file.datasync
                  )
                }))
            })
          )
        ),
        Files.layerNode
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const log = yield* openLog(directory, {}, slow)
          yield* append(log, 0)
          isHeld = true
          const appending = yield* Effect.fork(append(log, 1))
          yield* Deferred.await(isAsked)
          expect(yield* Fiber.poll(appending)).toMatchObject({ _tag: "None" })
          expect(log.readableEnd()).toBe(1)
          expect((yield* held(log)).length).toBe(1)
          yield* Deferred.succeed(mayEnd, undefined)
          yield* Fiber.join(appending)
          expect(log.readableEnd()).toBe(2)
        })
      )
    })
  )
})
