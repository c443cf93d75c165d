/** How a broker's state comes back: from its journal's snapshot, the log behind it, and the journal's facts. */
import { Effect, HashMap } from "effect"
import { brokerStepper } from "../../actors/Broker.ts"
import { endingAt } from "../../actors/broker/Producers.ts"
import type { BrokerPolicy, BrokerState } from "../../actors/broker/State.ts"
import { fold } from "../../actors/Step.ts"
import type { BrokerFact, JournalledBrokerFact } from "../../protocol/BrokerFact.ts"
import { deliveryBytesMax, deliveryMessagesMax } from "../../protocol/Limits.ts"
import { type Offset, offsetOf, type Run } from "../../protocol/Log.ts"
import type { JournalFailed, OpenJournal } from "../Journal.ts"
import { describeRun, type LogSlice, type OffsetLog, type ReadFailed } from "../OffsetLog.ts"

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
 * A state of a log that ends at an offset, which may be below where it was: without `fsync`, a loss of power takes a tail.
 * Nothing stands beyond the end any more, or what comes next would count as done.
 */
const endedAt = (state: BrokerState, end: Offset): BrokerState => {
  const { nextOffset, producers, checkpoints } = state
  return {
    nextOffset: end,
    producers: nextOffset <= end ? producers : HashMap.map(producers, (producer) => endingAt(producer, end)),
    checkpoints: HashMap.map(checkpoints, (checkpoint) =>
      checkpoint.offset <= end ? checkpoint : { ...checkpoint, offset: end }
    )
  }
}

const isWithin = ({ nextOffset, checkpoints }: BrokerState, end: Offset): boolean =>
  nextOffset <= end && !HashMap.some(checkpoints, ({ offset }) => offset > end)

/** Says what of a state is beyond the end of its log. */
const tellLostTail = ({ nextOffset, checkpoints }: BrokerState, end: Offset) => {
  const beyond = HashMap.filter(checkpoints, ({ offset }) => offset > end)
  const ids = [...HashMap.keys(beyond)]
  const lowered =
    ids.length === 0 ? "" : `; ${ids.length} checkpoints beyond it are set there: ${ids.join(", ")}`
  return Effect.logWarning(
    `the log has lost its end: it goes on at offset ${end}, where it had come to ${nextOffset}${lowered}`
  )
}

/** What a broker starts from. */
interface Recovered {
  readonly state: BrokerState
  /** What lies below stands in the journal's snapshot. */
  readonly savedEnd: Offset
  /** Facts in the journal behind it. */
  readonly entries: number
}

/**
 * Folds what the log and the journal hold. The log comes first; facts of the two commute, so that nothing depends on how
 * they were interleaved.
 */
export const recover = (
  log: OffsetLog["Type"],
  journal: OpenJournal<BrokerState, JournalledBrokerFact>
): Effect.Effect<Recovered, JournalFailed | ReadFailed> =>
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
      if (from >= bounds.next) break
      const slice = yield* log.read(from, { recordsMax: deliveryMessagesMax, bytesMax: deliveryBytesMax })
      const [first, ...rest] = runsOf(slice)
      if (first === undefined) break
      const fact: BrokerFact = { type: "BatchesAppended", runs: [first, ...rest] }
      state = fold(brokerStepper, state, [fact])
    }
    const folded = fold(brokerStepper, state, entries).context.recoverable
    if (isWithin(folded, bounds.next)) {
      return { state: folded, savedEnd: snapshot?.nextOffset ?? offsetOf(0), entries: entries.length }
    }
    yield* tellLostTail(folded, bounds.next)
    const ended = endedAt(folded, bounds.next)
    // Or the next recovery would take what comes in the place of the lost records for what it knows already.
    yield* journal.snapshot(ended)
    return { state: ended, savedEnd: bounds.next, entries: 0 }
  })
