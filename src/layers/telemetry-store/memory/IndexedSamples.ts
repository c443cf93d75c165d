/**
 * The samples of the memory store and the ways into them. Synchronous: whoever calls sees one state from start to end.
 */
import type { Sample } from "../../../protocol/Sample.ts"
import { compareSeries, compareUtf8, type Series, seriesKey } from "../../../protocol/Series.ts"
import type { TimeNs } from "../../../protocol/Time.ts"
import type { Gpu, Page, SampleFilter, SampleQuery, StoreStats } from "../../TelemetryStore.ts"
import { EvictionHeap } from "./EvictionHeap.ts"
import { mergeRanges, type SeriesRange } from "./Merge.ts"
import { partitionPoint, RankedSeries, SeriesByTag, type StoredSeries } from "./StoredSeries.ts"

const isWanted = (series: Series, filter: SampleFilter): boolean =>
  (filter.uuid === undefined || series.uuid === filter.uuid) &&
  (filter.metricName === undefined || series.metricName === filter.metricName) &&
  (filter.hostname === undefined || series.hostname === filter.hostname) &&
  (filter.gpuId === undefined || series.gpuId === filter.gpuId)

export class IndexedSamples {
  private readonly byKey = new Map<string, StoredSeries>()
  /** Spares the key of a `Series` object that was seen before. May lead to a series that is in the store no more. */
  private readonly byObject = new WeakMap<Series, StoredSeries>()
  private readonly ranked = new RankedSeries()
  private readonly byUuid = new SeriesByTag((series) => series.uuid)
  private readonly byMetric = new SeriesByTag((series) => series.metricName)
  private readonly evictionHeap = new EvictionHeap()
  private size = 0
  private evicted = 0
  private newestNs: TimeNs | undefined

  /** Stores a sample, replacing the value of an equal identity. */
  put(sample: Sample): void {
    const stored = this.storedOf(sample.series)
    const { samples } = stored
    const isNewSeries = samples.size === 0
    const becomesFirst = !isNewSeries && sample.timeNs < samples.firstNs
    if (!samples.set(sample.timeNs, sample.value)) return
    this.size++
    if (this.newestNs === undefined || sample.timeNs > this.newestNs) this.newestNs = sample.timeNs
    if (isNewSeries) this.evictionHeap.add(stored)
    else if (becomesFirst) this.evictionHeap.firstBecameOlder(stored)
  }

  /** Evicts the oldest samples of the global order until at most `samplesMax` are left. */
  evictDownTo(samplesMax: number): void {
    while (this.size > samplesMax) {
      const oldest = this.evictionHeap.oldest!
      oldest.samples.dropFirst()
      this.countEvicted(oldest, 1)
    }
  }

  /** Evicts every sample before `time`. */
  evictBefore(time: TimeNs): void {
    for (;;) {
      const oldest = this.evictionHeap.oldest
      if (oldest === undefined || oldest.samples.firstNs >= time) return
      this.countEvicted(oldest, oldest.samples.dropBefore(time))
    }
  }

  /** A slice of a query's result. */
  page(query: SampleQuery, { limit, start }: Page): ReadonlyArray<Sample> {
    return "after" in start
      ? mergeRanges(this.rangesBehind(query, start.after), query.order, 0, limit)
      : mergeRanges(this.ranges(query), query.order, start.offset, limit)
  }

  /** Time of the newest sample that a query has in its result. */
  newestOf(query: SampleQuery): TimeNs | undefined {
    return mergeRanges(this.ranges(query), "desc", 0, 1)[0]?.timeNs
  }

  /** Every UUID, ascending (UTF-8). */
  get uuids(): ReadonlyArray<string> {
    return this.byUuid.tags
  }

