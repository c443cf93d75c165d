/** One line each of what streamers and collectors of a process have done. */
import { Effect } from "effect"
import { type CollectorProgress, Collectors } from "../layers/Collectors.ts"
import { Rejects } from "../layers/Rejects.ts"
import { type StreamerProgress, Streamers } from "../layers/Streamers.ts"
import { count } from "./telling.ts"

const sum = <A>(all: ReadonlyArray<A>, of: (one: A) => number): number =>
  all.reduce((total, one) => total + of(one), 0)

const read = (streamers: ReadonlyArray<StreamerProgress>): string =>
  `rows read ${count(sum(streamers, ({ rowsRead }) => rowsRead))}, ` +
  `batches published ${count(sum(streamers, ({ batchesPublished }) => batchesPublished))}`

/** Every collector stores everything: what all of them have is what the one that is behind has. */
const stored = (collectors: ReadonlyArray<CollectorProgress>): string => {
  const samples = Math.min(...collectors.map(({ samplesStored }) => samplesStored))
  return `samples stored ${count(samples)}${collectors.length === 1 ? "" : ` by each of ${collectors.length} collectors`}`
}

const missed = (collectors: ReadonlyArray<CollectorProgress>): string => {
  const messages = Math.max(...collectors.map(({ messagesMissed }) => messagesMissed))
  return messages === 0 ? "" : `, messages missed ${count(messages)}`
}

const rejected = Effect.gen(function* () {
  return `rejects ${count(yield* (yield* Rejects).total)}`
})

export const streamerProgress = Effect.gen(function* () {
  return `${read(yield* (yield* Streamers).progress)}, ${yield* rejected}`
})

export const collectorProgress = Effect.gen(function* () {
  const collectors = yield* (yield* Collectors).progress
  const messages = Math.max(...collectors.map(({ messagesReceived }) => messagesReceived))
  return `messages received ${count(messages)}, ${stored(collectors)}, ${yield* rejected}${missed(collectors)}`
})

export const pipelineProgress = Effect.gen(function* () {
  const collectors = yield* (yield* Collectors).progress
  return `${read(yield* (yield* Streamers).progress)}, ${stored(collectors)}, ${yield* rejected}${missed(collectors)}`
})
