/** Which of the waiting publishes are appended, which are duplicates, which are refused, and which wait on. */
import { HashMap, Option } from "effect"
import { type Offset, offsetOf, type ProducerId, sequenceOf } from "../../protocol/Log.ts"
import { appended, offsetOfSequence, type Producer, type Producers } from "./Producers.ts"

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
}

/** What became of a run. */
export type PublishOutcome =
  | {
      readonly _tag: "Accepted"
      /** Leading records that were in the log already, and the offset of the first of them while it is remembered. */
      readonly duplicates: number
      readonly duplicateOf: Offset | null
      /** Offset of the first record that was appended now; `null` where all were duplicates. */
      readonly appendedAt: Offset | null
    }
  | { readonly _tag: "Refused"; readonly reason: "fenced" | "too_large" }
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
  /** Of every run that is no longer waiting, in order. */
  readonly settlements: ReadonlyArray<Settlement>
  readonly waiting: ReadonlyArray<PublishRun>
}

interface Situation {
  readonly nextOffset: Offset
  readonly producers: Producers
  /** Who said hello last for a producer. Without an entry nobody is fenced. */
  readonly sessions: HashMap.HashMap<ProducerId, SessionId>
  /** Bytes that may still be appended, and the most that the log ever holds. */
  readonly bytesFree: number
  readonly bytesMax: number
}

const refused = (outcome: Exclude<PublishOutcome, { _tag: "Accepted" }>) => outcome

/** Another session has said hello for the run's producer since. */
const isFenced = ({ producer, session }: PublishRun, sessions: Situation["sessions"]): boolean => {
  if (producer === null) return false
  const holder = HashMap.get(sessions, producer.id)
  return Option.isSome(holder) && holder.value !== session
}

/** What a run of a known producer holds: how many of its leading records are duplicates, or why it is refused. */
const examine = (
  run: PublishRun,
  known: Producer | undefined,
  situation: Situation
): number | PublishOutcome => {
  if (run.bytes > situation.bytesMax) return refused({ _tag: "Refused", reason: "too_large" })
  if (run.producer === null) return 0
  if (isFenced(run, situation.sessions)) return refused({ _tag: "Refused", reason: "fenced" })
  if (known === undefined) return 0
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
    const duplicates = examine(run, known, situation)
    if (typeof duplicates !== "number") {
      lastRefused = { group, index, outcome: duplicates }
      settlements.push(lastRefused)
      continue
    }
    const count = run.count - duplicates
    if (count > 0 && run.bytes > bytesFree) break
    const duplicateOf =
      known === undefined || duplicates === 0 ? null : offsetOfSequence(known, producer!.firstSequence)
    const appendedAt = count === 0 ? null : offsetOf(next)
    settlements.push({ group, index, outcome: { _tag: "Accepted", duplicates, duplicateOf, appendedAt } })
    if (appendedAt === null) continue
    takes.push({ group, index, skip: duplicates, firstOffset: appendedAt })
    bytesFree -= run.bytes
    next += count
    if (producer !== null) {
      const firstSequence = sequenceOf(producer.firstSequence + duplicates)
      const taken = { firstOffset: appendedAt, count, bytes: run.bytes }
      seen.set(
        producer.id,
        appended(known, { ...taken, producer: { id: producer.id, firstSequence, lastPosition: null } })
      )
    }
  }
  // A log may be full for long: what was fenced meanwhile does not wait on, or reconnects would pile it up.
  const waitsOn = waiting.slice(position).filter((run) => {
    const fenced = isFenced(run, situation.sessions)
    if (fenced) {
      const outcome = refused({ _tag: "Refused", reason: "fenced" })
      settlements.push({ group: run.group, index: run.index, outcome })
    }
    return !fenced
  })
  return { takes, settlements, waiting: waitsOn }
}
