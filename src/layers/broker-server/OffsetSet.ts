/** A set of offsets, kept as ranges in their order: however often one is added, it takes its place once. */
import type { Offset } from "../../protocol/Log.ts"

export class OffsetSet {
  /** Ranges, each up to but not with its end, that neither overlap nor touch. */
  private readonly from: Array<number> = []
  private readonly to: Array<number> = []

  /** Adds the offsets from one up to but not with another. */
  add(from: number, to: number): void {
    if (from >= to) return
    const first = this.firstThatReaches(from)
    let behind = first
    let start = from
    let end = to
    for (; behind < this.from.length && this.from[behind]! <= to; behind++) {
      start = Math.min(start, this.from[behind]!)
      end = Math.max(end, this.to[behind]!)
    }
    if (behind === first + 1) {
      this.from[first] = start
      this.to[first] = end
    } else {
      this.from.splice(first, behind - first, start)
      this.to.splice(first, behind - first, end)
    }
  }

  /** All of them in ascending order, so many at a time; one part where there are none. */
  *parts(partMax: number): Generator<Array<Offset>, void> {
    let part: Array<Offset> = []
    for (const [index, to] of this.to.entries()) {
      for (let offset = this.from[index]!; offset < to; offset++) {
        if (part.length === partMax) {
          yield part
          part = []
        }
        part.push(offset as Offset)
      }
    }
    yield part
  }

  /** The index of the first range that ends at an offset or behind it; the last one is looked at first. */
  private firstThatReaches(offset: number): number {
    const last = this.to.length - 1
    if (last < 0 || this.to[last]! < offset) return last + 1
    let low = 0
    let high = last
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.to[middle]! < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
