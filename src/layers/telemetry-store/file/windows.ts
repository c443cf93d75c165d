/**
 * Windows out of the file, some at a time.
 *
 * The database brings the samples of one window and series down to a figure, and the figures of a group are put together here; of
 * a percentile every value is needed. A slice is as many whole windows as hold a number of samples, at least one, so
 * that neither the first page of a long history nor another request has to wait for all of it. What is empty is jumped over.
 */

import { compareSeries, compareUtf8, type Series } from "../../../protocol/Series.ts"
import type { TimeNs } from "../../../protocol/Time.ts"
import {
  type Aggregate,
  groupOf,
  percentile,
  percentileShares,
  windowStart
} from "../../../protocol/Window.ts"
import type { SampleOrder, WindowQuery } from "../../TelemetryStore.ts"
import type { Requests, WindowSlice } from "./messages.ts"
import type { Range, Reader } from "./Reader.ts"

/** A figure of one series in one window, as the database gives it: what `columnsOf` asks for. */
type Row = readonly [
  window: number | bigint,
  sid: number | bigint,
  figure: number | bigint | null,
  second?: number | bigint
]

/** What the rows of a metric and group come to in one window. */
interface Figure {
  add(row: Row, series: Series): void
  readonly value: number
}

class Sum implements Figure {
  private sum = 0
  private count = 0
  constructor(private readonly of: "sum" | "mean" | "count") {}

  add([, , sum, count]: Row): void {
    // Infinities that cancel out come as NULL.
    this.sum += sum === null ? Number.NaN : Number(sum)
    this.count += Number(count)
  }

  get value(): number {
    return this.of === "mean" ? this.sum / this.count : this.sum
  }
}

class Extreme implements Figure {
  constructor(
    public value: number,
    private readonly of: (a: number, b: number) => number
  ) {}

  add([, , figure]: Row): void {
    this.value = this.of(this.value, Number(figure))
  }
}

/** The value of what comes first, or last, in the global order. */
class Outermost implements Figure {
  value = 0
  private place: { readonly timeNs: bigint; readonly series: Series } | undefined
  constructor(private readonly sign: 1 | -1) {}

  add([, , value, time]: Row, series: Series): void {
    const timeNs = BigInt(time!)
    if (this.place !== undefined) {
      const order =
        timeNs < this.place.timeNs
          ? -1
          : timeNs > this.place.timeNs
            ? 1
            : compareSeries(series, this.place.series)
      if (order * this.sign > 0) return
    }
    this.place = { timeNs, series }
    this.value = Number(value)
  }
}

class Percentile implements Figure {
  private readonly values: Array<number> = []
  constructor(private readonly share: number) {}

  add([, , value]: Row): void {
    this.values.push(Number(value))
  }

  get value(): number {
    return percentile(new Float64Array(this.values).sort(), this.share)
  }
}

const makeFigure = (aggregate: Aggregate): Figure => {
  switch (aggregate) {
    case "mean":
    case "sum":
    case "count":
      return new Sum(aggregate)
    case "min":
      return new Extreme(Number.POSITIVE_INFINITY, Math.min)
    case "max":
      return new Extreme(Number.NEGATIVE_INFINITY, Math.max)
    case "first":
      return new Outermost(1)
    case "last":
      return new Outermost(-1)
    default:
      return new Percentile(percentileShares[aggregate])
  }
}

