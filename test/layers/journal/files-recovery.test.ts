/** What of a journal in files is there after crashes, damage, and with a disk that fails. */
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import * as Files from "../../../src/layers/Files.ts"
import { Journal, JournalFailed, type OpenJournal } from "../../../src/layers/Journal.ts"
import { FileJournalConfig, layerFiles } from "../../../src/layers/journal/files.ts"
import { CrashDisk, type Fault } from "../CrashDisk.ts"
import { temporaryDirectory } from "../Directories.ts"

const withJournal = <A, E>(
  directory: string,
  use: (journal: OpenJournal<string, string>) => Effect.Effect<A, E>,
  files = Files.layerNode
) =>
  Effect.flatMap(Journal, ({ open }) => Effect.flatMap(open("facts"), use)).pipe(
    Effect.scoped,
    Effect.provide(Layer.provide(layerFiles, [FileJournalConfig.layer({ directory }), files]))
  )

const contentOf = (directory: string) => withJournal(directory, (journal) => journal.content)

const copyInto = (from: string, to: string): void =>
  cpSync(from, to, { recursive: true, filter: (path) => !basename(path).startsWith("journal.lock") })

/** A folder with a journal as a kill leaves it, or closed cleanly; and its only file. */
const written = (how: "killed" | "closed") =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const killed = yield* temporaryDirectory
    yield* withJournal(directory, (journal) =>
      Effect.gen(function* () {
        yield* journal.append(["gone"])
        yield* journal.snapshot("snapshot ü")
        yield* journal.append(["a", "bb"])
        yield* journal.append(["ccc", ""])
        copyInto(directory, killed)
      })
    )
    const left = how === "killed" ? killed : directory
    const [name] = readdirSync(left).filter((name) => name.startsWith("facts."))
    return { directory: left, file: join(left, name!) }
  })

const whole = { snapshot: "snapshot ü", entries: ["a", "bb", "ccc", ""] }
const withoutLast = { snapshot: "snapshot ü", entries: ["a", "bb"] }

describe("a journal in files", () => {
  it.scoped("cuts an append that was torn, at whatever byte, and nothing else", () =>
    Effect.gen(function* () {
      const { directory, file } = yield* written("killed")
      const bytes = readFileSync(file)
      const last = bytes.lastIndexOf(Buffer.from([0xd7, 0x4a, 0x4e, 0x4c]))
      for (let end = last; end <= bytes.length; end++) {
        writeFileSync(file, bytes.subarray(0, end))
        const copy = yield* temporaryDirectory
        copyInto(directory, copy)
        expect(yield* contentOf(copy)).toEqual(end === bytes.length ? whole : withoutLast)
      }
    })
  )

  for (const how of ["killed", "closed"] as const) {
    it.scoped(`finds a bit that is wrong in any byte of a file that was ${how}`, () =>
      Effect.gen(function* () {
        const { directory, file } = yield* written(how)
        const bytes = readFileSync(file)
        let refusals = 0
        for (let position = 0; position < bytes.length; position++) {
          const wrong = Buffer.from(bytes)
          wrong[position]! ^= 1 << (position % 8)
          const copy = yield* temporaryDirectory
          writeFileSync(file, wrong)
          copyInto(directory, copy)
          const outcome = yield* Effect.either(contentOf(copy))
          if (outcome._tag === "Right") expect(outcome.right).toEqual(how === "killed" ? withoutLast : whole)
          else {
            refusals++
            expect(outcome.left).toBeInstanceOf(JournalFailed)
            expect(outcome.left.problem).toMatch(/facts\.\d+ is damaged at byte \d+/)
          }
        }
        expect(refusals).toBeGreaterThan(bytes.length / 2)
      })
    )
  }

  const faults: ReadonlyArray<Fault> = [
    { operation: "write", code: "ENOSPC", share: 0.5 },
    { operation: "datasync", code: "EIO" },
    { operation: "rename", code: "EIO" },
    { operation: "syncDirectory", code: "EIO" }
  ]
  for (const fault of faults) {
    it.scoped(`has what it took and nothing of what it refused where ${fault.operation} fails`, () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const powerless = yield* temporaryDirectory
        const disk = new CrashDisk(() => true)
        let expected = { snapshot: "first" as string | undefined, entries: ["0"] }
        yield* withJournal(
          directory,
          (journal) =>
            Effect.gen(function* () {
              yield* journal.snapshot("first")
              yield* journal.append(["0"])
              disk.fault = (operation) => (operation === fault.operation ? fault : undefined)
              for (const entry of ["1", "2"]) {
                const outcome = yield* Effect.either(journal.append([entry]))
                if (outcome._tag === "Right") expected.entries.push(entry)
                else expect(outcome.left.problem).toContain(fault.code)
              }
              const refused = yield* Effect.flip(journal.snapshot("second"))
              expect(refused.problem).toContain(fault.code)
              expect(yield* journal.content).toEqual(expected)
              disk.fault = () => undefined
              yield* journal.append(["3"])
              expected = { ...expected, entries: [...expected.entries, "3"] }
              disk.crashInto(powerless)
            }),
          disk.layer
        )
        expect(yield* contentOf(directory)).toEqual(expected)
        expect(yield* contentOf(powerless)).toEqual(expected)
      })
    )
  }

  it.scoped(
    "has entries that waited for no sync on the disk a second later, and before that after a kill",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const killed = yield* temporaryDirectory
        const early = yield* temporaryDirectory
        const late = yield* temporaryDirectory
        const disk = new CrashDisk(() => false)
        let syncs = 0
        yield* withJournal(
          directory,
          (journal) =>
            Effect.gen(function* () {
              disk.fault = (operation) => {
                if (operation === "datasync") syncs++
                return undefined
              }
              yield* journal.append(["1"], { sync: false })
              copyInto(directory, killed)
              disk.crashInto(early)
              expect(syncs).toBe(0)
              yield* TestClock.adjust("1 second")
              while (syncs === 0) yield* Effect.yieldNow()
              yield* journal.append(["2"])
              disk.crashInto(late)
            }),
          disk.layer
        )
        expect((yield* contentOf(killed)).entries).toEqual(["1"])
        expect((yield* contentOf(early)).entries).toEqual([])
        expect((yield* contentOf(late)).entries).toEqual(["1", "2"])
      })
  )

  it.scoped("is refused to a second process", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const failed = yield* withJournal(directory, () => Effect.flip(contentOf(directory)))
      expect(failed.message).toContain(directory)
      expect(failed.message).toContain("another process")
    })
  )
})
