/** What the log knows of each producer: where it is, and the offsets of its latest sequences. */
import { HashMap, Option, Schema } from "effect"
import { producersMax, producersPrunedAt, rememberedSequencesMin } from "../../protocol/Limits.ts"
import {
  Offset,
  offsetOf,
  ProducerId,
  type Run,
  Sequence,
  SourcePosition,
  sequenceOf
} from "../../protocol/Log.ts"
import { pruned } from "./Pruning.ts"

/** Sequences that stand side by side in the log. */
const Remembered = Schema.Struct({
  firstSequence: Sequence,
  firstOffset: Offset,
  count: Schema.Int.pipe(Schema.positive())
})
type Remembered = typeof Remembered.Type

export const Producer = Schema.Struct({
  lastSequence: Sequence,
  lastPosition: Schema.NullOr(SourcePosition),
  /** Ascending; together the last `rememberedSequencesMin` sequences, or all where there are fewer. */
  remembered: Schema.Array(Remembered)
})
export type Producer = typeof Producer.Type

export const Producers = Schema.HashMap({ key: ProducerId, value: Producer })
export type Producers = typeof Producers.Type

/** The remembered runs with one more behind them, cut to exactly the last sequences: so regrouping runs changes nothing. */
const remember = (remembered: ReadonlyArray<Remembered>, run: Remembered): ReadonlyArray<Remembered> => {
  const last = remembered.at(-1)
  const adjoins =
    last !== undefined &&
    last.firstSequence + last.count === run.firstSequence &&
    last.firstOffset + last.count === run.firstOffset
  const all = adjoins
    ? [...remembered.slice(0, -1), { ...last, count: last.count + run.count }]
    : [...remembered, run]
  const oldest = run.firstSequence + run.count - rememberedSequencesMin
  return all.flatMap((entry) => {
    const cut = oldest - entry.firstSequence
    if (cut <= 0) return [entry]
    if (cut >= entry.count) return []
    return [
      {
        firstSequence: sequenceOf(entry.firstSequence + cut),
        firstOffset: offsetOf(entry.firstOffset + cut),
        count: entry.count - cut
      }
    ]
  })
}

/** A producer after one more run of it was appended. */
export const appended = (producer: Producer | undefined, run: Run): Producer => {
  const { firstSequence, lastPosition } = run.producer!
  const { firstOffset, count } = run
  return {
    lastSequence: sequenceOf(firstSequence + count - 1),
    lastPosition: lastPosition ?? producer?.lastPosition ?? null,
    remembered: remember(producer?.remembered ?? [], { firstSequence, firstOffset, count })
  }
}

/** Offset of the latest record of a producer: the lower, the longer it has been idle. */
const latestOffset = ({ remembered }: Producer): number => {
  const last = remembered[remembered.length - 1]!
  return last.firstOffset + last.count
}

/** All producers after some runs were appended, in their order, and those that were forgotten for it. */
export const appendedAll = (
  producers: Producers,
  runs: ReadonlyArray<Run>
): { readonly producers: Producers; readonly forgotten: ReadonlyArray<ProducerId> } => {
  let table = HashMap.beginMutation(producers)
  const forgotten: Array<ProducerId> = []
  for (const run of runs) {
    if (run.producer === null) continue
    const known = Option.getOrUndefined(HashMap.get(table, run.producer.id))
    HashMap.set(table, run.producer.id, appended(known, run))
    if (known !== undefined || HashMap.size(table) < producersPrunedAt) continue
    // Once per run, so that how runs are grouped into facts changes nothing.
    const [rest, gone] = pruned(
      HashMap.endMutation(table),
      { max: producersMax, prunedAt: producersPrunedAt },
      latestOffset
    )
    table = HashMap.beginMutation(rest)
    forgotten.push(...gone)
  }
  return { producers: HashMap.endMutation(table), forgotten }
}

/** Offset of a sequence, while it is remembered. */
export const offsetOfSequence = (producer: Producer, sequence: number): Offset | null => {
  for (const { firstSequence, firstOffset, count } of producer.remembered) {
    const ahead = sequence - firstSequence
    if (ahead >= 0 && ahead < count) return offsetOf(firstOffset + ahead)
  }
  return null
}
