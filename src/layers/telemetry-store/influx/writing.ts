/**
 * Writes: every sample is in InfluxDB and in the catalogue when one has succeeded.
 *
 * A request whose answer is lost may have been carried out. It has failed all the same: a repeated point replaces itself.
 */
import { Clock, Effect } from "effect"
import { writeSamplesMax } from "../../../protocol/Limits.ts"
import type { Sample } from "../../../protocol/Sample.ts"
import { parseTime, type TimeNs } from "../../../protocol/Time.ts"
import { type StoreUnavailable, type TelemetryStore, WriteRefused } from "../../TelemetryStore.ts"
import type { Buckets } from "./buckets.ts"
import type { Catalogue } from "./Catalogue.ts"
import type { InfluxConnection } from "./Connection.ts"
import { encodeLine, lineProblem } from "./lines.ts"

/** Samples of one request, by their index in the write. */
interface Request {
  readonly indexes: ReadonlyArray<number>
  readonly lines: ReadonlyArray<string>
}

/**
 * The time below which InfluxDB dropped the points of a request, by its own words; it stored the others. `undefined` where
 * they are about anything else.
 */
const droppedBelow = (problem: string): TimeNs | undefined =>
  parseTime(/outside retention policy.* Lower Bound at (\S+Z)/s.exec(problem)?.[1] ?? "")

export const makeWriting = (
  connection: InfluxConnection,
  buckets: Buckets,
  catalogue: Pick<Catalogue, "wrote">
): TelemetryStore["Type"]["write"] => {
  const { bucket } = connection.config

  /** What is to be sent in so many requests, and what is too old to be. */
  const cut = (samples: ReadonlyArray<Sample>, oldestNs: TimeNs | undefined) => {
    const tooOld: Array<number> = []
    const requests: Array<{ indexes: Array<number>; lines: Array<string> }> = []
    let last = { indexes: [] as Array<number>, lines: [] as Array<string> }
    const refused: Array<Sample> = []
    samples.forEach((sample, index) => {
      if (oldestNs !== undefined && sample.timeNs < oldestNs) {
        tooOld.push(index)
        return
      }
      const line = encodeLine(sample)
      if (line === undefined) {
        refused.push(sample)
        return
      }
      if (last.lines.length % writeSamplesMax === 0) {
        last = { indexes: [], lines: [] }
        requests.push(last)
      }
      last.indexes.push(index)
      last.lines.push(line)
    })
    return { tooOld, requests, refused }
  }

  /** Answers the samples that InfluxDB found too old. */
  const send = (
    samples: ReadonlyArray<Sample>,
    { indexes, lines }: Request
  ): Effect.Effect<ReadonlyArray<number>, StoreUnavailable | WriteRefused> =>
    connection.write(bucket, lines).pipe(
      Effect.as<ReadonlyArray<number>>([]),
      Effect.catchTags({
        StoreUnavailable: (failure) => Effect.zipRight(buckets.noteFailure(failure), failure),
        // Its clock is ahead of ours, or its retention was made shorter just now.
        WriteRefused: (refusal) => {
          const oldestNs = droppedBelow(refusal.problem)
          return oldestNs === undefined
            ? refusal
            : Effect.succeed(indexes.filter((index) => samples[index]!.timeNs < oldestNs))
        }
      })
    )

  return (samples) =>
    Effect.gen(function* () {
      const { retentionMs } = yield* buckets.samples
      const nowMs = yield* Clock.currentTimeMillis
      const oldestNs = retentionMs === 0 ? undefined : BigInt(Math.round(nowMs - retentionMs)) * 1_000_000n
      const { tooOld, requests, refused } = cut(samples, oldestNs)
      // Nothing is sent with what is known to be refused: whoever asked parts it from the rest.
      if (refused.length > 0) {
        return yield* new WriteRefused({ store: connection.description, problem: lineProblem(refused[0]!) })
      }
      const dropped = new Set(tooOld)
      for (const request of requests) {
        for (const index of yield* send(samples, request)) dropped.add(index)
      }
      const stored = dropped.size === 0 ? samples : samples.filter((_, index) => !dropped.has(index))
      if (stored.length > 0) yield* catalogue.wrote(stored)
      return { stored: stored.length, olderThanRetention: [...dropped].sort((a, b) => a - b) }
    })
}
