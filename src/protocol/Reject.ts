/** Why input is not stored. Every reason is counted under its name, wherever it is found. */
import { Schema } from "effect"

/** Reasons found while reading rows, in the order in which the first that applies is taken (CONTRACTS.md, CSV input). */
export const rowRejectReasons = [
  "row_too_long",
  "invalid_utf8",
  "unterminated_quote",
  "wrong_cell_count",
  "empty_uuid",
  "empty_metric_name",
  "bad_gpu_id",
  "bad_value",
  "sentinel",
  "out_of_range",
  "bad_timestamp"
] as const

/**
 * `bad_label` costs the label and keeps the row; `bad_batch` and `bad_sample` are found by a collector; `bad_frame` is what a
 * peer of the broker sent that is no request; `nacked` is a message that its subscriber refused again and again.
 */
export const rejectReasons = [
  ...rowRejectReasons,
  "bad_label",
  "bad_batch",
  "bad_sample",
  "older_than_retention",
  "refused_by_store",
  "bad_frame",
  "nacked"
] as const

export const RejectReason = Schema.Literal(...rejectReasons)
export type RejectReason = typeof RejectReason.Type
export type RowRejectReason = (typeof rowRejectReasons)[number]

/** Counts by reason; only reasons that occurred. */
export const RejectCounts = Schema.Record({ key: Schema.String, value: Schema.NonNegativeInt }).annotations({
  description: "Rejected inputs of this process by reason; a reason that never occurred is left out",
  examples: [{ bad_value: 3, sentinel: 1 }]
})
