/** Which of the waiting publishes are appended, which are duplicates, which are refused, and which wait on. */
import { HashMap, Option } from "effect"
import { type Offset, offsetOf, type PlacedRun, type ProducerId, sequenceOf } from "../../protocol/Log.ts"
import { appended, type Producer, type Producers, placesOf } from "./Producers.ts"

/** A connection, or what stands for one in this process. */
export type SessionId = number

/** What the data plane knows a group of payloads by. Never looked into here. */
export type GroupHandle = object

/** Records of one producer, or of none, that are published together; their payloads stay in the data plane. */
export interface PublishRun {
  readonly group: GroupHandle
  /** Which run of its group it is. */
  readonly index: number
  readonly session: SessionId
  readonly count: number
  readonly bytes: number
  readonly producer: { readonly id: ProducerId; readonly firstSequence: number } | null
  /** Where there is no room for it, it waits, or is refused. */
  readonly whenFull: "wait" | "refuse"
}

/** Who may publish for a producer. */
export interface Publisher {
  /** The session that said hello last: those before it are fenced. `null` where none is known to have. */
  readonly session: SessionId | null
  /**
   * Of a producer that the log does not know, the first of its sequences that were on their way and did not get there: what
   * comes behind it must not be taken for its first, or it would be a duplicate when it comes again.
   */
  readonly missing: number | null
}

/** What became of a run. */
export type PublishOutcome =
  | { readonly _tag: "Accepted"; readonly placed: ReadonlyArray<PlacedRun> }
  | { readonly _tag: "Refused"; readonly reason: "fenced" | "too_large" | "log_full" }
  | { readonly _tag: "Refused"; readonly reason: "sequence_gap"; readonly expected: number }
  | { readonly _tag: "Refused"; readonly reason: "log_failed"; readonly problem: string }

export interface Settlement {
  readonly group: GroupHandle
  readonly index: number
  readonly outcome: PublishOutcome
}

/** Records to append: a run without its first `skip`, which are duplicates. */
export interface Take {
  readonly group: GroupHandle
  readonly index: number
  readonly skip: number
  /** The offset that the first of them gets. */
  readonly firstOffset: Offset
}

export interface Admission {
  readonly takes: ReadonlyArray<Take>
  /** The runs that they are taken from. */
  readonly taken: ReadonlyArray<PublishRun>
  /** Runs that were refused although their producer had sent them in their turn. */
  readonly missed: ReadonlyArray<PublishRun>
  /** Of every run that is no longer waiting, in order. */
  readonly settlements: ReadonlyArray<Settlement>
  readonly waiting: ReadonlyArray<PublishRun>
}

interface Situation {
  readonly nextOffset: Offset
  readonly producers: Producers
  readonly publishers: HashMap.HashMap<ProducerId, Publisher>
  /** Sessions up to this one are fenced from every producer that has no publisher: it may have been forgotten. */
  readonly forgottenSession: SessionId
  /** Bytes that may still be appended, and the most that the log ever holds. */
  readonly bytesFree: number
  readonly bytesMax: number
  /** Nothing can be dropped either: what does not wait is refused. */
  readonly isFull: boolean
}

const refused = (outcome: Exclude<PublishOutcome, { _tag: "Accepted" }>) => outcome

const publisherOf = ({ producer }: PublishRun, { publishers }: Situation): Publisher | undefined =>
  producer === null ? undefined : Option.getOrUndefined(HashMap.get(publishers, producer.id))

/** Another session has said hello for the run's producer since. */
const isFenced = (run: PublishRun, situation: Situation): boolean => {
  if (run.producer === null) return false
  const holder = publisherOf(run, situation)?.session ?? null
  return holder === null ? run.session <= situation.forgottenSession : run.session < holder
}

/** What a run holds: how many of its leading records are duplicates, or why it is refused. */
const examine = (
  run: PublishRun,
  known: Producer | undefined,
  missing: number | null,
  situation: Situation
): number | PublishOutcome => {
  if (run.bytes > situation.bytesMax) return refused({ _tag: "Refused", reason: "too_large" })
  if (run.producer === null) return 0
  if (isFenced(run, situation)) return refused({ _tag: "Refused", reason: "fenced" })
  if (known === undefined) {
    return missing !== null && run.producer.firstSequence > missing
      ? refused({ _tag: "Refused", reason: "sequence_gap", expected: missing })
      : 0
  }
  const expected = known.lastSequence + 1
  if (run.producer.firstSequence > expected) {
    return refused({ _tag: "Refused", reason: "sequence_gap", expected })
  }
  return Math.min(run.count, expected - run.producer.firstSequence)
}

