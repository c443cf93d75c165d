/**
 * Writes: every sample is in InfluxDB and in the catalogue when one has succeeded.
 *
 * A request whose answer is lost may have been carried out. It has failed all the same: a repeated point replaces itself.
 */
import { Clock, Effect } from "effect"
import { writeSamplesMax } from "../../../protocol/Limits.ts"
import type { Sample } from "../../../protocol/Sample.ts"
import { parseTime, type TimeNs } from "../../../protocol/Time.ts"
import type { StoreUnavailable, TelemetryStore, WriteRefused, WriteReport } from "../../TelemetryStore.ts"
import type { Buckets } from "./buckets.ts"
import type { Catalogue } from "./Catalogue.ts"
import type { InfluxConnection } from "./Connection.ts"
import { encodeLine, lineProblem } from "./lines.ts"

/** Samples of one request, by their index in the write. */
interface Request {
  readonly indexes: ReadonlyArray<number>
  readonly lines: ReadonlyArray<string>
}

/** What is to be sent, in requests of a bounded size, and what is not. */
interface Plan {
  readonly requests: ReadonlyArray<Request>
  readonly tooOld: ReadonlyArray<number>
  /** What InfluxDB can't carry. */
  readonly refused: NonNullable<WriteReport["refused"]>
}

const planOf = (samples: ReadonlyArray<Sample>, oldestNs: TimeNs | undefined): Plan => {
  const requests: Array<Request> = []
  const tooOld: Array<number> = []
  const refused: Array<{ readonly index: number; readonly problem: string }> = []
  let indexes: Array<number> = []
  let lines: Array<string> = []
  for (let index = 0; index < samples.length; index++) {
    const sample = samples[index]!
    if (oldestNs !== undefined && sample.timeNs < oldestNs) {
      tooOld.push(index)
      continue
    }
    const line = encodeLine(sample)
    if (line === undefined) {
      refused.push({ index, problem: lineProblem(sample) })
      continue
    }
    if (lines.length % writeSamplesMax === 0) {
      indexes = []
      lines = []
      requests.push({ indexes, lines })
    }
    indexes.push(index)
    lines.push(line)
  }
  return { requests, tooOld, refused }
}

/**
 * The samples of a request that InfluxDB dropped because they are too old, by its own words; it stored the others.
 * `undefined` where its refusal is about anything else.
 */
const droppedAsTooOld = (
  { indexes }: Request,
  samples: ReadonlyArray<Sample>,
  problem: string
): ReadonlyArray<number> | undefined => {
  const [, bound, count] =
    /outside retention policy.* Lower Bound at (\S+Z) dropped=(\d+)/s.exec(problem) ?? []
  const oldestNs = parseTime(bound ?? "")
  if (oldestNs === undefined) return undefined
  const dropped = indexes.filter((index) => samples[index]!.timeNs < oldestNs)
  return dropped.length === Number(count) ? dropped : undefined
}

export const makeWriting = (
  connection: InfluxConnection,
  buckets: Buckets,
  catalogue: Pick<Catalogue, "wrote">
): TelemetryStore["Type"]["write"] => {
  const { config } = connection

  /** Answers the samples that InfluxDB found too old: its clock is ahead of ours, or its retention was shortened just now. */
  const send = (
    request: Request,
    samples: ReadonlyArray<Sample>
  ): Effect.Effect<ReadonlyArray<number>, StoreUnavailable | WriteRefused> =>
    connection.write(config.bucket, request.lines).pipe(
      Effect.as<ReadonlyArray<number>>([]),
      Effect.catchTag("WriteRefused", (refusal) => {
        const dropped = droppedAsTooOld(request, samples, refusal.problem)
        return dropped === undefined ? refusal : Effect.succeed(dropped)
      })
    )

  return (samples) =>
    Effect.gen(function* () {
      const { retentionMs } = yield* buckets.samples
      const nowMs = yield* Clock.currentTimeMillis
      const oldestNs = retentionMs === 0 ? undefined : BigInt(Math.round(nowMs - retentionMs)) * 1_000_000n
      const { requests, tooOld, refused } = planOf(samples, oldestNs)
      const olderThanRetention = [...tooOld]
      for (const request of requests) olderThanRetention.push(...(yield* send(request, samples)))
      const left = new Set([...olderThanRetention, ...refused.map(({ index }) => index)])
      const stored = left.size === 0 ? samples : samples.filter((_, index) => !left.has(index))
      if (stored.length > 0) yield* catalogue.wrote(stored)
      return {
        stored: stored.length,
        olderThanRetention: olderThanRetention.sort((a, b) => a - b),
        ...(refused.length === 0 ? {} : { refused })
      }
    }).pipe(Effect.tapErrorTag("StoreUnavailable", (failure) => buckets.noteFailure(failure)))
}
