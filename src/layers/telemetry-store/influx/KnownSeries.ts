/**
 * Which series there are, by all that an answer tells of them, and from when to when.
 *
 * Series that differ in their container, pod, namespace or labels alone are one here. Pure: what is merged into it has
 * been read from InfluxDB, or has just been stored there.
 */
import type { Sample } from "../../../protocol/Sample.ts"
import { compareUtf8, type Series } from "../../../protocol/Series.ts"
import type { TimeNs } from "../../../protocol/Time.ts"
import type { Gpu, GpuFilter, SampleFilter } from "../../TelemetryStore.ts"

export type SeriesTags = Pick<Series, "metricName" | "uuid" | "hostname" | "gpuId" | "device" | "modelName">

/** Times of the oldest and the newest sample of the series with these tags. */
export interface SeriesTimes {
  readonly tags: SeriesTags
  readonly firstNs: TimeNs
  readonly lastNs: TimeNs
}

interface Known {
  readonly tags: SeriesTags
  firstNs: TimeNs
  lastNs: TimeNs
}

const keyOf = ({ metricName, uuid, hostname, gpuId, device, modelName }: SeriesTags): string =>
  JSON.stringify([metricName, uuid, hostname, gpuId ?? null, device, modelName])

/** The global order as far as these tags decide it. */
const compareTags = (a: SeriesTags, b: SeriesTags): number =>
  compareUtf8(a.metricName, b.metricName) ||
  compareUtf8(a.uuid, b.uuid) ||
  compareUtf8(a.hostname, b.hostname) ||
  (a.gpuId ?? -1) - (b.gpuId ?? -1) ||
  compareUtf8(a.device, b.device) ||
  compareUtf8(a.modelName, b.modelName)

const isNewer = (a: Known, b: Known): boolean =>
  a.lastNs === b.lastNs ? compareTags(a.tags, b.tags) > 0 : a.lastNs > b.lastNs

const gpuOf = (series: Iterable<Known>): Gpu | undefined => {
  let newest: Known | undefined
  let firstNs = 0n
  for (const known of series) {
    if (newest === undefined || known.firstNs < firstNs) firstNs = known.firstNs
    if (newest === undefined || isNewer(known, newest)) newest = known
  }
  if (newest === undefined) return undefined
  const { uuid, gpuId, device, modelName, hostname } = newest.tags
  return { uuid, gpuId, device, modelName, hostname, firstSeenNs: firstNs, lastSeenNs: newest.lastNs }
}

const isWanted = (tags: SeriesTags, filter: SampleFilter): boolean =>
  (filter.metricName === undefined || tags.metricName === filter.metricName) &&
  (filter.hostname === undefined || tags.hostname === filter.hostname) &&
  (filter.gpuId === undefined || tags.gpuId === filter.gpuId)

const ascending = (texts: Iterable<string>): ReadonlyArray<string> => [...new Set(texts)].sort(compareUtf8)

export class KnownSeries {
  private readonly byKey = new Map<string, Known>()
  private readonly byUuid = new Map<string, Array<Known>>()
  /** Spares the key of a `Series` object that was seen before. */
  private byObject = new WeakMap<Series, Known>()
  /** What is made of the series when it is asked for, until one of them changes. */
  private gpusMade: ReadonlyArray<Gpu> | undefined
  private namesMade: ReadonlyArray<string> | undefined

  /** How many there are. */
  get size(): number {
    return this.byKey.size
  }

  /** Whether a series is new, or as far as is known began after an instant. */
  mayBeginIn(tags: SeriesTags, startNs: TimeNs): boolean {
    const known = this.byKey.get(keyOf(tags))
    return known === undefined || known.firstNs > startNs
  }

  /** Adds a series, or widens its times. */
  merge({ tags, firstNs, lastNs }: SeriesTimes): void {
    const key = keyOf(tags)
    const known = this.byKey.get(key)
    if (known === undefined) this.add(key, { tags, firstNs, lastNs })
    else this.widen(known, firstNs, lastNs)
  }

  /** Widens the times of the series of samples. */
  mergeSamples(samples: ReadonlyArray<Sample>): void {
    for (const { series, timeNs } of samples) {
      const known = this.byObject.get(series)
      if (known !== undefined) {
        this.widen(known, timeNs, timeNs)
        continue
      }
      const { metricName, uuid, hostname, gpuId, device, modelName } = series
      const tags = { metricName, uuid, hostname, gpuId, device, modelName }
      this.merge({ tags, firstNs: timeNs, lastNs: timeNs })
      this.byObject.set(series, this.byKey.get(keyOf(tags))!)
    }
  }

  /** Forgets all and knows these. */
  replace(all: Iterable<SeriesTimes>): void {
    this.byKey.clear()
    this.byUuid.clear()
    this.byObject = new WeakMap()
    this.gpusMade = undefined
    this.namesMade = undefined
    for (const times of all) this.merge(times)
  }

  /** Ascending by UUID. */
  gpus(filter: GpuFilter): ReadonlyArray<Gpu> {
    this.gpusMade ??= ascending(this.byUuid.keys()).map((uuid) => gpuOf(this.byUuid.get(uuid)!)!)
    return filter.hostname === undefined && filter.modelName === undefined
      ? this.gpusMade
      : this.gpusMade.filter(
          (gpu) =>
            (filter.hostname === undefined || gpu.hostname === filter.hostname) &&
            (filter.modelName === undefined || gpu.modelName === filter.modelName)
        )
  }

  gpu(uuid: string): Gpu | undefined {
    return gpuOf(this.byUuid.get(uuid) ?? [])
  }

  /** Of one GPU or of all, ascending. */
  metricNames(uuid: string | undefined): ReadonlyArray<string> {
    if (uuid !== undefined) return ascending((this.byUuid.get(uuid) ?? []).map(({ tags }) => tags.metricName))
    this.namesMade ??= ascending([...this.byKey.values()].map(({ tags }) => tags.metricName))
    return this.namesMade
  }

  get gpuCount(): number {
    return this.byUuid.size
  }

  /** How many series match, and between which times their samples lie. */
  extent(
    filter: SampleFilter
  ): { readonly series: number; readonly firstNs: TimeNs; readonly lastNs: TimeNs } | undefined {
    const candidates = filter.uuid === undefined ? this.byKey.values() : (this.byUuid.get(filter.uuid) ?? [])
    let series = 0
    let firstNs = 0n
    let lastNs = 0n
    for (const known of candidates) {
      if (!isWanted(known.tags, filter)) continue
      if (series === 0 || known.firstNs < firstNs) firstNs = known.firstNs
      if (series === 0 || known.lastNs > lastNs) lastNs = known.lastNs
      series++
    }
    return series === 0 ? undefined : { series, firstNs, lastNs }
  }

  private widen(known: Known, firstNs: TimeNs, lastNs: TimeNs): void {
    if (firstNs < known.firstNs) {
      known.firstNs = firstNs
      this.gpusMade = undefined
    }
    if (lastNs > known.lastNs) {
      known.lastNs = lastNs
      this.gpusMade = undefined
    }
  }

  private add(key: string, known: Known): void {
    this.byKey.set(key, known)
    const siblings = this.byUuid.get(known.tags.uuid)
    if (siblings === undefined) this.byUuid.set(known.tags.uuid, [known])
    else siblings.push(known)
    this.gpusMade = undefined
    this.namesMade = undefined
  }
}
