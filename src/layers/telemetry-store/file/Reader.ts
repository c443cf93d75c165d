/**
 * What reads from the file. Every request sees the file as it is at one moment.
 *
 * A page walks the samples of one GPU, or the index over time for all GPUs, from where it begins; only samples of one instant
 * are sorted. Which series are wanted is looked up first: nothing is walked for none, and nothing beyond their newest.
 */
import type { Series } from "../../../protocol/Series.ts"
import type { TimeNs } from "../../../protocol/Time.ts"
import type { SampleFilter, SampleOrder } from "../../TelemetryStore.ts"
import { type Connection, inTransaction } from "./database.ts"
import type { Columns, GpuColumns, PageStart, Requests, StatsRow } from "./messages.ts"
import { Statements, type Value } from "./Statements.ts"
import { parseSeries } from "./series-text.ts"
import { sortKey, textKey } from "./sort-key.ts"

/** Series that the store is told of before it is told to forget them all. */
const toldSeriesMax = 200_000
/** Series that are remembered for windows; above it all are forgotten. */
const parsedSeriesMax = 50_000

/** A condition and what is bound in it. */
interface Condition {
  readonly sql: string
  readonly values: ReadonlyArray<Value>
}

/** Which rows of `samples` (as `s`) are wanted, and the index that is walked to find them. */
export interface Range {
  readonly from: string
  readonly where: Condition
  /** Which rows are walked; those of `where` are among them. */
  readonly walked: Condition
  readonly startNs: TimeNs
  readonly endNs: TimeNs
}

const conditions = (...all: ReadonlyArray<Condition | undefined>): Condition => {
  const given = all.filter((one) => one !== undefined)
  return {
    sql: given.length === 0 ? "TRUE" : given.map(({ sql }) => sql).join(" AND "),
    values: given.flatMap(({ values }) => values)
  }
}

const equals = (column: string, value: Value | undefined): Condition | undefined =>
  value === undefined ? undefined : { sql: `${column} = ?`, values: [value] }

const textEquals = (column: string, text: string | undefined): Condition | undefined =>
  equals(column, text === undefined ? undefined : textKey(text))

export class Reader {
  private readonly statements: Statements
  private readonly told = new Set<number>()
  private readonly parsed = new Map<number, Series>()

  constructor(connection: Connection) {
    this.statements = new Statements(connection)
  }

  /** Runs `read` on the file as it is now. */
  atOneMoment<A>(read: () => A): A {
    return inTransaction(this.statements.connection, "DEFERRED", read)
  }

  /** Where the samples of a filter are; none where it can't have any. */
  range(filter: SampleFilter, oldestNs: TimeNs): Range | undefined {
    const { uuid, metricName, hostname, gpuId } = filter
    const startNs = filter.startNs === undefined || filter.startNs < oldestNs ? oldestNs : filter.startNs
    let endNs = filter.endNs ?? 2n ** 63n - 1n
    let gpu: bigint | undefined
    if (uuid !== undefined) {
      const found = this.statements.row<[bigint]>("SELECT gpu FROM gpus WHERE uuid = ?", textKey(uuid))
      if (found === undefined) return undefined
      gpu = found[0]
    }
    let ofSeries: Condition | undefined
    if (metricName !== undefined || hostname !== undefined || gpuId !== undefined) {
      const wanted = conditions(
        equals("gpu", gpu),
        textEquals("metric", metricName),
        textEquals("hostname", hostname),
        equals("gpu_id", gpuId)
      )
      const [newestNs] = this.statements.row<[bigint | null]>(
        `SELECT max(last_ns) FROM series JOIN latest USING (sid) WHERE ${wanted.sql}`,
        ...wanted.values
      )!
      if (newestNs === null) return undefined
      if (newestNs < endNs) endNs = newestNs
      ofSeries = { sql: `s.sid IN (SELECT sid FROM series WHERE ${wanted.sql})`, values: wanted.values }
    }
    if (startNs > endNs) return undefined
    return {
      from: gpu === undefined ? "samples s INDEXED BY samples_ts" : "samples s",
      where: conditions(equals("s.gpu", gpu), ofSeries),
      walked: conditions(equals("s.gpu", gpu)),
      startNs,
      endNs
    }
  }