/** The figures of a window and series. Beside `min` and `max` a bare column is of the row that has it (SQLite, SELECT, 2.5). */
const columnsOf = (aggregate: Aggregate): string => {
  switch (aggregate) {
    case "mean":
    case "sum":
      return "sum(s.value), count(*)"
    case "count":
      return "count(*), 0"
    case "min":
    case "max":
      return `${aggregate}(s.value)`
    case "first":
      return "s.value, min(s.ts)"
    case "last":
      return "s.value, max(s.ts)"
    default:
      return "s.value"
  }
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const greatest = (a: bigint, b: bigint): bigint => (a > b ? a : b)

/** The part of a range, from its first sample on, that makes a slice. */
const sliceOf = (
  reader: Reader,
  range: Range,
  order: SampleOrder,
  windowNs: TimeNs,
  samplesMax: number
): Range | undefined => {
  const first = reader.nth(range, order, 0)
  if (first === undefined) return undefined
  const isAscending = order === "asc"
  const rest = isAscending ? { ...range, startNs: first } : { ...range, endNs: first }
  // Counted among all series, since those that are not wanted have to be passed over too.
  const beyond = reader.nth({ ...rest, where: range.walked }, order, samplesMax)
  if (beyond === undefined) return rest
  const own = windowStart(first, windowNs)
  const other = windowStart(beyond, windowNs)
  return isAscending
    ? { ...rest, endNs: least(greatest(own + windowNs, other) - 1n, range.endNs) }
    : { ...rest, startNs: greatest(least(own, other + windowNs), range.startNs) }
}

/** A metric and group of a slice, and their figure in the window that is being filled. */
interface Named {
  readonly metricName: string
  readonly group: string
  /** Its index among those of the slice, in the order they were found. */
  readonly index: number
  /** Its place in the order of windows among those found so far. */
  rank: number
  figure: Figure | undefined
}

/** Fills the windows of a slice, ascending, from rows that come window by window. */
class Filling {
  private readonly names: Array<Named> = []
  private readonly byKey = new Map<string, Named>()
  private readonly bySeries = new Map<number, Named>()
  private open: number | bigint | undefined
  private filled: Array<Named> = []
  private isRanked = true
  private readonly windows: Array<readonly [TimeNs, number]> = []
  private readonly named: Array<number> = []
  private readonly values: Array<number> = []

  constructor(
    private readonly reader: Reader,
    private readonly query: WindowQuery,
    /** Number of the window, from the epoch, that the rows count from. */
    private readonly base: bigint
  ) {}

  add(row: Row): void {
    const window = row[0]
    if (window !== this.open) {
      this.close()
      this.open = window
    }
    const sid = Number(row[1])
    const series = this.reader.series(sid)
    const named = this.namedOf(sid, series)
    if (named.figure === undefined) {
      named.figure = makeFigure(this.query.aggregate)
      this.filled.push(named)
    }
    named.figure.add(row, series)
  }

  /** All windows, in the order of the query. */
  result(rest: WindowSlice["rest"]): WindowSlice {
    this.close()
    const { windows, named, values } = this
    if (this.query.order === "desc") for (const column of [windows, named, values]) column.reverse()
    return {
      names: this.names.map(({ metricName, group }) => [metricName, group]),
      windows,
      named: Int32Array.from(named),
      values: Float64Array.from(values),
      rest
    }
  }

  private close(): void {
    if (this.open === undefined) return
    if (!this.isRanked) this.rank()
    this.filled.sort((a, b) => a.rank - b.rank)
    for (const named of this.filled) {
      this.named.push(named.index)
      this.values.push(named.figure!.value)
      named.figure = undefined
    }
    this.windows.push([(this.base + BigInt(this.open)) * this.query.windowNs, this.filled.length])
    this.filled = []
    this.open = undefined
  }

  private rank(): void {
    const ordered = [...this.names].sort(
      (a, b) => compareUtf8(a.metricName, b.metricName) || compareUtf8(a.group, b.group)
    )
    for (let rank = 0; rank < ordered.length; rank++) ordered[rank]!.rank = rank
    this.isRanked = true
  }

  private namedOf(sid: number, series: Series): Named {
    const known = this.bySeries.get(sid)
    if (known !== undefined) return known
    const { metricName } = series
    const group = groupOf(series, this.query.groupBy)
    const key = JSON.stringify([metricName, group])
    let named = this.byKey.get(key)
    if (named === undefined) {
      named = { metricName, group, index: this.names.length, rank: 0, figure: undefined }
      this.byKey.set(key, named)
      this.names.push(named)
      this.isRanked = false
    }
    this.bySeries.set(sid, named)
    return named
  }
}

const fill = (reader: Reader, slice: Range, query: WindowQuery): Filling => {
  const { aggregate, windowNs } = query
  const first = reader.nth(slice, "asc", 0) ?? 0n
  // Windows are counted from the first, so that doubles hold their numbers; where they don't, from the epoch, as bigints.
  const isWide = (slice.endNs - first) / windowNs > BigInt(Number.MAX_SAFE_INTEGER)
  const base = isWide ? 0n : windowStart(first, windowNs) / windowNs
  const filling = new Filling(reader, query, base)
  const order = aggregate in percentileShares ? "ORDER BY s.ts" : "GROUP BY 1, 2 ORDER BY 1, 2"
  reader.each(
    `SELECT s.ts / ? - (s.ts % ? < 0) - ? AS window, s.sid, ${columnsOf(aggregate)} FROM ${slice.from}
     WHERE ${slice.where.sql} AND s.ts BETWEEN ? AND ? ${order}`,
    [windowNs, windowNs, base, ...slice.where.values, slice.startNs, slice.endNs],
    (row: Row) => filling.add(row),
    isWide || aggregate === "first" || aggregate === "last"
  )
  return filling
}

const nothing: WindowSlice = {
  names: [],
  windows: [],
  named: new Int32Array(),
  values: new Float64Array(),
  rest: undefined
}

/** The first windows of a query, and where the others are. */
export const windowSlice = (
  reader: Reader,
  { oldestNs, query, samplesMax }: Requests["windows"]["request"]
): WindowSlice => {
  const { order, windowNs } = query
  const range = reader.range(query, oldestNs)
  const slice = range === undefined ? undefined : sliceOf(reader, range, order, windowNs, samplesMax)
  if (range === undefined || slice === undefined) return nothing
  const rest =
    order === "asc"
      ? { startNs: slice.endNs + 1n, endNs: range.endNs }
      : { startNs: range.startNs, endNs: slice.startNs - 1n }
  return fill(reader, slice, query).result(rest.startNs <= rest.endNs ? rest : undefined)
}
