/** What is left in the folder by processes that were killed in the middle of writing. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { expect, it } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import { batchOf, batchSamples } from "./Batches.ts"
import { temporaryDirectory, using } from "./Folder.ts"

const program = fileURLToPath(new URL("writing.ts", import.meta.url))

/** Starts a process that writes from a batch on. */
const startWriting = (directory: string, first: number): ChildProcess =>
  spawn(process.execPath, ["--import", "tsx", program, directory, String(first)], {
    stdio: ["ignore", "pipe", "inherit"]
  })

/** The lines that a process says, as they come. */
const lines = (child: ChildProcess, onLine: (line: string) => void): void => {
  let rest = ""
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    const all = (rest + text).split("\n")
    rest = all.pop()!
    for (const line of all) onLine(line)
  })
}

/** Lets a process write from a batch on, and kills it once it has told of some; the batches that it told of. */
const writeUntilKilled = async (directory: string, first: number, toldMax: number) => {
  const child = startWriting(directory, first)
  const told: Array<number> = []
  lines(child, (line) => {
    told.push(Number(line))
    if (told.length >= toldMax) child.kill("SIGKILL")
  })
  await once(child, "close")
  return told
}

it.live(
  "every write that was reported is there, whole and once, however often the process is killed",
  () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const told: Array<number> = []
      for (let round = 0; round < 10; round++) {
        const first = round * 100_000
        told.push(...(yield* Effect.promise(() => writeUntilKilled(directory, first, 1 + round * 17))))
        yield* using(directory, (store) =>
          Effect.gen(function* () {
            const chunks = yield* Stream.runCollect(store.samples({ order: "asc" }))
            const found = Chunk.toReadonlyArray(chunks).flat()
            expect((yield* store.stats).samples).toBe(found.length)
            const batches = found.filter((_, i) => i % batchSamples === 0).map(({ value }) => value)
            const inOrder = (samples: ReadonlyArray<{ readonly series: { readonly uuid: string } }>) =>
              [...samples].sort((a, b) => (a.series.uuid < b.series.uuid ? -1 : 1))
            expect(found).toEqual(batches.flatMap((batch) => inOrder(batchOf(batch))))
            expect(told.filter((batch) => !batches.includes(batch))).toEqual([])
          })
        )
      }
      expect(told.length).toBeGreaterThan(500)
    }).pipe(Effect.scoped),
  180_000
)

it.live("a folder that another process uses is refused, until that process is killed", () =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const child = startWriting(directory, 0)
    yield* Effect.promise(() => new Promise<void>((resolve) => lines(child, () => resolve())))
    const { message } = yield* Effect.flip(using(directory, (store) => store.ready))
    expect(message).toBe(`${directory}/telemetry.sqlite: another process uses this folder`)
    child.kill("SIGKILL")
    yield* Effect.promise(() => once(child, "close"))
    yield* using(directory, (store) => store.write(batchOf(0)))
  }).pipe(Effect.scoped)
)
