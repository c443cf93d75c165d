/**
 * What InfluxDB is asked about its samples: the rows of a range, where the first and the last of a range are, and how many.
 *
 * Rows are bounded, the rest is pushed down to the storage engine. Someone else may have written integers or text as values: then Flux
 * can't put series together as they are, and they are asked for again, more slowly, as the numbers that they are.
 */
import { flux, fluxInteger, type ParameterizedQuery } from "@influxdata/influxdb-client"
import { Clock, Effect } from "effect"
import type { Sample } from "../../../protocol/Sample.ts"
import type { StoreUnavailable } from "../../TelemetryStore.ts"
import type { Extent } from "./Catalogue.ts"
import type { InfluxConnection, TableReader } from "./Connection.ts"
import { allTime, type Range, selection, type TagFilter } from "./flux.ts"
import { makeMerging } from "./merging.ts"
import { isNumeric, makeSeriesReader, type SeriesReader, sampleReader, timeOf } from "./series.ts"

/** What Flux says where values of several types meet, or where there is no arithmetic for them. */
const typeTrouble = /schema collision|unsupported|type conflict/i

/** Counts include what is no number until others are known to write such: that is looked for so often. */
const lookIntervalMs = 60_000

/** The tables that a query is about, as numbers, whatever their values were. */
export type Select = (range: Range, filter: TagFilter) => ParameterizedQuery

export interface SampleQueries {
  /** A query over a selection, asked again where the values turn out not to be of one type. */
  readonly ask: <A>(
    query: (select: Select) => ParameterizedQuery,
    reader: TableReader<A>
  ) => Effect.Effect<ReadonlyArray<A>, StoreUnavailable>
  /** The same for what Flux takes of text too: a count. */
  readonly askCounts: SampleQueries["ask"]
  readonly seriesReader: TableReader<ReturnType<SeriesReader>>
  /** The samples of a range, in no order: all of them, or `rowsMax` where there are as many or more. */
  readonly samples: (
    range: Range,
    filter: TagFilter,
    rowsMax: number | undefined
  ) => Effect.Effect<ReadonlyArray<Sample>, StoreUnavailable>
  readonly count: (range: Range, filter: TagFilter) => Effect.Effect<number, StoreUnavailable>
  /** The instant of the last sample of a range. */
  readonly last: (range: Range, filter: TagFilter) => Effect.Effect<bigint | undefined, StoreUnavailable>
  /** Where the samples of a range are, and how many: true while nothing is written. */
  readonly survey: (range: Range, filter: TagFilter) => Effect.Effect<Extent | undefined, StoreUnavailable>
}

const numberReader: TableReader<number> = (table) => {
  const { index } = table.column("_value")
  return (cells) => Number(cells[index])
}

const timeReader: TableReader<bigint> = (table) => {
  const { index } = table.column("_time")
  return (cells) => timeOf(cells[index]!)
}

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)

export const make = (connection: InfluxConnection): SampleQueries => {
  const { bucket } = connection.config
  const seriesReader = makeSeriesReader()
  const samplesReader = sampleReader(seriesReader)
  /** Whether values of other types than ours have been met, and when they were last looked for. */
  let isMixed = false
  let lookedAtMs = Number.NEGATIVE_INFINITY

  const plain: Select = (range, filter) => selection(bucket, range, filter)
  const numeric: Select = (range, filter) =>
    flux`import "types" ${selection(bucket, range, filter)} |> filter(fn: (r) => types.isNumeric(v: r._value)) |> toFloat()`

  const ask: SampleQueries["ask"] = (query, reader) =>
    Effect.suspend(() => {
      if (isMixed) return connection.query(query(numeric), reader)
      return Effect.catchIf(
        connection.query(query(plain), reader),
        ({ problem }) => typeTrouble.test(problem),
        () => {
          isMixed = true
          return connection.query(query(numeric), reader)
        }
      )
    })

  const anyReader: TableReader<void> = (table) => {
    if (!isNumeric(table)) isMixed = true
    return () => {}
  }

  const look = Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
    if (isMixed || nowMs - lookedAtMs < lookIntervalMs) return Effect.void
    const lasts = ask((select) => flux`${select(allTime, {})} |> last() |> group() |> limit(n: 1)`, anyReader)
    return Effect.map(lasts, () => {
      lookedAtMs = nowMs
    })
  })

  const askCounts: SampleQueries["ask"] = (query, reader) => Effect.zipRight(look, ask(query, reader))

  const fetch: SampleQueries["samples"] = (range, filter, rowsMax) =>
    Effect.flatMap(
      ask((select) => {
        const rows = flux`${select(range, filter)} |> group()`
        const bounded = rowsMax === undefined ? rows : flux`${rows} |> limit(n: ${fluxInteger(rowsMax)})`
        return flux`${bounded} |> drop(columns: ["_start", "_stop", "_field"])`
      }, samplesReader),
      (found) => {
        if (found.every((sample) => sample !== undefined)) return Effect.succeed(found)
        // Nothing but text was found, or truth values: numbers have to be asked for, or a bound would count what is dropped.
        isMixed = true
        return fetch(range, filter, rowsMax)
      }
    )

  const ofOneGpu = makeMerging(fetch)
  const samples: SampleQueries["samples"] = (range, filter, rowsMax) => {
    const { uuid } = filter
    return uuid === undefined || rowsMax === undefined
      ? fetch(range, filter, rowsMax)
      : ofOneGpu(range, { ...filter, uuid }, rowsMax)
  }

  const count: SampleQueries["count"] = (range, filter) =>
    Effect.map(
      askCounts((select) => flux`${select(range, filter)} |> group() |> count()`, numberReader),
      sum
    )

  const last: SampleQueries["last"] = (range, filter) =>
    Effect.map(
      ask(
        (select) =>
          flux`${select(range, filter)} |> last() |> keep(columns: ["_time"]) |> group() |> max(column: "_time")`,
        timeReader
      ),
      ([timeNs]) => (timeNs !== undefined && timeNs > allTime.endNs ? allTime.endNs : timeNs)
    )

  const first = (range: Range, filter: TagFilter) =>
    Effect.map(
      ask(
        (select) =>
          flux`${select(range, filter)} |> first() |> keep(columns: ["_time"]) |> group() |> min(column: "_time")`,
        timeReader
      ),
      ([timeNs]) => timeNs
    )

  const survey: SampleQueries["survey"] = (range, filter) =>
    Effect.map(
      Effect.all([first(range, filter), last(range, filter), count(range, filter)], { concurrency: 3 }),
      ([firstNs, lastNs, found]) =>
        // What is written or deleted between the three may make them contradict each other.
        firstNs === undefined || lastNs === undefined || lastNs < firstNs
          ? undefined
          : { firstNs, lastNs, samples: Math.max(1, found) }
    )

  return { ask, askCounts, seriesReader, samples, count, last, survey }
}
