/** Folders that are no good, files that broke, and threads that died. */
import { open, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Worker } from "node:worker_threads"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import Database from "libsql"
import { StoreUnavailable } from "../../../../src/layers/TelemetryStore.ts"
import { sampleAt } from "../../../Samples.ts"
import { temporaryDirectory, using } from "./Folder.ts"

/** Threads that were started, in their order: the one that writes, the one that reads, the one that streams. */
const started: Array<Worker> = []
const note = (worker: Worker) => started.push(worker)
beforeAll(() => void process.on("worker", note))
afterAll(() => void process.off("worker", note))

const failure = (directory: string) =>
  Effect.map(Effect.flip(using(directory, (store) => store.ready)), ({ message }) => message)

describe("a folder that can't be used", () => {
  it.live("is named, with what is in the way", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = join(directory, "telemetry.sqlite")
      yield* Effect.promise(() => writeFile(file, "not a database ".repeat(1_000)))
      expect(yield* failure(directory)).toBe(`${file}: file is not a database`)
      expect(yield* failure(join(file, "below"))).toMatch(
        /below\/telemetry.sqlite: the folder can't be made: ENOTDIR/
      )
    }).pipe(Effect.scoped)
  )

  it.live("holds the file of another program, or of a newer version, which stays as it is", () =>
    Effect.gen(function* () {
      for (const [sql, problem] of [
        ["CREATE TABLE other (a)", "it is a database of another program"],
        [
          "CREATE TABLE other (a); PRAGMA application_id = 0x47505554; PRAGMA user_version = 2",
          "a newer version of this program made it (its tables have version 2)"
        ]
      ] as const) {
        const directory = yield* temporaryDirectory
        const file = join(directory, "telemetry.sqlite")
        const made = new Database(file)
        made.exec(sql)
        made.close()
        expect(yield* failure(directory)).toBe(`${file}: ${problem}`)
        const left = new Database(file)
        expect(left.prepare("SELECT name FROM sqlite_schema").raw().all()).toEqual([["other"]])
        expect(left.prepare("PRAGMA journal_mode").raw().all()).toEqual([["delete"]])
        left.close()
      }
    }).pipe(Effect.scoped)
  )

  it.live("is one that this process uses already", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* using(directory, () =>
        Effect.map(failure(directory), (message) =>
          expect(message).toBe(`${join(directory, "telemetry.sqlite")}: another process uses this folder`)
        )
      )
      yield* using(directory, (store) => store.ready)
    }).pipe(Effect.scoped)
  )
})

describe("a file that broke", () => {
  const batch = Array.from({ length: 5_000 }, (_, i) => sampleAt(i, { uuid: `GPU-${i % 7}` }))

  it.live("fails what would need the broken part, and says so", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* using(directory, (store) => store.write(batch))
      yield* Effect.promise(async () => {
        const file = await open(join(directory, "telemetry.sqlite"), "r+")
        const { size } = await file.stat()
        for (let at = 15 * 4_096; at < size; at += 4_096)
          await file.write(Buffer.alloc(4_096, 0xa5), 0, 4_096, at)
        await file.close()
      })
      const problem = yield* Effect.flip(
        using(directory, (store) => Stream.runDrain(store.samples({ order: "asc" })))
      )
      expect(problem.message).toMatch(/telemetry.sqlite: .*malformed/)
    }).pipe(Effect.scoped)
  )

  it.live("is refused where its end is missing", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* using(directory, (store) => store.write(batch))
      yield* Effect.promise(() => truncate(join(directory, "telemetry.sqlite"), 40_000))
      expect(yield* failure(directory)).toMatch(/telemetry.sqlite: .*malformed/)
    }).pipe(Effect.scoped)
  )
})

describe("a thread that died", () => {
  it.live("fails what it was asked and what it is asked, and does not keep the store from closing", () =>
    Effect.gen(function* () {
      for (const victim of [0, 1, 2]) {
        const directory = yield* temporaryDirectory
        started.length = 0
        const outcomes = yield* using(directory, (store) =>
          Effect.gen(function* () {
            yield* store.write([sampleAt(0)])
            const asks = [
              Effect.asVoid(store.write([sampleAt(1)])),
              Effect.asVoid(store.metricNames(Option.none())),
              Stream.runDrain(store.samples({ order: "asc" }))
            ]
            // It stops at once, and is gone a little later.
            const gone = started[victim]!.terminate()
            const open = yield* Effect.flip(asks[victim]!)
            yield* Effect.promise(() => gone)
            return [
              open,
              yield* Effect.flip(asks[victim]!),
              yield* victim === 2 ? Effect.succeed(undefined) : Effect.flip(store.ready)
            ]
          })
        )
        for (const outcome of outcomes) {
          if (outcome !== undefined) expect(outcome).toBeInstanceOf(StoreUnavailable)
        }
        expect(outcomes[1]!.message).toMatch(/telemetry.sqlite: its database thread has ended/)
      }
    }).pipe(Effect.scoped)
  )
})
