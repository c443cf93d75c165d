/** What this process rejected, as the answers of every HTTP server of ours show it. */
import { Effect } from "effect"
import { Rejects } from "../layers/Rejects.ts"
import type { RejectCounts } from "../protocol/Reject.ts"
import type { Rejections } from "./Rejections.ts"

/** The answer of `GET /rejects`. */
export const rejections: Effect.Effect<Rejections, never, Rejects> = Effect.gen(function* () {
  const byReason = yield* (yield* Rejects).byReason
  return {
    total: byReason.reduce((sum, { count }) => sum + count, 0),
    reasons: Object.fromEntries(byReason.map(({ reason, count, recent }) => [reason, { count, recent }]))
  }
})

/** The same, counts alone. */
export const rejectCounts: Effect.Effect<typeof RejectCounts.Type, never, Rejects> = Effect.gen(function* () {
  const byReason = yield* (yield* Rejects).byReason
  return Object.fromEntries(byReason.map(({ reason, count }) => [reason, count]))
})
