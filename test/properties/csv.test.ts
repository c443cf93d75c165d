/** The CSV source over files that a tiny writer, which knows nothing of it, made of anything. */
import { it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { expect } from "vitest"
import {
  headerLine,
  openAndRead,
  readFile,
  sourceOf,
  temporaryFile,
  writeRow
} from "../layers/telemetry-source/csv-harness.ts"
import { badRow, lineEnd, maxRowBytes, nastyText, rowOf } from "./CsvRows.ts"

// No property of this file needs more runs than its inputs have shapes; each run opens a real file.
const fastCheck = { numRuns: 150 }

const nastyName = nastyText.map((text) => `x${text}`)
const table = FastCheck.record({
  rows: FastCheck.array(
    FastCheck.record({
      uuid: nastyName,
      metricName: nastyName,
      gpuId: FastCheck.nat(),
      device: nastyText,
      modelName: nastyText,
      hostname: nastyText,
      container: nastyText,
      pod: nastyText,
      namespace: nastyText,
      value: FastCheck.double({ noNaN: true, noDefaultInfinity: true, max: 1e6 })
    }),
    { maxLength: 20 }
  ),
  always: FastCheck.boolean(),
  bom: FastCheck.boolean(),
  end: lineEnd,
  hasLastEnd: FastCheck.boolean()
})

it.effect.prop(
  "tables of any cells are read back exactly",
  { written: table },
  ({ written: { rows, always, bom, end, hasLastEnd } }) =>
    Effect.gen(function* () {
      const lines = rows.map((row) =>
        writeRow(
          [
            "2025-07-18T20:42:34Z",
            row.metricName,
            String(row.gpuId),
            row.device,
            row.uuid,
            row.modelName,
            row.hostname,
            row.container,
            row.pod,
            row.namespace,
            String(row.value),
            ""
          ],
          always
        )
      )
      const content = (bom ? "\ufeff" : "") + [headerLine, ...lines].join(end) + (hasLastEnd ? end : "")
      const read = yield* readFile(content)
      expect(read.rejected).toEqual({})
      expect(read.samples.map(({ series, value }) => ({ ...series, value }))).toEqual(
        rows.map((row) => ({ ...row, value: row.value + 0, labels: [] }))
      )
    }),
  { fastCheck }
)

it.effect.prop(
  "a bad row of any reason, anywhere, costs exactly itself and is counted for that reason",
  {
    slots: FastCheck.array(FastCheck.option(badRow), { minLength: 1, maxLength: 30 }),
    always: FastCheck.boolean(),
    end: lineEnd
  },
  ({ slots, always, end }) =>
    Effect.gen(function* () {
      const lines = slots.map((bad, n) => bad?.row ?? rowOf(n, always))
      // A bad quote is told from a good one by what follows; between bad rows there is always a good one.
      const spaced = lines.flatMap((line, n) => [line, rowOf(1_000 + n, always)])
      const content = Buffer.from([headerLine, ...spaced].join(end), "latin1")
      const read = yield* readFile(content, { maxRowBytes })
      const expected: Record<string, number> = {}
      for (const bad of slots) if (bad !== null) expected[bad.reason] = (expected[bad.reason] ?? 0) + 1
      expect(read.rejected).toEqual(expected)
      expect(read.samples.map(({ value }) => value)).toEqual(
        slots.flatMap((bad, n) => (bad === null ? [n, 1_000 + n] : [1_000 + n]))
      )
      expect(read.rowsRead).toBe(2 * slots.length)
    }),
  { fastCheck }
)

it.effect.prop(
  "a quote that is dropped or added anywhere in a row costs at most that row",
  { at: FastCheck.nat(), adds: FastCheck.boolean(), always: FastCheck.boolean() },
  ({ at, adds, always }) =>
    Effect.gen(function* () {
      const row = rowOf(5, always)
      const quotes = [...row].flatMap((char, i) => (char === '"' ? [i] : []))
      const index = adds ? at % (row.length + 1) : quotes[at % quotes.length]!
      const broken = adds
        ? `${row.slice(0, index)}"${row.slice(index)}`
        : row.slice(0, index) + row.slice(index + 1)
      const lines = Array.from({ length: 10 }, (_, n) => (n === 5 ? broken : rowOf(n, always)))
      const read = yield* readFile([headerLine, ...lines].join("\n"))
      expect(read.samples.map(({ value }) => value).filter((value) => value !== 5)).toEqual([
        0, 1, 2, 3, 4, 6, 7, 8, 9
      ])
    }),
  { fastCheck: { numRuns: 300 } }
)

it.effect.prop(
  "reading resumes behind any sample of any file with exactly the rest, however much is read at a time",
  {
    slots: FastCheck.array(FastCheck.option(badRow, { freq: 2 }), { minLength: 1, maxLength: 20 }),
    always: FastCheck.boolean(),
    end: lineEnd,
    at: FastCheck.nat(),
    rowsMax: FastCheck.integer({ min: 1, max: 30 })
  },
  ({ slots, always, end, at, rowsMax }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const lines = slots.map((bad, n) => bad?.row ?? rowOf(n, always))
        const path = yield* temporaryFile(Buffer.from([headerLine, ...lines].join(end), "latin1"))
        yield* Effect.gen(function* () {
          const whole = yield* openAndRead()
          if (whole.samples.length === 0) return
          const index = at % whole.samples.length
          const rest = yield* openAndRead(whole.positions[index], undefined, rowsMax)
          expect(rest.samples).toEqual(whole.samples.slice(index + 1))
          expect(rest.positions).toEqual(whole.positions.slice(index + 1))
        }).pipe(Effect.provide(sourceOf({ path, maxRowBytes })))
      })
    ),
  { fastCheck }
)
