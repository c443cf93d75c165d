/** Files of the CSV source as FastCheck draws them: cells of any text, line ends, rows with everything that may be wrong. */
import { FastCheck } from "effect"
import { rowRejectReasons } from "../../src/protocol/Reject.ts"
import { goodRow, writeRow } from "../layers/telemetry-source/csv-harness.ts"

/** Texts that CSV has to quote, that are no ASCII, or that are white space. */
export const nastyText = FastCheck.oneof(
  FastCheck.fullUnicodeString({ maxLength: 8 }),
  FastCheck.stringOf(
    FastCheck.constantFrom('"', ",", "\n", "\r", "\r\n", " ", "\ufeff", "\0", "a", "é", "𝔊"),
    {
      maxLength: 8
    }
  )
)
export const lineEnd = FastCheck.constantFrom("\n", "\r\n", "\n\n", "\r\n\r\n")

/** Bytes above which these rows are too long. */
export const maxRowBytes = 400
const cells = goodRow(9).split(",")
const withCell = (index: number, text: string) =>
  cells.map((cell, i) => (i === index ? text : cell)).join(",")

/** A row for each reason, with its bytes. */
export const badRows: Readonly<Record<(typeof rowRejectReasons)[number], ReadonlyArray<string>>> = {
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
export const rowOf = (n: number, always: boolean) =>
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

/** A bad row, and for what it is rejected. */
export const badRow = FastCheck.constantFrom(...rowRejectReasons).chain((reason) =>
  FastCheck.record({ reason: FastCheck.constant(reason), row: FastCheck.constantFrom(...badRows[reason]) })
)
