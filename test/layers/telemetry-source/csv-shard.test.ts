/** A part of a file's rows: what reading it costs and says. */
import { appendFileSync } from "node:fs"
import { it } from "@effect/vitest"
import { Clock, Effect, Layer, Logger, Option } from "effect"
import { describe, expect } from "vitest"
import { cellText } from "../../../src/layers/telemetry-source/row-owner.ts"
import { ownsHost, shardsOf } from "../../../src/protocol/Shard.ts"
import { withSoloClock } from "../../properties/SoloClock.ts"
import { openSource, readAll, sourceOf, temporaryFile, writeRow } from "./csv-harness.ts"

const shards = shardsOf(2, "host")
/** A host of each of two streamers. */
const hostOf = shards.map(
  (shard) => ["a", "b", "c", "d"].find((hostname) => ownsHost(shard, hostname, "")) as string
)
const rowsOf = (hostname: string, count: number) =>
  Array.from({ length: count }, (_, n) => `GPU-1,M,${n},${hostname}\n`).join("")

describe("a streamer of several", () => {
  it.scoped("goes through rows of others as through its own, and says how many", () =>
    Effect.gen(function* () {
      const content = `uuid,metric_name,value,Hostname\n${rowsOf(hostOf[0]!, 5_000)}${rowsOf(hostOf[1]!, 1)}`
      const path = yield* temporaryFile(content)
      yield* Effect.gen(function* () {
        const reader = yield* openSource(undefined, shards[1])
        let rowsPassed = 0
        let chunk = Option.getOrThrow(yield* reader.read(1_000))
        for (; chunk.rowsRead === 0; chunk = Option.getOrThrow(yield* reader.read(1_000))) {
          expect(chunk.samples).toEqual([])
          expect(chunk.rowsPassed).toBeLessThanOrEqual(1_000)
          rowsPassed += chunk.rowsPassed
        }
        expect(rowsPassed + chunk.rowsPassed).toBe(5_000)
        expect([chunk.rowsRead, chunk.samples.map(({ series }) => series.hostname)]).toEqual([1, [hostOf[1]]])
        expect(yield* reader.read(10)).toEqual(Option.none())
      }).pipe(Effect.provide(sourceOf({ path, timestamps: "now" })))
    })
  )

  it.scoped("goes round with a pause, and one warning, while a looped file has no row of its own", () =>
    Effect.gen(function* () {
      const warnings: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => {
          warnings.push(String(message))
        })
      )
      const path = yield* temporaryFile(`uuid,metric_name,value,Hostname\n${rowsOf(hostOf[0]!, 3)}`)
      yield* Effect.gen(function* () {
        const reader = yield* openSource(undefined, shards[1])
        const beginningMs = yield* Clock.currentTimeMillis
        for (let pass = 0; pass < 5; pass++) {
          expect(yield* reader.read(10)).toMatchObject({ value: { rowsRead: 0, rowsPassed: 3, samples: [] } })
          expect((yield* Clock.currentTimeMillis) - beginningMs).toBe(1_000 * pass)
        }
        expect(warnings).toEqual([`${path}: has no rows of shard 1/2; waiting for some`])
        appendFileSync(path, rowsOf(hostOf[1]!, 1))
        const read = yield* readAll(reader, 1)
        expect(read.samples.map(({ series }) => series.hostname)).toEqual([hostOf[1]])
      }).pipe(
        Effect.provide(Layer.provideMerge(sourceOf({ path, loop: true, timestamps: "now" }), logger)),
        withSoloClock
      )
    })
  )
})

it.each([
  [["a", "b"], 0, "a"],
  [["a", "b"], 1, "b"],
  [["", ""], 0, ""],
  [["", ""], 1, ""],
  [['x"y', "b"], 0, 'x"y'],
  [["x,y", "é\n𝔊"], 1, "é\n𝔊"],
  [['"', '""'], 1, '""'],
  [["a"], -1, ""]
])("of the cells %j, the text of %s is %j", (cells, index, text) => {
  expect(cellText(Buffer.from(writeRow(cells)), index)).toBe(text)
})
