/** The CSV source over files that a tiny writer, which knows nothing of it, made of anything. */
import { it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { expect } from "vitest"
import { rowRejectReasons } from "../../src/protocol/Reject.ts"
import {
  goodRow,
  headerLine,
  openAndRead,
  readFile,
  sourceOf,
  temporaryFile,
  writeRow
} from "../layers/telemetry-source/csv-harness.ts"

// No property of this file needs more runs than its inputs have shapes; each run opens a real file.
const fastCheck = { numRuns: 150 }

const nastyText = FastCheck.oneof(
  FastCheck.fullUnicodeString({ maxLength: 8 }),
  FastCheck.stringOf(
    FastCheck.constantFrom('"', ",", "\n", "\r", "\r\n", " ", "\ufeff", "\0", "a", "é", "𝔊"),
    {
      maxLength: 8
    }
  )
)
const nastyName = nastyText.map((text) => `x${text}`)
const lineEnd = FastCheck.constantFrom("\n", "\r\n", "\n\n", "\r\n\r\n")

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

const maxRowBytes = 400
const cells = goodRow(9).split(",")
const withCell = (index: number, text: string) =>
  cells.map((cell, i) => (i === index ? text : cell)).join(",")

/** A row for each reason, with its bytes. */
const badRows: Readonly<Record<(typeof rowRejectReasons)[number], ReadonlyArray<string>>> = {
  row_too_long: [withCell(5, "x".repeat(maxRowBytes)), "y".repeat(5_000), `"${"z".repeat(2 * maxRowBytes)}"`],
  invalid_utf8: [withCell(5, "\xff"), withCell(5, '"\xc3"'), withCell(5, '"\xff')],
  unterminated_quote: [
    withCell(5, '"x'),
    withCell(5, 'x"y'),
    withCell(5, '"x"y'),
    withCell(0, '"'),
    withCell(11, '"job=""dcgm""'),
    withCell(11, 'job="dcgm"')
  ],
  wrong_cell_count: [withCell(5, "x,y"), "a", cells.slice(1).join(","), `${cells.join(",")},`],
  empty_uuid: [withCell(4, "")],
  empty_metric_name: [withCell(1, "")],
  bad_gpu_id: [withCell(2, "-1"), withCell(2, "1.5"), withCell(2, "")],
  bad_value: [withCell(10, "NaN"), withCell(10, "0x10"), withCell(10, '"1,5"'), withCell(10, "")],
  sentinel: [withCell(10, "2147483632"), withCell(10, "9223372036854775794"), withCell(10, "<<<NULL>>>")],
  out_of_range: [withCell(1, "DCGM_FI_DEV_GPU_UTIL").replace(",9,", ",808334905,")],
  bad_timestamp: [withCell(0, "2025-02-30T00:00:00Z"), withCell(0, "yesterday")]
}

/** The good rows, all in quotes or only where it has to be. */
const rowOf = (n: number, always: boolean) =>
  always
    ? writeRow(
        [
          "2025-07-18T20:42:34Z",
          "M",
          "0",
          "nvidia0",
          `GPU-${n}`,
          "H100",
          "h",
          "",
          "",
          "",
          String(n),
          'job="d"'
        ],
        true
      )
    : goodRow(n)

const badRow = FastCheck.constantFrom(...rowRejectReasons).chain((reason) =>
  FastCheck.record({ reason: FastCheck.constant(reason), row: FastCheck.constantFrom(...badRows[reason]) })
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
