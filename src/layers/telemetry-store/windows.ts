/**
 * Windows out of samples that come in the global order, for stores that have nothing better to make them of.
 *
 * One window is held at a time: a running figure per metric and group, or, for a percentile, its values.
 */

import { Chunk, Effect, Option, Stream } from "effect"
import type { Sample } from "../../protocol/Sample.ts"
import type { Series } from "../../protocol/Series.ts"
import type { TimeNs } from "../../protocol/Time.ts"
import {
  type Aggregate,
  compareWindows,
  groupOf,
  percentile,
  percentileShares,
  windowStart
} from "../../protocol/Window.ts"
import type { WindowQuery, WindowValue } from "../TelemetryStore.ts"

/** Takes the values of a window in the order of the query, and tells what they come to. */
interface Accumulator {
  add(value: number): void
  readonly result: number
}

/** A sum whose rounding does not depend on how many values there are (Neumaier, 1974). */
class Sum implements Accumulator {
  private sum = 0
  private lost = 0
  private count = 0
  constructor(private readonly of: "sum" | "mean") {}

  add(value: number): void {
    this.count++
    const sum = this.sum + value
    this.lost += Math.abs(this.sum) >= Math.abs(value) ? this.sum - sum + value : value - sum + this.sum
    this.sum = sum
  }

  get result(): number {
    const sum = Number.isFinite(this.lost) ? this.sum + this.lost : this.sum
    return this.of === "sum" ? sum : sum / this.count
  }
}

class Folded implements Accumulator {
  result: number
  constructor(
    initial: number,
    private readonly fold: (result: number, value: number) => number
  ) {
    this.result = initial
  }

  add(value: number): void {
    this.result = this.fold(this.result, value)
  }
}

/** The first value that is added. */
class Earliest implements Accumulator {
  private found: number | undefined

  add(value: number): void {
    this.found ??= value
  }

  get result(): number {
    return this.found!
  }
}

class Percentile implements Accumulator {
  private readonly values: Array<number> = []
  constructor(private readonly share: number) {}

  add(value: number): void {
    this.values.push(value)
  }

  get result(): number {
    return percentile(new Float64Array(this.values).sort(), this.share)
  }
}

const accumulatorOf = (aggregate: Aggregate, isAscending: boolean): Accumulator => {
  switch (aggregate) {
    case "mean":
    case "sum":
      return new Sum(aggregate)
    case "min":
      return new Folded(Number.POSITIVE_INFINITY, Math.min)
    case "max":
      return new Folded(Number.NEGATIVE_INFINITY, Math.max)
    case "count":
      return new Folded(0, (count) => count + 1)
    case "first":
      return isAscending ? new Earliest() : new Folded(0, (_, value) => value)
    case "last":
      return isAscending ? new Folded(0, (_, value) => value) : new Earliest()
    default:
      return new Percentile(percentileShares[aggregate])
  }
}

/** The value of one metric and group in the window that is being filled. */
interface OpenGroup {
  readonly metricName: string
  readonly group: string
  readonly values: Accumulator
}

/** The window that is being filled. */
class OpenWindow {
  private readonly groups: Array<OpenGroup> = []
  private readonly byMetric = new Map<string, Map<string, OpenGroup>>()
  private readonly endNs: TimeNs

  constructor(
    readonly startNs: TimeNs,
    private readonly query: WindowQuery
  ) {
    this.endNs = startNs + query.windowNs
  }

  holds(timeNs: TimeNs): boolean {
    return timeNs >= this.startNs && timeNs < this.endNs
  }

  add({ series, value }: Sample): void {
    this.groupOf(series).values.add(value)
  }

  private groupOf(series: Series): OpenGroup {
    const { metricName } = series
    let byGroup = this.byMetric.get(metricName)
    if (byGroup === undefined) {
      byGroup = new Map()
      this.byMetric.set(metricName, byGroup)
    }
    const group = groupOf(series, this.query.groupBy)
    let found = byGroup.get(group)
    if (found === undefined) {
      const { aggregate, order } = this.query
      found = { metricName, group, values: accumulatorOf(aggregate, order === "asc") }
      byGroup.set(group, found)
      this.groups.push(found)
    }
    return found
  }

  get rows(): ReadonlyArray<WindowValue> {
    const { startNs } = this
    const rows = this.groups.map(
      ({ metricName, group, values }): WindowValue => ({ startNs, metricName, group, value: values.result })
    )
    rows.sort(compareWindows)
    return this.query.order === "asc" ? rows : rows.reverse()
  }
}

/**
 * The windows of a query's samples, which come in its order. Between two chunks of them others have their turn, as a window may
 * take any number before there is anything to answer.
 */
export const windowsOf = <E>(
  query: WindowQuery,
  samples: Stream.Stream<ReadonlyArray<Sample>, E>
): Stream.Stream<ReadonlyArray<WindowValue>, E> =>
  Stream.suspend(() => {
    let open: OpenWindow | undefined
    /** Takes samples in, and gives the windows that are full by them. */
    const fill = (chunk: ReadonlyArray<Sample>): ReadonlyArray<WindowValue> => {
      const rows: Array<WindowValue> = []
      for (const sample of chunk) {
        if (open === undefined || !open.holds(sample.timeNs)) {
          if (open !== undefined) for (const row of open.rows) rows.push(row)
          open = new OpenWindow(windowStart(sample.timeNs, query.windowNs), query)
        }
        open.add(sample)
      }
      return rows
    }
    const full = Stream.mapEffect(samples, (chunk) => Effect.as(Effect.yieldNow(), fill(chunk)))
    const last = Stream.suspend(() =>
      Stream.fromChunk(Chunk.fromIterable(Option.toArray(Option.fromNullable(open?.rows))))
    )
    return Stream.filter(Stream.concat(full, last), (rows) => rows.length > 0)
  })
