/** The journal of a broker: which of its facts stand there, how durable each is, and that it tells when it does not work. */
import { Effect } from "effect"
import type { BrokerSnapshot } from "../../actors/Broker.ts"
import { type BrokerRequest, BrokerState } from "../../actors/broker/State.ts"
import { type BrokerFact, isBrokerFact, JournalledBrokerFact } from "../../protocol/BrokerFact.ts"
import { journalFactsMax } from "../../protocol/Limits.ts"
import { type Journal, type JournalFailed, type OpenJournal, typed } from "../Journal.ts"
import type { OffsetLog } from "../OffsetLog.ts"
import { OutageLog } from "../OutageLog.ts"

export interface BrokerJournal extends OpenJournal<BrokerState, JournalledBrokerFact> {
  /** Why it did not take what came last; `null` where it did. */
  readonly problem: () => string | null
}

/** The broker's journal, which tells in the log when it fails, and when it works again. */
export const openJournal = ({ open }: Journal["Type"], log: OffsetLog["Type"]) =>
  Effect.map(open("broker"), (opened) => {
    const journal = watched(typed("broker", opened, BrokerState, JournalledBrokerFact))
    // A snapshot must not know more than the log does after a loss of power: producers would leave out what was lost.
    const snapshot: BrokerJournal["snapshot"] = (state) =>
      Effect.zipRight(Effect.ignore(log.sync), journal.snapshot(state))
    return { ...journal, snapshot } satisfies BrokerJournal
  })

const watched = (journal: OpenJournal<BrokerState, JournalledBrokerFact>): BrokerJournal => {
  const outage = new OutageLog(
    "what subscribers commit can't be kept",
    "what subscribers commit is kept again"
  )
  const watch = (write: Effect.Effect<void, JournalFailed>) =>
    Effect.tapBoth(write, {
      onFailure: ({ message }) => outage.failed(message),
      onSuccess: () => outage.succeeded()
    })
  return {
    content: journal.content,
    append: (entries, options) => watch(journal.append(entries, options)),
    snapshot: (snapshot) => watch(journal.snapshot(snapshot)),
    problem: () => outage.problem
  }
}

/**
 * Journals facts, but for those that the log's append has journalled; from time to time a snapshot takes their place.
 * `entriesBefore` stand in the journal already.
 */
export const journalFacts = (journal: BrokerJournal, entriesBefore: number) => {
  let sinceSnapshot = entriesBefore
  return (
    facts: ReadonlyArray<BrokerRequest | BrokerFact>,
    next: BrokerSnapshot
  ): Effect.Effect<void, JournalFailed> => {
    const entries = facts.filter(isBrokerFact).filter((fact) => fact.type !== "BatchesAppended")
    if (entries.length === 0) return Effect.void
    sinceSnapshot += entries.reduce((sum, fact) => sum + weightOf(fact), 0)
    if (sinceSnapshot <= journalFactsMax) return journal.append(entries, { sync: entries.some(mustLast) })
    return Effect.tap(journal.snapshot(next.context.recoverable), () => {
      sinceSnapshot = 0
    })
  }
}

/** A fact counts as many as the subscribers that it names, so that a journal is bounded in bytes. */
const weightOf = (fact: JournalledBrokerFact): number =>
  "subscriberIds" in fact ? fact.subscriberIds.length : 1

/**
 * Whether a fact has to outlive a loss of power as well as a kill. A checkpoint that stands further back than it did, by a
 * second of commits, only has messages delivered again; one that is missing would lose them.
 */
const mustLast = ({ type }: JournalledBrokerFact): boolean =>
  type === "SubscriptionOpened" || type === "CheckpointSet" || type === "CheckpointsForgotten"