  page({ oldestNs, filter, order, limit, start }: Requests["page"]["request"]): Columns {
    const range = this.range(filter, oldestNs)
    if (range === undefined) return this.columns([])
    if ("after" in start) return this.columns(this.behind(range, order, limit, start.after))
    if (start.offset === 0) return this.columns(this.walk(range, order, limit, 0))
    const skipped = this.skip(range, order, start.offset)
    return this.columns(skipped === undefined ? [] : this.walk(skipped.range, order, limit, skipped.offset))
  }

  /** Time of the newest sample of a filter. */
  newest({ oldestNs, filter }: Requests["newest"]["request"]): TimeNs | undefined {
    const range = this.range(filter, oldestNs)
    return range === undefined ? undefined : this.nth(range, "desc", 0)
  }

  /** A series that is in the file. */
  series(sid: number): Series {
    let series = this.parsed.get(sid)
    if (series === undefined) {
      series = parseSeries(this.seriesKey(sid))
      if (this.parsed.size >= parsedSeriesMax) this.parsed.clear()
      this.parsed.set(sid, series)
    }
    return series
  }

  /** Gives every row of a query to `use`. */
  each<Row>(sql: string, values: ReadonlyArray<Value>, use: (row: Row) => void, hasBigints: boolean): void {
    this.statements.each(sql, values, use, hasBigints)
  }

  /** Time of a sample of a range, counted from its beginning. */
  nth(range: Range, order: SampleOrder, index: number): TimeNs | undefined {
    return this.statements.row<[bigint]>(
      `SELECT s.ts FROM ${range.from} WHERE ${range.where.sql} AND s.ts BETWEEN ? AND ?
       ORDER BY s.ts ${order} LIMIT 1 OFFSET ?`,
      ...range.where.values,
      range.startNs,
      range.endNs,
      index
    )?.[0]
  }

  gpus({ oldestNs, filter }: Requests["gpus"]["request"]): GpuColumns {
    const { uuid, hostname, modelName } = filter
    const where = conditions(textEquals("uuid", uuid), textEquals("hostname", hostname))
    const rows = this.statements
      .rows<[bigint, bigint, bigint]>(
        `SELECT (SELECT min(ts) FROM samples WHERE samples.gpu = gpus.gpu AND ts >= ?), newest_sid, last_ns
         FROM gpus CROSS JOIN series ON sid = newest_sid WHERE last_ns >= ? AND ${where.sql} ORDER BY uuid`,
        oldestNs,
        oldestNs,
        ...where.values
      )
      .filter(([, sid]) => modelName === undefined || this.series(Number(sid)).modelName === modelName)
    return {
      ...this.columns(rows.map(([firstSeenNs, sid]) => [firstSeenNs, sid, 0])),
      lastSeen: BigInt64Array.from(rows, ([, , lastSeenNs]) => lastSeenNs)
    }
  }

  /** Names of metrics, ascending. Of all GPUs they are looked up one behind the other, for there are far fewer than series. */
  metricNames({ oldestNs, uuid }: Requests["metricNames"]["request"]): ReadonlyArray<string> {
    const found =
      uuid === undefined
        ? this.statements.rows<[bigint | null]>(
            `WITH RECURSIVE names (metric) AS (
               SELECT min(metric) FROM series
               UNION ALL
               SELECT (SELECT min(metric) FROM series WHERE series.metric > names.metric) FROM names
               WHERE metric IS NOT NULL
             )
             SELECT (SELECT sid FROM series CROSS JOIN latest USING (sid)
               WHERE series.metric = names.metric AND last_ns >= ? LIMIT 1)
             FROM names WHERE metric IS NOT NULL ORDER BY metric`,
            oldestNs
          )
        : this.statements.rows<[bigint]>(
            `SELECT sid FROM series CROSS JOIN latest USING (sid)
             WHERE last_ns >= ? AND gpu = (SELECT gpu FROM gpus WHERE uuid = ?) GROUP BY metric ORDER BY metric`,
            oldestNs,
            textKey(uuid)
          )
    return found.flatMap(([sid]) => (sid === null ? [] : [this.series(Number(sid)).metricName]))
  }

