/** What the log knows of each producer: where it is, and the offsets of its latest sequences. */
import { HashMap, Option, ParseResult, Schema } from "effect"
import { producersMax, producersPrunedAt, rememberedSequencesMin } from "../../protocol/Limits.ts"
import {
  type Offset,
  offsetOf,
  type PlacedRun,
  ProducerId,
  type Run,
  Sequence,
  SourcePosition,
  sequenceOf
} from "../../protocol/Log.ts"
import { pruned } from "./Pruning.ts"

/** Sequences that stand side by side in the log. */
export interface Remembered {
  readonly firstSequence: Sequence
  readonly firstOffset: Offset
  readonly count: number
}

const isRemembered = (u: unknown): u is ReadonlyArray<Remembered> => Array.isArray(u)

const writeRemembered = (remembered: ReadonlyArray<Remembered>): string =>
  remembered
    .map(({ firstSequence, firstOffset, count }) => `${firstSequence} ${firstOffset} ${count}`)
    .join(",")

const readRemembered = (text: string): ReadonlyArray<Remembered> | undefined => {
  const runs: Array<Remembered> = []
  for (const part of text === "" ? [] : text.split(",")) {
    const [sequence, offset, count, ...more] = part.split(" ").map(Number)
    if (more.length > 0 || !isPlace(sequence) || !isPlace(offset) || !isPlace(count)) return undefined
    runs.push({ firstSequence: sequenceOf(sequence), firstOffset: offsetOf(offset), count })
  }
  return runs
}

const isPlace = (n: number | undefined): n is number => n !== undefined && Number.isSafeInteger(n) && n >= 0

/**
 * In a snapshot one text per producer: where thousands of them publish in turn there are 128 runs of each, and a schema that
 * looks at every number took half a second where this takes a twentieth.
 */
const RememberedRuns = Schema.transformOrFail(Schema.String, Schema.declare(isRemembered), {
  strict: true,
  encode: (remembered) => ParseResult.succeed(writeRemembered(remembered)),
  decode: (text, _, ast) => {
    const runs = readRemembered(text)
    return runs === undefined
      ? ParseResult.fail(new ParseResult.Type(ast, text, "expected sequence, offset and count of each run"))
      : ParseResult.succeed(runs)
  }
})

export const Producer = Schema.Struct({
  lastSequence: Sequence,
  lastPosition: Schema.NullOr(SourcePosition),
  /** Ascending; together the last `rememberedSequencesMin` sequences, or all where there are fewer. */
  remembered: RememberedRuns
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
  const last = remembered.at(-1)
  return last === undefined ? 0 : last.firstOffset + last.count
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

/** Where sequences are that a producer has published: of the oldest of them, nobody may know it any more. */
export const placesOf = (producer: Producer, firstSequence: number, count: number): Array<PlacedRun> => {
  const places: Array<PlacedRun> = []
  const end = firstSequence + count
  let next = firstSequence
  for (const run of producer.remembered) {
    const from = Math.max(next, run.firstSequence)
    const to = Math.min(end, run.firstSequence + run.count)
    if (from >= to) continue
    if (from > next) places.push({ count: from - next, firstOffset: null, isDuplicate: true })
    const firstOffset = offsetOf(run.firstOffset + from - run.firstSequence)
    places.push({ count: to - from, firstOffset, isDuplicate: true })
    next = to
  }
  if (next < end) places.push({ count: end - next, firstOffset: null, isDuplicate: true })
  return places
}

/**
 * A producer of a log that ends at an offset: it may have lost its last records, if they were never made durable. What the
 * producer was told stays, where the records were does not.
 */
export const endingAt = (producer: Producer, end: Offset): Producer => ({
  ...producer,
  remembered: producer.remembered.flatMap((run) => {
    const count = Math.min(run.count, end - run.firstOffset)
    return count > 0 ? [{ ...run, count }] : []
  })
})
