/** How a broker's state comes back: from its journal's snapshot, the log behind it, and the journal's facts. */
import { Effect } from "effect"
import { brokerStepper } from "../../actors/Broker.ts"
import type { BrokerPolicy, BrokerState } from "../../actors/broker/State.ts"
import { fold } from "../../actors/Step.ts"
import type { BrokerFact, JournalledBrokerFact } from "../../protocol/BrokerFact.ts"
import { deliveryBytesMax, deliveryMessagesMax } from "../../protocol/Limits.ts"
import { offsetOf, type Run } from "../../protocol/Log.ts"
import type { JournalFailed, OpenJournal } from "../Journal.ts"
import { describeRun, type LogSlice, type OffsetLog } from "../OffsetLog.ts"

/** Records of the log as the runs that a machine sees. */
export const runsOf = ({ firstOffset, runs }: LogSlice): ReadonlyArray<Run> => {
  let next: number = firstOffset
  return runs.map((run) => {
    const described = describeRun(offsetOf(next), run)
    next += described.count
    return described
  })
}

const noPolicy: BrokerPolicy = { retentionBytes: 0, retentionMs: null, whenFull: "block", subscriberTtlMs: 0 }

/**
 * Folds what the log and the journal hold. The log comes first; facts of the two commute, so that nothing depends on how
 * they were interleaved.
 */
export const recover = (
  log: OffsetLog["Type"],
  journal: OpenJournal<BrokerState, JournalledBrokerFact>
): Effect.Effect<BrokerState, JournalFailed> =>
  Effect.gen(function* () {
    const { snapshot, entries } = yield* journal.content
    const bounds = yield* log.bounds
    const [initial] = brokerStepper.initial({
      // Facts are folded without it: a policy decides about requests.
      policy: noPolicy,
      nowMs: 0,
      bounds,
      ...(snapshot === undefined ? {} : { recoverable: snapshot })
    })
    let state = initial
    for (;;) {
      const from = state.context.recoverable.nextOffset
      const slice = yield* log.read(from, { recordsMax: deliveryMessagesMax, bytesMax: deliveryBytesMax })
      const [first, ...rest] = runsOf(slice)
      if (first === undefined) break
      const fact: BrokerFact = { type: "BatchesAppended", runs: [first, ...rest] }
      state = fold(brokerStepper, state, [fact])
    }
    return fold(brokerStepper, state, entries).context.recoverable
  })
