import { appendFileSync, existsSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Option, TestClock } from "effect"
import { describe, expect } from "vitest"
import { Rejects } from "../../../src/layers/Rejects.ts"
import { positionBytesMax } from "../../../src/protocol/Limits.ts"
import { SourcePosition } from "../../../src/protocol/Log.ts"
import {
  goodRow,
  headerLine,
  openAndRead,
  openSource,
  readAll,
  readFile,
  rejectCounts,
  sourceOf,
  temporaryFile
} from "./csv-harness.ts"

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
const fileOf = (from: number, to: number) => `${headerLine}\n${range(from, to).map(goodRow).join("\n")}\n`
const values = ({ samples }: { readonly samples: ReadonlyArray<{ readonly value: number }> }) =>
  samples.map(({ value }) => value)
const times = ({ samples }: { readonly samples: ReadonlyArray<{ readonly timeNs: bigint }> }) =>
  samples.map(({ timeNs }) => timeNs)
const isRising = (given: ReadonlyArray<bigint>) => given.every((time, i) => i === 0 || time > given[i - 1]!)

/** Lets test time pass, and files be read, until a condition holds. */
const passTimeUntil = (isReached: Effect.Effect<boolean>) =>
  Effect.gen(function* () {
    while (!(yield* isReached)) {
      yield* TestClock.adjust(250)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
  })

const whileTimePasses = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* passTimeUntil(Effect.map(Fiber.poll(fiber), Option.isSome))
    return yield* Fiber.join(fiber)
  })

/** Puts a whole file in the place of another: nobody ever sees half of it. */
const replace = (path: string, content: string) => {
  writeFileSync(`${path}.new`, content)
  renameSync(`${path}.new`, path)
}

const captureLogs = () => {
  const lines: Array<string> = []
  return { lines, layer: Logger.add(Logger.make(({ message }) => void lines.push(String(message)))) }
}

const problemOf = (path: string) =>
  Effect.scoped(Layer.build(sourceOf({ path }))).pipe(
    Effect.flip,
    Effect.map((error) => error.message)
  )

describe("a source that can't be read stops at start with one line", () => {
  it.scoped("missing, a folder, empty, or without the columns it needs", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFile("")
      expect(yield* problemOf(`${path}.gone`)).toBe(`${path}.gone: no such file`)
      expect(yield* problemOf(dirname(path))).toBe(`${dirname(path)}: is a directory, expected a file`)
      expect(yield* problemOf("/dev/null")).toBe("/dev/null: is not a regular file")
      const problems = [
        ["", "is empty: expected a header"],
        ["\ufeff\r\n\n", "is empty: expected a header"],
        ["uuid,x\n", "has no column metric_name, value in its header (required: uuid, metric_name, value)"],
        ["uuid,UUID,metric_name,value\n", "has two columns named uuid in its header"],
        ['uuid,"metric_name,value\n', "has a stray or unclosed quote in its header"],
        ["x".repeat(2 ** 20 + 1), "has a header of more than 1048576 bytes"]
      ] as const
      for (const [content, problem] of problems) {
        writeFileSync(path, content)
        expect(yield* problemOf(path)).toBe(`${path}: ${problem}`)
      }
      writeFileSync(path, Buffer.from("\xff\xfeu\0u\0", "latin1"))
      expect(yield* problemOf(path)).toBe(`${path}: has a header that is not UTF-8`)
    })
  )
})

