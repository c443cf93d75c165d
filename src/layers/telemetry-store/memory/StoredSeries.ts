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

/** Every series of the store in the order of `compareSeries`. */
export class RankedSeries {
  readonly members: Array<StoredSeries> = []

  /** Takes up a series that is not in here, without samples yet. */
  add(series: Series): StoredSeries {
    const index = partitionPoint(this.members, (member) => compareSeries(member.series, series) < 0)
    const previous = this.members[index - 1]?.rank
    const next = this.members[index]?.rank
    const stored: StoredSeries = {
      series,
      samples: new SampleBlocks(),
      rank:
        previous === undefined ? (next ?? 0) - 1 : next === undefined ? previous + 1 : (previous + next) / 2,
      heapIndex: -1
    }
    this.members.splice(index, 0, stored)
    // A gap can be halved some forty times before a double has no number in between.
    if (stored.rank === previous || stored.rank === next) this.dealRanks()
    return stored
  }

  remove(stored: StoredSeries): void {
    removeByRank(this.members, stored)
  }

  /** New ranks in the same order, so that whatever is sorted by rank stays sorted. */
  private dealRanks(): void {
    for (let i = 0; i < this.members.length; i++) this.members[i]!.rank = i
  }
}

const removeByRank = (members: Array<StoredSeries>, stored: StoredSeries): void => {
  members.splice(
    partitionPoint(members, (member) => member.rank < stored.rank),
    1
  )
}

/** Series by the value of one tag, each group in the order of ranks. */
export class SeriesByTag {
  private readonly groups = new Map<string, Array<StoredSeries>>()
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
    return this.groups.get(tag) ?? []
  }

  add(stored: StoredSeries): void {
    const tag = this.tagOf(stored.series)
    const group = this.groups.get(tag)
    if (group === undefined) {
      this.groups.set(tag, [stored])
      this.sortedTags = undefined
    } else {
      group.splice(
        partitionPoint(group, (member) => member.rank < stored.rank),
        0,
        stored
      )
    }
  }

  remove(stored: StoredSeries): void {
    const tag = this.tagOf(stored.series)
    const group = this.groups.get(tag)!
    removeByRank(group, stored)
    if (group.length === 0) {
      this.groups.delete(tag)
      this.sortedTags = undefined
    }
  }
}
