/** What every HTTP server of ours answers to `GET /rejects`: what its process rejected, by reason. */
import { Schema } from "effect"
import { RejectReason } from "../protocol/Reject.ts"

const RejectedInput = Schema.Struct({
  origin: Schema.String.annotations({
    description: "Where it came from: file and row, or message offset and index",
    examples: ["dcgm_metrics.csv:17"]
  }),
  input: Schema.String.annotations({
    description: "The input itself, cut at 1 KiB",
    examples: [
      '"2025-07-18T20:42:34Z","DCGM_FI_DEV_GPU_UTIL","0","nvidia0","GPU-5fd4f087","","","","","","n/a",""'
    ]
  })
}).annotations({ identifier: "RejectedInput", description: "One rejected input" })

const example = { origin: "dcgm_metrics.csv:17", input: "…,n/a," }

const RejectedForReason = Schema.Struct({
  count: Schema.NonNegativeInt.annotations({
    description: "Inputs rejected for this reason since the process started",
    examples: [3]
  }),
  recent: Schema.Array(RejectedInput).annotations({
    description: "The last of them, at most 100, the newest last",
    examples: [[example]]
  })
}).annotations({ identifier: "RejectedForReason", description: "What was rejected for one reason" })

export const Rejections = Schema.Struct({
  total: Schema.NonNegativeInt.annotations({
    description: "Inputs that this process rejected since it started",
    examples: [3]
  }),
  reasons: Schema.Record({ key: Schema.String, value: RejectedForReason }).annotations({
    description: `By reason; one that never occurred is left out. The reasons are ${RejectReason.literals.join(", ")}`,
    examples: [{ bad_value: { count: 3, recent: [example] } }]
  })
}).annotations({ identifier: "Rejections", description: "Rejected inputs of this process" })
export interface Rejections extends Schema.Schema.Type<typeof Rejections> {}
