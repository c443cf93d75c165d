/** The numbers that stand for series between the store and its threads. */

import type { Sample } from "../../../protocol/Sample.ts"
import { type Series, seriesKey } from "../../../protocol/Series.ts"
import type { Gpu } from "../../TelemetryStore.ts"
import type { Columns, GpuColumns, NumberedSeries } from "./messages.ts"
import { parseSeries } from "./series-text.ts"

/** Series that are remembered; above it all are forgotten, so that a process that sees ever new ones does not grow. */
const seriesMax = 200_000

/** Numbers series for a thread that is given samples. */
export class SeriesNumbering {
  private byKey = new Map<string, number>()
  private byObject = new WeakMap<Series, number>()

  columns(samples: ReadonlyArray<Sample>): Columns {
    const isForgetful = this.byKey.size > seriesMax
    if (isForgetful) {
      this.byKey = new Map()
      this.byObject = new WeakMap()
    }
    const newSeries: Array<NumberedSeries> = []
    const columns = {
      series: new Int32Array(samples.length),
      times: new BigInt64Array(samples.length),
      values: new Float64Array(samples.length)
    }
    for (let i = 0; i < samples.length; i++) {
      const { series, timeNs, value } = samples[i]!
      columns.series[i] = this.numberOf(series, newSeries)
      columns.times[i] = timeNs
      columns.values[i] = value
    }
    return { ...columns, newSeries, isForgetful }
  }

  private numberOf(series: Series, newSeries: Array<NumberedSeries>): number {
    const known = this.byObject.get(series)
    if (known !== undefined) return known
    const key = seriesKey(series)
    let number = this.byKey.get(key)
    if (number === undefined) {
      number = this.byKey.size
      this.byKey.set(key, number)
      newSeries.push([number, key])
    }
    this.byObject.set(series, number)
    return number
  }
}

/** Series by the numbers of a thread that answers with samples; all samples of one share its object. */
export class NumberedSeriesTable {
  private readonly byNumber = new Map<number, Series>()

  samples(columns: Columns): ReadonlyArray<Sample> {
    this.takeIn(columns)
    const { series, times, values } = columns
    return Array.from(series, (number, i) => ({
      series: this.byNumber.get(number)!,
      timeNs: times[i]!,
      value: values[i]!
    }))
  }

  gpus(columns: GpuColumns): ReadonlyArray<Gpu> {
    this.takeIn(columns)
    const { series, times, lastSeen } = columns
    return Array.from(series, (number, i) => {
      const { uuid, gpuId, device, modelName, hostname } = this.byNumber.get(number)!
      return { uuid, gpuId, device, modelName, hostname, firstSeenNs: times[i]!, lastSeenNs: lastSeen[i]! }
    })
  }

  private takeIn({ newSeries, isForgetful }: Columns): void {
    if (isForgetful) this.byNumber.clear()
    for (const [number, key] of newSeries) this.byNumber.set(number, parseSeries(key))
  }
}