describe("a file is read", () => {
  it.effect("to its end, with BOM, CRLF, blank lines and no last line end", () =>
    Effect.gen(function* () {
      const content = `\r\n${headerLine}\r\n\r\n${range(0, 250).map(goodRow).join("\r\n\r\n")}`
      const read = yield* readFile(`\ufeff${content}`)
      expect(values(read)).toEqual(range(0, 250))
      expect(read.rowsRead).toBe(250)
      expect(read.rejected).toEqual({})
    })
  )

  it.effect("that has no rows: it ends with none", () =>
    Effect.gen(function* () {
      for (const content of [headerLine, `${headerLine}\n\n`]) {
        expect(yield* readFile(content)).toEqual({ samples: [], positions: [], rowsRead: 0, rejected: {} })
      }
    })
  )

  it.scoped("at most as many rows at a time as are asked for, and again nothing behind its end", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(fileOf(0, 10))
      yield* Effect.gen(function* () {
        const reader = yield* openSource()
        const sizes: Array<number> = []
        for (const rowsMax of [3, 0, 4, 9, 1, 1]) {
          const chunk = yield* reader.read(rowsMax)
          sizes.push(Option.match(chunk, { onNone: () => -1, onSome: ({ rowsRead }) => rowsRead }))
        }
        expect(sizes).toEqual([3, 1, 4, 2, -1, -1])
      }).pipe(Effect.provide(sourceOf({ path })))
    })
  )

  it.effect("with a row of 50 MB in it, which costs one row and no memory", () =>
    Effect.gen(function* () {
      const long = `t,m,0,d,u,m,h,,,,1,"${"x".repeat(50_000_000)}"`
      const content = Buffer.from(`${headerLine}\n${goodRow(0)}\n${long}\n${goodRow(1)}\n`)
      const before = process.memoryUsage().arrayBuffers
      const read = yield* readFile(content)
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024)
      expect(values(read)).toEqual([0, 1])
      expect(read.rejected).toEqual({ row_too_long: 1 })
    })
  )

  it.scoped("of any size, with a chunk of it in memory", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(headerLine)
      for (let n = 0; n < 50; n++) appendFileSync(path, fileOf(0, 2_000).slice(headerLine.length))
      yield* Effect.gen(function* () {
        const reader = yield* openSource()
        const before = process.memoryUsage().arrayBuffers
        let bytesMax = 0
        let samples = 0
        for (;;) {
          const chunk = yield* reader.read(1_000)
          if (Option.isNone(chunk)) break
          samples += chunk.value.samples.length
          bytesMax = Math.max(bytesMax, process.memoryUsage().arrayBuffers - before)
        }
        expect(samples).toBe(100_000)
        expect(bytesMax).toBeLessThan(6 * 1024 * 1024)
      }).pipe(Effect.provide(sourceOf({ path })))
    })
  )

  it.scoped("and each rejected row is told with its file, its line and its text", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(
        `${headerLine}\n${goodRow(0)}\n\n"x\n${goodRow(1).replace('"job', '"b=1,job')}\n`
      )
      yield* Effect.gen(function* () {
        expect(values(yield* openAndRead())).toEqual([0, 1])
        expect(yield* (yield* Rejects).byReason).toEqual([
          { reason: "unterminated_quote", count: 1, recent: [{ origin: `${path}:4`, input: '"x' }] },
          { reason: "bad_label", count: 1, recent: [{ origin: `${path}:5`, input: "b=1" }] }
        ])
      }).pipe(Effect.provide(sourceOf({ path })))
    })
  )
})

describe("a source that is opened at a position goes on with exactly the next row", () => {
  const bad = ['"x', "y", goodRow(7).replace("GPU-7", ""), ""]
  const content = `${headerLine}\n${range(0, 12)
    .map((n) => `${goodRow(n)}\n${bad[n % bad.length]}`)
    .join("\n")}\n`

  it.scoped("at every sample, in every pass, with rejected rows between", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(content)
      yield* Effect.gen(function* () {
        const whole = yield* openAndRead(undefined, 36)
        expect(values(whole)).toEqual([...range(0, 12), ...range(0, 12), ...range(0, 12)])
        expect(isRising(times(whole))).toBe(true)
        for (let i = 0; i < 30; i++) {
          const rest = yield* openAndRead(whole.positions[i], 5, 2)
          expect(values(rest).slice(0, 5)).toEqual(values(whole).slice(i + 1, i + 6))
          expect(rest.positions.slice(0, 5).map((p) => ({ ...JSON.parse(p), lastGivenNs: 0 }))).toEqual(
            whole.positions.slice(i + 1, i + 6).map((p) => ({ ...JSON.parse(p), lastGivenNs: 0 }))
          )
          expect(isRising([...times(whole).slice(0, i + 1), ...times(rest)])).toBe(true)
        }
      }).pipe(Effect.provide(sourceOf({ path, loop: true, timestamps: "now" })))
    })
  )

  it.scoped("and ends where nothing is behind it and it is read once", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(content)
      yield* Effect.gen(function* () {
        const whole = yield* openAndRead()
        for (let i = 0; i < whole.positions.length; i++) {
          expect(values(yield* openAndRead(whole.positions[i]))).toEqual(values(whole).slice(i + 1))
          expect(Buffer.byteLength(whole.positions[i]!)).toBeLessThan(positionBytesMax)
        }
      }).pipe(Effect.provide(sourceOf({ path })))
    })
  )

  it.scoped("after the file grew or moved; other content starts afresh, its times still rising", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(fileOf(0, 20))
      const source = sourceOf({ path, timestamps: "now" })
      const first = yield* openAndRead(undefined, 10, 10).pipe(Effect.provide(source))
      const position = first.positions[9]
      appendFileSync(path, `${goodRow(20)}\n`)
      const moved = join(dirname(path), "moved.csv")
      renameSync(path, moved)
      const grown = yield* openAndRead(position).pipe(
        Effect.provide(sourceOf({ path: moved, timestamps: "now" }))
      )
      expect(values(grown)).toEqual(range(10, 21))

      writeFileSync(path, fileOf(100, 140))
      const replaced = yield* openAndRead(position).pipe(Effect.provide(source))
      expect(values(replaced)).toEqual(range(100, 140))
      expect(times(replaced)[0]).toBeGreaterThan(times(first)[9]!)
    })
  )

  it.scoped("a file cut short behind its beginning, or a position of another source, starts afresh", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(fileOf(0, 200))
      const source = sourceOf({ path })
      const whole = yield* openAndRead().pipe(Effect.provide(source))
      truncateSync(path, fileOf(0, 100).length)
      const { lines, layer } = captureLogs()
      const cut = yield* openAndRead(whole.positions[150]).pipe(Effect.provide([source, layer]))
      expect(values(cut)).toEqual(range(0, 100))
      expect(lines).toEqual([`${path}: is shorter than what was read of it; reading it from the beginning`])
      for (const text of ["", "{}", '{"host":3}', whole.positions[0]!.replace('"row":3', '"row":-1')]) {
        const other = yield* openAndRead(SourcePosition.make(text)).pipe(Effect.provide(source))
        expect(values(other)).toEqual(range(0, 100))
      }
    })
  )
})

