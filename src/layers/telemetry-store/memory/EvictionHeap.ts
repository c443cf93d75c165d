/** Which sample is the globally oldest: a binary min-heap of series by their oldest sample, then by rank. */
import type { StoredSeries } from "./StoredSeries.ts"

/** Each series knows its place, so that one whose oldest sample has changed is moved in O(log n). */
export class EvictionHeap {
  private readonly members: Array<StoredSeries> = []
  /**
   * The time of each member's oldest sample. Beside the members, because a full store compares two dozen of them for
   * every sample it takes, and most of what that costs is following pointers to a boxed bigint.
   */
  private times = new BigInt64Array(64)

  /** The series of the oldest sample. */
  get oldest(): StoredSeries | undefined {
    return this.members[0]
  }

  /** Takes up a series that has samples. */
  add(stored: StoredSeries): void {
    const index = this.members.length
    if (index === this.times.length) {
      const larger = new BigInt64Array(index * 2)
      larger.set(this.times)
      this.times = larger
    }
    this.place(stored, stored.samples.firstNs, index)
    this.rise(index)
  }

  /** Tells that the oldest sample of a series is an older one than before. */
  firstBecameOlder(stored: StoredSeries): void {
    this.times[stored.heapIndex] = stored.samples.firstNs
    this.rise(stored.heapIndex)
  }

  /** Tells that the oldest sample of a series is a newer one than before. */
  firstBecameNewer(stored: StoredSeries): void {
    this.times[stored.heapIndex] = stored.samples.firstNs
    this.sink(stored.heapIndex)
  }

  /** Removes `oldest`, which may have no sample left; there has to be one. */
  removeOldest(): void {
    this.members[0]!.heapIndex = -1
    const last = this.members.pop()!
    if (this.members.length === 0) return
    this.place(last, this.times[this.members.length]!, 0)
    this.sink(0)
  }

  private place(stored: StoredSeries, time: bigint, index: number): void {
    this.members[index] = stored
    this.times[index] = time
    stored.heapIndex = index
  }

  private isOlder(a: number, b: number): boolean {
    const times = this.times
    if (times[a]! < times[b]!) return true
    if (times[b]! < times[a]!) return false
    return this.members[a]!.rank < this.members[b]!.rank
  }

  private rise(from: number): void {
    const stored = this.members[from]!
    const time = this.times[from]!
    let index = from
    while (index > 0) {
      const parent = (index - 1) >>> 1
      const above = this.times[parent]!
      if (above < time || (above === time && this.members[parent]!.rank < stored.rank)) break
      this.place(this.members[parent]!, above, index)
      index = parent
    }
    this.place(stored, time, index)
  }

  /** Lets the older child rise all the way and goes back up from there: a series that was evicted from is mostly new. */
  private sink(from: number): void {
    const stored = this.members[from]!
    const time = this.times[from]!
    const count = this.members.length
    let index = from
    for (let child = 2 * index + 1; child < count; child = 2 * index + 1) {
      if (child + 1 < count && this.isOlder(child + 1, child)) child++
      this.place(this.members[child]!, this.times[child]!, index)
      index = child
    }
    this.place(stored, time, index)
    this.rise(index)
  }
}
