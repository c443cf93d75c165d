/**
 * The series that the store holds samples of, and their order.
 *
 * A series gets a *rank* when it is added: a number that compares as `compareSeries` does. Merging and evicting compare
 * ranks millions of times where comparing a dozen texts would cost most of their time.
 */
import { compareSeries, compareUtf8, type Series } from "../../../protocol/Series.ts"
import { SampleBlocks } from "./SampleBlocks.ts"

/** A series with its samples. It is in the store while it has any. */
export interface StoredSeries {
  readonly series: Series
  readonly samples: SampleBlocks
  rank: number
  /** Its place in the eviction heap; -1 once it is in the store no more. */
  heapIndex: number
}

/** Index of the first member for which `isBefore` does not hold; it holds for a beginning of them. */
export const partitionPoint = <A>(members: ReadonlyArray<A>, isBefore: (member: A) => boolean): number => {
  let low = 0
  let high = members.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(members[middle]!)) low = middle + 1
    else high = middle
  }
  return low
}

/** Series in one chunk: what a splice has to move at most, where one array of all would move megabytes. */
const chunkSeriesMax = 512

/** Series in an order, in chunks so that adding and removing one is cheap among hundreds of thousands. */
class SortedSeries {
  private readonly chunks: Array<Array<StoredSeries>> = []
  private flat: ReadonlyArray<StoredSeries> | undefined

  get isEmpty(): boolean {
    return this.chunks.length === 0
  }

  /** All of them in order. Put together again when asked for after a change, which is rarer than a sample. */
  get members(): ReadonlyArray<StoredSeries> {
    this.flat ??= this.chunks.flat()
    return this.flat
  }

  /** Adds one behind those for which `isBefore` holds; who its neighbours are. */
  insert(
    stored: StoredSeries,
    isBefore: (member: StoredSeries) => boolean
  ): { readonly previous: StoredSeries | undefined; readonly next: StoredSeries | undefined } {
    this.flat = undefined
    const index = Math.min(
      partitionPoint(this.chunks, (chunk) => isBefore(chunk.at(-1)!)),
      Math.max(this.chunks.length - 1, 0)
    )
    this.chunks[index] ??= []
    const chunk = this.chunks[index]!
    const place = partitionPoint(chunk, isBefore)
    const previous = chunk[place - 1] ?? this.chunks[index - 1]?.at(-1)
    const next = chunk[place]
    chunk.splice(place, 0, stored)
    if (chunk.length > chunkSeriesMax) this.chunks.splice(index + 1, 0, chunk.splice(chunkSeriesMax / 2))
    return { previous, next }
  }

  /** Removes one that is in here, of an order that is that of the ranks. */
  remove(stored: StoredSeries): void {
    this.flat = undefined
    const index = partitionPoint(this.chunks, (chunk) => chunk.at(-1)!.rank < stored.rank)
    const chunk = this.chunks[index]!
    const place = partitionPoint(chunk, (member) => member.rank < stored.rank)
    chunk.splice(place, 1)
    if (chunk.length === 0) this.chunks.splice(index, 1)
  }
}

/** Every series of the store in the order of `compareSeries`. */
export class RankedSeries {
  private readonly sorted = new SortedSeries()

  get members(): ReadonlyArray<StoredSeries> {
    return this.sorted.members
  }

  /** Takes up a series that is not in here, without samples yet. */
  add(series: Series): StoredSeries {
    const stored: StoredSeries = { series, samples: new SampleBlocks(), rank: 0, heapIndex: -1 }
    const neighbours = this.sorted.insert(stored, (member) => compareSeries(member.series, series) < 0)
    const previous = neighbours.previous?.rank
    const next = neighbours.next?.rank
    stored.rank =
      previous === undefined ? (next ?? 0) - 1 : next === undefined ? previous + 1 : (previous + next) / 2
    // A gap can be halved some forty times before a double has no number in between.
    if (stored.rank === previous || stored.rank === next) this.dealRanks()
    return stored
  }

  remove(stored: StoredSeries): void {
    this.sorted.remove(stored)
  }

  /** New ranks in the same order, so that whatever is sorted by rank stays sorted. */
  private dealRanks(): void {
    const { members } = this.sorted
    for (let i = 0; i < members.length; i++) members[i]!.rank = i
  }
}

/** Series by the value of one tag, each group in the order of ranks. */
export class SeriesByTag {
  private readonly groups = new Map<string, SortedSeries>()
  private sortedTags: ReadonlyArray<string> | undefined
  private readonly tagOf: (series: Series) => string

  constructor(tagOf: (series: Series) => string) {
    this.tagOf = tagOf
  }

  /** Every value of the tag that occurs, ascending (UTF-8). */
  get tags(): ReadonlyArray<string> {
    this.sortedTags ??= [...this.groups.keys()].sort(compareUtf8)
    return this.sortedTags
  }

  get size(): number {
    return this.groups.size
  }

  get(tag: string): ReadonlyArray<StoredSeries> {
    return this.groups.get(tag)?.members ?? []
  }

  add(stored: StoredSeries): void {
    const tag = this.tagOf(stored.series)
    let group = this.groups.get(tag)
    if (group === undefined) {
      group = new SortedSeries()
      this.groups.set(tag, group)
      this.sortedTags = undefined
    }
    group.insert(stored, (member) => member.rank < stored.rank)
  }

  remove(stored: StoredSeries): void {
    const tag = this.tagOf(stored.series)
    const group = this.groups.get(tag)!
    group.remove(stored)
    if (group.isEmpty) {
      this.groups.delete(tag)
      this.sortedTags = undefined
    }
  }
}