describe("a file that is read in a loop", () => {
  const looping = (path: string) => sourceOf({ path, loop: true })

  it.scoped("may vanish and come back with another header, a bad one at first", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(fileOf(0, 3))
      const { lines, layer } = captureLogs()
      yield* Effect.gen(function* () {
        const reader = yield* openSource()
        expect(values(yield* readAll(reader, 3))).toEqual([0, 1, 2])
        rmSync(path)
        const waiting = yield* Effect.fork(readAll(reader, 2))
        const warned = (times: number) => passTimeUntil(Effect.sync(() => lines.length === times))
        yield* warned(1)
        replace(path, "uuid,value\nGPU-1,7\n")
        yield* warned(2)
        replace(path, "uuid,value,metric_name,timestamp\nGPU-1,7,M,2025-07-18T20:42:34Z\n")
        expect(values(yield* whileTimePasses(Fiber.join(waiting)))).toEqual([7, 7])
        expect(lines.map((line) => line.replaceAll(path, "F"))).toEqual([
          "F: no such file; trying again until it can be read",
          expect.stringContaining("F: has no column metric_name in its header")
        ])
      }).pipe(Effect.provide([looping(path), layer]))
    })
  )

  it.scoped("and has no rows is waited for, with one warning", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(`${headerLine}\n`)
      const { lines, layer } = captureLogs()
      yield* Effect.gen(function* () {
        const reader = yield* openSource()
        const waiting = yield* Effect.fork(readAll(reader, 1))
        yield* whileTimePasses(Effect.sleep("10 seconds"))
        expect(lines).toEqual([`${path}: has no rows; waiting for some`])
        appendFileSync(path, `${goodRow(5)}\n`)
        expect(values(yield* whileTimePasses(Fiber.join(waiting)))).toEqual([5])
      }).pipe(Effect.provide([looping(path), layer]))
    })
  )

  it.scoped("and becomes shorter while it is read is read from its beginning", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFile(fileOf(0, 6_000))
      const { lines, layer } = captureLogs()
      yield* Effect.gen(function* () {
        const reader = yield* openSource()
        yield* readAll(reader, 1)
        truncateSync(path, fileOf(0, 100).length)
        const rest = yield* whileTimePasses(readAll(reader, 4_000))
        const restart = values(rest).indexOf(0)
        expect(values(rest).slice(restart, restart + 200)).toEqual([...range(0, 100), ...range(0, 100)])
        expect(yield* rejectCounts).toEqual({})
        expect(lines).toEqual([
          `${path}: has become shorter while it was read; opening it again`,
          `${path}: is shorter than what was read of it; reading it from the beginning`
        ])
      }).pipe(Effect.provide([looping(path), layer]))
    })
  )
})

it.scoped("a file that is read once and becomes shorter meanwhile is an error, not an end", () =>
  Effect.gen(function* () {
    const path = yield* temporaryFile(fileOf(0, 6_000))
    yield* Effect.gen(function* () {
      const reader = yield* openSource()
      yield* readAll(reader, 1)
      truncateSync(path, fileOf(0, 100).length)
      const error = yield* Effect.flip(readAll(reader))
      expect(error.message).toBe(`${path}: has become shorter while it was read`)
    }).pipe(Effect.provide(sourceOf({ path })))
  })
)

const realFile = fileURLToPath(
  new URL("../../../../shared/data/dcgm_metrics_20250718_134233.csv", import.meta.url)
)

it.scoped(
  "the real file is read whole: 2,470 samples of 247 GPUs and 10 metrics, with the labels no column has",
  (ctx) =>
    Effect.gen(function* () {
      if (!existsSync(realFile)) {
        console.warn(`SKIPPED: the real input is not there: ${realFile}`)
        return ctx.skip()
      }
      const { read, rejected } = yield* Effect.all({ read: openAndRead(), rejected: rejectCounts }).pipe(
        Effect.provide(sourceOf({ path: realFile }))
      )
      const { samples } = read
      expect(rejected).toEqual({})
      expect(samples.length).toBe(2_470)
      expect(new Set(samples.map(({ series }) => series.uuid)).size).toBe(247)
      expect(new Set(samples.map(({ series }) => series.metricName)).size).toBe(10)
      expect(new Set(samples.map(({ series }) => series.hostname)).size).toBe(31)
      expect(new Set(times(read)).size).toBe(4)
      const names = samples.map(({ series }) => series.labels.map(([name]) => name).join())
      expect(new Set(names)).toEqual(new Set(["DCGM_FI_DRIVER_VERSION,instance,job"]))
    })
)