/**
 * Goes through the waiting runs in the order in which they came and stops at the first for which there is no room, so that
 * no publish overtakes another. A duplicate of a run that is taken in the same call is found as well.
 */
export const admit = (situation: Situation, waiting: ReadonlyArray<PublishRun>): Admission => {
  const takes: Array<Take> = []
  const taken: Array<PublishRun> = []
  const missed: Array<PublishRun> = []
  const settlements: Array<Settlement> = []
  const seen = new Map<ProducerId, Producer>()
  let lastRefused: Settlement | undefined
  let next: number = situation.nextOffset
  let bytesFree = situation.bytesFree
  let position = 0
  for (; position < waiting.length; position++) {
    const run = waiting[position]!
    const { group, index, producer } = run
    // Nothing overtakes what was refused of its group: not even where no sequence or no earlier record would tell.
    if (lastRefused?.group === group) {
      settlements.push({ ...lastRefused, index })
      continue
    }
    const known =
      producer === null
        ? undefined
        : (seen.get(producer.id) ?? Option.getOrUndefined(HashMap.get(situation.producers, producer.id)))
    const duplicates = examine(run, known, missingOf(run, missed, situation), situation)
    if (typeof duplicates !== "number") {
      if (isMiss(duplicates)) missed.push(run)
      lastRefused = { group, index, outcome: duplicates }
      settlements.push(lastRefused)
      continue
    }
    const count = run.count - duplicates
    if (count > 0 && run.bytes > bytesFree) break
    const placed: Array<PlacedRun> =
      known === undefined || duplicates === 0 ? [] : placesOf(known, producer!.firstSequence, duplicates)
    const appendedAt = offsetOf(next)
    if (count > 0) placed.push({ count, firstOffset: appendedAt, isDuplicate: false })
    settlements.push({ group, index, outcome: { _tag: "Accepted", placed } })
    if (count === 0) continue
    takes.push({ group, index, skip: duplicates, firstOffset: appendedAt })
    taken.push(run)
    bytesFree -= run.bytes
    next += count
    if (producer !== null) {
      const firstSequence = sequenceOf(producer.firstSequence + duplicates)
      const described = { firstOffset: appendedAt, count, bytes: run.bytes }
      seen.set(
        producer.id,
        appended(known, { ...described, producer: { id: producer.id, firstSequence, lastPosition: null } })
      )
    }
  }
  // A log may be full for long: what was fenced meanwhile does not wait on, or reconnects would pile it up.
  const waitsOn = waiting.slice(position).filter((run) => {
    const reason = isFenced(run, situation)
      ? "fenced"
      : situation.isFull && run.whenFull === "refuse"
        ? "log_full"
        : undefined
    if (reason === undefined) return true
    const outcome = refused({ _tag: "Refused", reason })
    if (isMiss(outcome)) missed.push(run)
    settlements.push({ group: run.group, index: run.index, outcome })
    return false
  })
  return { takes, taken, missed, settlements, waiting: waitsOn }
}

/** Whether a run that was refused could come again, and be taken for a duplicate if what is behind it were taken first. */
const isMiss = (outcome: PublishOutcome): boolean =>
  outcome._tag === "Refused" && (outcome.reason === "log_full" || outcome.reason === "too_large")

/** The first sequence that a run's producer has to send again, if the log does not know it. */
const missingOf = (
  run: PublishRun,
  missed: ReadonlyArray<PublishRun>,
  situation: Situation
): number | null => {
  let missing = publisherOf(run, situation)?.missing ?? Number.POSITIVE_INFINITY
  for (const { producer } of missed) {
    if (producer !== null && producer.id === run.producer?.id) {
      missing = Math.min(missing, producer.firstSequence)
    }
  }
  return Number.isFinite(missing) ? missing : null
}

/** Publishers, when some runs that were on their way will not come: for producers that the log does not know. */
export const withMissing = (
  publishers: Situation["publishers"],
  producers: Producers,
  runs: ReadonlyArray<PublishRun>
): Situation["publishers"] =>
  runs.reduce((table, { producer, session }) => {
    if (producer === null || HashMap.has(producers, producer.id)) return table
    const publisher = Option.getOrUndefined(HashMap.get(table, producer.id))
    const holder = publisher?.session ?? null
    // What a fenced session has lost, its successor does not miss.
    if (holder !== null && session < holder) return table
    const missing = Math.min(publisher?.missing ?? Number.POSITIVE_INFINITY, producer.firstSequence)
    return HashMap.set(table, producer.id, { session: holder, missing })
  }, publishers)
