/**
 * Requests for the samples of one GPU each, put together while InfluxDB is busy.
 *
 * A query costs InfluxDB some milliseconds whatever it answers, so that many who each look at a GPU at once wait for each other. A
 * few queries are under way at a time; who asks for the same of other GPUs meanwhile, and of about the same time, is answered
 * by one query, and has the rows that its own would have had.
 */
import { Deferred, Effect, Exit } from "effect"
import type { Sample } from "../../../protocol/Sample.ts"
import type { StoreUnavailable } from "../../TelemetryStore.ts"
import type { Range, TagFilter } from "./flux.ts"

/** Queries under way before requests are put together. */
const flightsMax = 2
/** Requests that one query answers. */
const requestsMax = 16
/** What the starts, and the ends, of ranges that are asked for together may lie apart. */
const apartNsMax = 10_000_000_000n

type Fetch = (
  range: Range,
  filter: TagFilter,
  rowsMax: number
) => Effect.Effect<ReadonlyArray<Sample>, StoreUnavailable>

interface Request {
  readonly range: Range
  readonly filter: TagFilter & { readonly uuid: string }
  readonly rowsMax: number
  readonly answer: Deferred.Deferred<ReadonlyArray<Sample>, StoreUnavailable>
}

const areNear = (a: bigint, b: bigint): boolean => (a < b ? b - a : a - b) <= apartNsMax

const areAlike = (a: Request, b: Request): boolean =>
  a.filter.metricName === b.filter.metricName &&
  a.filter.hostname === b.filter.hostname &&
  a.filter.gpuId === b.filter.gpuId &&
  a.rowsMax === b.rowsMax &&
  areNear(a.range.startNs, b.range.startNs) &&
  areNear(a.range.endNs, b.range.endNs)

const least = (times: ReadonlyArray<bigint>): bigint => times.reduce((a, b) => (a < b ? a : b))
const greatest = (times: ReadonlyArray<bigint>): bigint => times.reduce((a, b) => (a > b ? a : b))

/** Answers as `fetch` does, for filters of one GPU. */
export const makeMerging = (fetch: Fetch) => {
  const waiting: Array<Request> = []
  let flights = 0

  /** The longest waiting, and those like it. */
  const take = (): ReadonlyArray<Request> => {
    const taken = [waiting.shift()!]
    for (let i = 0; i < waiting.length && taken.length < requestsMax; ) {
      if (areAlike(taken[0]!, waiting[i]!)) taken.push(...waiting.splice(i, 1))
      else i++
    }
    return taken
  }

  const alone = ({ range, filter, rowsMax, answer }: Request) =>
    Effect.flatMap(Effect.exit(fetch(range, filter, rowsMax)), (exit) => Deferred.done(answer, exit))

  const together = (requests: ReadonlyArray<Request>) =>
    Effect.gen(function* () {
      const { uuid: _, ...filter } = requests[0]!.filter
      const { rowsMax } = requests[0]!
      const range = {
        startNs: least(requests.map(({ range }) => range.startNs)),
        endNs: greatest(requests.map(({ range }) => range.endNs))
      }
      const uuids = [...new Set(requests.map(({ filter: { uuid } }) => uuid))]
      const exit = yield* Effect.exit(fetch(range, { ...filter, uuids }, rowsMax))
      // Too many for one answer are not too many for each.
      if (Exit.isSuccess(exit) && exit.value.length >= rowsMax) {
        return yield* Effect.forEach(requests, alone, { discard: true })
      }
      const answers = new Map(uuids.map((uuid): [string, Array<Sample>] => [uuid, []]))
      if (Exit.isSuccess(exit)) {
        for (const sample of exit.value) answers.get(sample.series.uuid)!.push(sample)
      }
      for (const { range, filter, answer } of requests) {
        yield* Deferred.done(
          answer,
          Exit.map(exit, () =>
            answers.get(filter.uuid)!.filter(({ timeNs }) => timeNs >= range.startNs && timeNs <= range.endNs)
          )
        )
      }
    })

  /** Fibers of their own: who asked may go away, and others wait for the same answer. */
  const launch: Effect.Effect<void> = Effect.suspend(() => {
    if (flights >= flightsMax || waiting.length === 0) return Effect.void
    flights++
    const requests = take()
    const flight = requests.length === 1 ? alone(requests[0]!) : together(requests)
    const landed = Effect.suspend(() => {
      flights--
      return launch
    })
    return Effect.forkDaemon(Effect.ensuring(flight, landed))
  })

  return (range: Range, filter: Request["filter"], rowsMax: number) =>
    Effect.flatMap(Deferred.make<ReadonlyArray<Sample>, StoreUnavailable>(), (answer) => {
      const request: Request = { range, filter, rowsMax, answer }
      waiting.push(request)
      const leave = Effect.sync(() => {
        const place = waiting.indexOf(request)
        if (place >= 0) waiting.splice(place, 1)
      })
      return Effect.zipRight(
        launch,
        Effect.onInterrupt(Deferred.await(answer), () => leave)
      )
    })
}