  gpu(uuid: string): Gpu | undefined {
    let newest: StoredSeries | undefined
    let firstSeenNs = 0n
    let lastSeenNs = 0n
    for (const stored of this.byUuid.get(uuid)) {
      const { firstNs, lastNs } = stored.samples
      if (newest === undefined || firstNs < firstSeenNs) firstSeenNs = firstNs
      // Ascending by rank: of two that are equally new, the later one is the newest in the global order.
      if (newest === undefined || lastNs >= lastSeenNs) {
        newest = stored
        lastSeenNs = lastNs
      }
    }
    if (newest === undefined) return undefined
    const { gpuId, device, modelName, hostname } = newest.series
    return { uuid, gpuId, device, modelName, hostname, firstSeenNs, lastSeenNs }
  }

  /** Names of the metrics of one GPU or of all, ascending (UTF-8). */
  metricNames(uuid: string | undefined): ReadonlyArray<string> {
    if (uuid === undefined) return this.byMetric.tags
    const names = new Set(this.byUuid.get(uuid).map(({ series }) => series.metricName))
    return [...names].sort(compareUtf8)
  }

  get stats(): StoreStats {
    const counts = { gpus: this.byUuid.size, samples: this.size, evicted: this.evicted }
    const oldest = this.evictionHeap.oldest
    return oldest === undefined || this.newestNs === undefined
      ? counts
      : { ...counts, oldestNs: oldest.samples.firstNs, newestNs: this.newestNs }
  }

  private storedOf(series: Series): StoredSeries {
    const known = this.byObject.get(series)
    if (known !== undefined && known.heapIndex >= 0) return known
    const key = seriesKey(series)
    let stored = this.byKey.get(key)
    if (stored === undefined) {
      stored = this.ranked.add(series)
      this.byKey.set(key, stored)
      this.byUuid.add(stored)
      this.byMetric.add(stored)
    }
    this.byObject.set(series, stored)
    return stored
  }

  /** Follows up on samples that the series of the oldest one has lost from its front. */
  private countEvicted(stored: StoredSeries, count: number): void {
    this.size -= count
    this.evicted += count
    if (stored.samples.size > 0) {
      this.evictionHeap.firstBecameNewer(stored)
      return
    }
    this.evictionHeap.removeOldest()
    this.byKey.delete(seriesKey(stored.series))
    this.ranked.remove(stored)
    this.byUuid.remove(stored)
    this.byMetric.remove(stored)
    if (this.size === 0) this.newestNs = undefined
  }

  /** The most narrow group of series that holds all that are wanted, ascending by rank. */
  private candidates(filter: SampleFilter): ReadonlyArray<StoredSeries> {
    return filter.uuid !== undefined
      ? this.byUuid.get(filter.uuid)
      : filter.metricName !== undefined
        ? this.byMetric.get(filter.metricName)
        : this.ranked.members
  }

  private ranges(filter: SampleFilter): Array<SeriesRange> {
    const ranges: Array<SeriesRange> = []
    for (const stored of this.candidates(filter)) {
      if (!isWanted(stored.series, filter)) continue
      const { samples } = stored
      const from = filter.startNs === undefined ? samples.begin : samples.lowerBound(filter.startNs)
      const to = filter.endNs === undefined ? samples.end : samples.lowerBound(filter.endNs + 1n)
      if (from < to) ranges.push({ stored, from, to })
    }
    return ranges
  }

  /** What of a query's result lies strictly behind an identity, whether that sample is there or not. */
  private rangesBehind(query: SampleQuery, after: Pick<Sample, "series" | "timeNs">): Array<SeriesRange> {
    const ranges = this.ranges(query)
    const { series, timeNs } = after
    // Of the samples at the very instant of `after`, those of series from here on come later than it, or are it.
    const later = partitionPoint(ranges, ({ stored }) => {
      const order = compareSeries(stored.series, series)
      return order < 0 || (order === 0 && query.order === "asc")
    })
    for (let i = 0; i < ranges.length; i++) {
      const range = ranges[i]!
      const boundary = range.stored.samples.lowerBound(i < later ? timeNs + 1n : timeNs)
      if (query.order === "asc") range.from = Math.max(range.from, boundary)
      else range.to = Math.min(range.to, boundary)
    }
    return ranges
  }
}
