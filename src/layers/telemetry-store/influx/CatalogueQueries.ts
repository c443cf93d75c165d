/**
 * What the catalogue asks InfluxDB. All of it is pushed down to the storage engine: counts cost about 40 µs per series and
 * 40 ns per sample in the range, first and last times 100 µs per series however many samples there are.
 *
 * A point without a UUID is no sample of ours and is left out everywhere.
 */

import { flux, fluxInteger } from "@influxdata/influxdb-client"
import { Effect } from "effect"
import { parseTime, type TimeNs } from "../../../protocol/Time.ts"
import { windowStart } from "../../../protocol/Window.ts"
import type { StoreUnavailable } from "../../TelemetryStore.ts"
import { catalogueBucket } from "./Config.ts"
import type { InfluxConnection, TableReader } from "./Connection.ts"
import { type Range, textLiteral } from "./flux.ts"
import type { SeriesTimes } from "./KnownSeries.ts"
import type { SampleQueries } from "./queries.ts"
import { timeOf } from "./series.ts"

export const hourNs: TimeNs = 3_600_000_000_000n
export const dayNs: TimeNs = 24n * hourNs

/** The start of the day (UTC) that holds an instant. */
export const dayOf = (timeNs: TimeNs): TimeNs => windowStart(timeNs, dayNs)

/** From `startNs` up to `stopNs`, exclusive. */
export interface Span {
  readonly startNs: TimeNs
  readonly stopNs: TimeNs
}

/** Every time that InfluxDB stores (`models.MinNanoTime` and `MaxNanoTime` of its source). */
export const allTime: Span = { startNs: -(2n ** 63n) + 2n, stopNs: 2n ** 63n - 1n }

/** What the catalogue bucket says of a day. */
export interface DayRecord {
  readonly dayNs: TimeNs
  /** Its samples when they were counted last. */
  readonly samples?: number
  /** Changes with every write of samples that are not of this hour. */
  readonly written?: string
  /** What `written` was before they were counted. */
  readonly counted?: string
}

/** The part of a span that InfluxDB can be asked about, with its end in it. */
const rangeOf = ({ startNs, stopNs }: Span): Range => ({
  startNs: startNs < allTime.startNs ? allTime.startNs : startNs,
  endNs: stopNs > allTime.stopNs ? allTime.stopNs - 1n : stopNs - 1n
})

const firstWholeDayNs = dayOf(allTime.startNs) + dayNs

const described = flux`|> keep(columns: ["_time", "_measurement", "uuid", "hostname", "gpu_id", "device", "model"]) |> group()`

const dayCountReader: TableReader<readonly [dayNs: TimeNs, samples: number]> = (table) => {
  const [time, value] = ["_time", "_value"].map((label) => table.column(label).index)
  return (cells) => [parseTime(cells[time!]!)!, Number(cells[value!])]
}

const dayReader: TableReader<DayRecord> = (table) => {
  const [time, field, value] = ["_time", "_field", "_value"].map((label) => table.column(label).index)
  return (cells) => {
    const dayNs = parseTime(cells[time!]!)!
    const text = cells[value!]!
    switch (cells[field!]) {
      case "samples":
        return { dayNs, samples: Number(text) }
      case "written":
        return { dayNs, written: text }
      default:
        return { dayNs, counted: text }
    }
  }
}

export interface CatalogueQueries {
  readonly count: (span: Span) => Effect.Effect<number, StoreUnavailable>
  /** Samples of each day (UTC) in the span that holds some. */
  readonly countPerDay: (
    span: Span
  ) => Effect.Effect<ReadonlyArray<readonly [dayNs: TimeNs, samples: number]>, StoreUnavailable>
  /** The first sample of every series in the span, and the last. */
  readonly firsts: (span: Span) => Effect.Effect<ReadonlyArray<SeriesTimes>, StoreUnavailable>
  readonly lasts: (span: Span) => Effect.Effect<ReadonlyArray<SeriesTimes>, StoreUnavailable>
  /** What is kept of the days, one fact of one day each. */
  readonly days: Effect.Effect<ReadonlyArray<DayRecord>, StoreUnavailable>
  readonly keepDays: (records: ReadonlyArray<DayRecord>) => Effect.Effect<void, StoreUnavailable>
}

const dayLine = ({ dayNs, samples, written, counted }: DayRecord): string => {
  const fields = [
    ...(samples === undefined ? [] : [`samples=${samples}i`]),
    ...(written === undefined ? [] : [`written="${written}"`]),
    ...(counted === undefined ? [] : [`counted="${counted}"`])
  ]
  return `day ${fields.join(",")} ${dayNs}`
}

export const make = (connection: InfluxConnection, samples: SampleQueries): CatalogueQueries => {
  const beside = catalogueBucket(connection.config.bucket)

  /** One sample of a series: its tags, and its time as both ends. */
  const timesReader: TableReader<SeriesTimes> = (table) => {
    const series = samples.seriesReader(table)
    const { index } = table.column("_time")
    return (cells) => {
      const timeNs = timeOf(cells[index]!)
      return { tags: series(cells), firstNs: timeNs, lastNs: timeNs }
    }
  }
  return {
    count: (span) => samples.count(rangeOf(span), {}),
    countPerDay: ({ startNs, stopNs }) =>
      Effect.gen(function* () {
        // Asked for windows that begin with the first day of all time, which is not whole, InfluxDB 2.7 never ends.
        const rest = { startNs: startNs < firstWholeDayNs ? firstWholeDayNs : startNs, stopNs }
        const whole =
          rest.startNs < stopNs
            ? yield* samples.askCounts(
                (select) => flux`${select(rangeOf(rest), {})}
                  |> aggregateWindow(every: 1d, fn: count, createEmpty: false, timeSrc: "_start")
                  |> group(columns: ["_time"]) |> sum() |> group()`,
                dayCountReader
              )
            : []
        if (startNs >= firstWholeDayNs) return whole
        const first = yield* samples.count(rangeOf({ startNs, stopNs: firstWholeDayNs }), {})
        return first === 0 ? whole : [[dayOf(allTime.startNs), first] as const, ...whole]
      }),
    firsts: (span) =>
      samples.ask((select) => flux`${select(rangeOf(span), {})} |> first() ${described}`, timesReader),
    lasts: (span) =>
      samples.ask((select) => flux`${select(rangeOf(span), {})} |> last() ${described}`, timesReader),
    days: connection.query(
      flux`from(bucket: ${textLiteral(beside)}) |> range(start: time(v: ${fluxInteger(allTime.startNs)})) |> filter(fn: (r) => r._measurement == "day")`,
      dayReader
    ),
    keepDays: (records) =>
      connection
        .write(beside, records.filter(({ dayNs: start }) => start >= allTime.startNs).map(dayLine))
        .pipe(Effect.catchTag("WriteRefused", (refused) => Effect.die(refused)))
  }
}
