/**
 * Windows out of the file, some at a time.
 *
 * The database brings the samples of one window and series down to a figure, and the figures of a group are put together here; of
 * a percentile every value is needed. A slice is as many whole windows as hold a number of samples, at least one, so
 * that neither the first page of a long history nor another request has to wait for all of it. What is empty is jumped over.
 */
import { compareSeries, type Series } from "../../../protocol/Series.ts"
import type { TimeNs } from "../../../protocol/Time.ts"
import type { Aggregate, SampleOrder, WindowQuery, WindowValue } from "../../TelemetryStore.ts"
import { compareWindows, groupOf, percentile, percentileShares, windowStart } from "../windowing.ts"
import type { Requests, WindowSlice } from "./messages.ts"
import type { Range, Reader } from "./Reader.ts"

/** A figure of one series in one window, as the database gives it: what `columnsOf` asks for. */
type Row = readonly [
  window: number | bigint,
  sid: number | bigint,
  figure: number | bigint | null,
  second?: number | bigint
]

/** What the figures of a group come to. */
interface Group {
  add(row: Row, series: Series): void
  readonly value: number
}

class Sum implements Group {
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

class Extreme implements Group {
  constructor(
    public value: number,
    private readonly of: (a: number, b: number) => number
  ) {}

  add([, , figure]: Row): void {
    this.value = this.of(this.value, Number(figure))
  }
}

/** The value of what comes first, or last, in the global order. */
class Outermost implements Group {
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

class Percentile implements Group {
  private readonly values: Array<number> = []
  constructor(private readonly share: number) {}

  add([, , value]: Row): void {
    this.values.push(Number(value))
  }

  get value(): number {
    return percentile(new Float64Array(this.values).sort(), this.share)
  }
}

const makeGroup = (aggregate: Aggregate): Group => {
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

/** The windows of a slice, ascending. */
const valuesOf = (
  reader: Reader,
  slice: Range,
  { aggregate, groupBy, windowNs }: WindowQuery
): Array<WindowValue> => {
  const first = reader.nth(slice, "asc", 0)
  if (first === undefined) return []
  // Windows are counted from the first, so that doubles hold their numbers; where they don't, from the epoch, as bigints.
  const isWide = (slice.endNs - first) / windowNs > BigInt(Number.MAX_SAFE_INTEGER)
  const base = isWide ? 0n : windowStart(first, windowNs) / windowNs
  const rows: Array<WindowValue> = []
  let open: number | bigint | undefined
  let groups: Array<{ readonly metricName: string; readonly group: string; readonly values: Group }> = []
  let byKey = new Map<string, (typeof groups)[number]>()
  let bySeries = new Map<number, (typeof groups)[number]>()

  const close = (window: number | bigint): void => {
    const startNs = (base + BigInt(window)) * windowNs
    const closed = groups.map(({ metricName, group, values }) => ({
      startNs,
      metricName,
      group,
      value: values.value
    }))
    for (const row of closed.sort(compareWindows)) rows.push(row)
    groups = []
    byKey = new Map()
    bySeries = new Map()
  }

  const groupIn = (sid: number, series: Series): (typeof groups)[number] => {
    const known = bySeries.get(sid)
    if (known !== undefined) return known
    const group = groupOf(series, groupBy)
    const key = JSON.stringify([series.metricName, group])
    let found = byKey.get(key)
    if (found === undefined) {
      found = { metricName: series.metricName, group, values: makeGroup(aggregate) }
      byKey.set(key, found)
      groups.push(found)
    }
    bySeries.set(sid, found)
    return found
  }

  const isEveryValue = aggregate in percentileShares
  reader.each(
    `SELECT s.ts / ? - (s.ts % ? < 0) - ? AS window, s.sid, ${columnsOf(aggregate)} FROM ${slice.from}
     WHERE ${slice.where.sql} AND s.ts BETWEEN ? AND ? ${isEveryValue ? "ORDER BY s.ts" : "GROUP BY 1, 2 ORDER BY 1"}`,
    [...[windowNs, windowNs, base], ...slice.where.values, ...[slice.startNs, slice.endNs]],
    (row: Row) => {
      const window = row[0]
      const sid = Number(row[1])
      if (window !== open) {
        if (open !== undefined) close(open)
        open = window
      }
      const series = reader.series(sid)
      groupIn(sid, series).values.add(row, series)
    },
    isWide || aggregate === "first" || aggregate === "last"
  )
  if (open !== undefined) close(open)
  return rows
}

/** The first windows of a query, and where the others are. */
export const windowSlice = (
  reader: Reader,
  { oldestNs, query, samplesMax }: Requests["windows"]["request"]
): WindowSlice => {
  const { order, windowNs } = query
  const range = reader.range(query, oldestNs)
  const slice = range === undefined ? undefined : sliceOf(reader, range, order, windowNs, samplesMax)
  if (range === undefined || slice === undefined) return { rows: [], rest: undefined }
  const ascending = valuesOf(reader, slice, query)
  const isAscending = order === "asc"
  const rest = isAscending
    ? { startNs: slice.endNs + 1n, endNs: range.endNs }
    : { startNs: range.startNs, endNs: slice.startNs - 1n }
  return {
    rows: isAscending ? ascending : ascending.reverse(),
    rest: rest.startNs <= rest.endNs ? rest : undefined
  }
}