  stats({ oldestNs }: Requests["stats"]["request"]): StatsRow {
    const [samples, evicted, expired, gpus, oldest, newest] = this.statements.row<
      [bigint, bigint, bigint, bigint, bigint | null, bigint | null]
    >(
      `SELECT (SELECT value FROM figures WHERE name = 'samples'), (SELECT value FROM figures WHERE name = 'evicted'),
         (SELECT count(*) FROM samples INDEXED BY samples_ts WHERE ts < ?),
         (SELECT count(*) FROM gpus WHERE last_ns >= ?),
         (SELECT min(ts) FROM samples INDEXED BY samples_ts WHERE ts >= ?),
         (SELECT max(ts) FROM samples INDEXED BY samples_ts WHERE ts >= ?)`,
      oldestNs,
      oldestNs,
      oldestNs,
      oldestNs
    )!
    return {
      gpus: Number(gpus),
      samples: Number(samples - expired),
      evicted: Number(evicted + expired),
      oldestNs: oldest ?? undefined,
      newestNs: newest ?? undefined
    }
  }

  /** Some samples of a range in the global order. */
  private walk(
    range: Range,
    order: SampleOrder,
    limit: number,
    offset: number,
    more: Condition = conditions()
  ): Array<[bigint, bigint, number]> {
    return this.statements.rows(
      `SELECT s.ts, s.sid, s.value FROM ${range.from} CROSS JOIN series ON series.sid = s.sid
       WHERE ${range.where.sql} AND s.ts BETWEEN ? AND ? AND ${more.sql}
       ORDER BY s.ts ${order}, sort_key ${order} LIMIT ? OFFSET ?`,
      ...range.where.values,
      range.startNs,
      range.endNs,
      ...more.values,
      limit,
      offset
    )
  }

  /** Some samples of a range strictly behind a place in the global order. */
  private behind(
    range: Range,
    order: SampleOrder,
    limit: number,
    { series, timeNs }: Extract<PageStart, { after: unknown }>["after"]
  ): Array<[bigint, bigint, number]> {
    const isAscending = order === "asc"
    const behind = isAscending
      ? { ...range, startNs: timeNs > range.startNs ? timeNs : range.startNs }
      : { ...range, endNs: timeNs < range.endNs ? timeNs : range.endNs }
    if (behind.startNs > behind.endNs) return []
    return this.walk(behind, order, limit, 0, {
      sql: isAscending ? "(s.ts > ? OR sort_key > ?)" : "(s.ts < ? OR sort_key < ?)",
      values: [timeNs, sortKey(parseSeries(series))]
    })
  }

  /** The range from the instant on that holds its `offset`-th sample, and which of that instant's samples this is. */
  private skip(
    range: Range,
    order: SampleOrder,
    offset: number
  ): { readonly range: Range; readonly offset: number } | undefined {
    const timeNs = this.nth(range, order, offset)
    if (timeNs === undefined) return undefined
    const [before] = this.statements.row<[bigint]>(
      `SELECT count(*) FROM ${range.from} WHERE ${range.where.sql} AND s.ts BETWEEN ? AND ? AND s.ts <> ?`,
      ...range.where.values,
      order === "asc" ? range.startNs : timeNs,
      order === "asc" ? timeNs : range.endNs,
      timeNs
    )!
    return {
      range: order === "asc" ? { ...range, startNs: timeNs } : { ...range, endNs: timeNs },
      offset: offset - Number(before)
    }
  }

  private seriesKey(sid: number): string {
    return this.statements.row<[string]>("SELECT series FROM series WHERE sid = ?", sid)![0]
  }

  private columns(rows: ReadonlyArray<[bigint, bigint, number]>): Columns {
    const isForgetful = this.told.size > toldSeriesMax
    if (isForgetful) this.told.clear()
    const newSeries = new Map<number, string>()
    const columns = {
      series: new Int32Array(rows.length),
      times: new BigInt64Array(rows.length),
      values: new Float64Array(rows.length)
    }
    for (let i = 0; i < rows.length; i++) {
      const [timeNs, sid, value] = rows[i]!
      const number = Number(sid)
      columns.series[i] = number
      columns.times[i] = timeNs
      columns.values[i] = value
      if (!this.told.has(number) && !newSeries.has(number)) newSeries.set(number, this.seriesKey(number))
    }
    for (const number of newSeries.keys()) this.told.add(number)
    return { ...columns, newSeries: [...newSeries], isForgetful }
  }
}
