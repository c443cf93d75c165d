/**
 * The samples of one series, ascending by time, in bounded blocks: 16 bytes a sample and little else.
 *
 * Appending is O(1), inserting out of order O(log n + one block), dropping the oldest O(1). A sample has an *ordinal*, its
 * place counted from an arbitrary origin: ordinals are dense, so that a range's size is a subtraction. They hold until
 * the next `set`; dropping the oldest leaves those of the others as they are.
 */
import type { TimeNs } from "../../../protocol/Time.ts"

/** Samples of a full block: small enough that shifting half of one costs less than finding it. */
const blockSamplesMax = 256
/** Samples that a new block has room for; it doubles, because most series of a large fleet are short. */
const blockSamplesMin = 16

/** Slots `start` to `end` of a block are in use; slot `i` has the ordinal `base + i`. Only a first block starts above 0. */
export interface Block {
  times: BigInt64Array
  values: Float64Array
  start: number
  end: number
  base: number
}

const makeBlock = (capacity: number, base: number): Block => {
  // One allocation for both columns: the bookkeeping of an ArrayBuffer is as large as six samples.
  const bytes = new ArrayBuffer(capacity * 16)
  return {
    times: new BigInt64Array(bytes, 0, capacity),
    values: new Float64Array(bytes, capacity * 8, capacity),
    start: 0,
    end: 0,
    base
  }
}

const copySlots = (from: Block, start: number, end: number, to: Block): void => {
  to.times.set(from.times.subarray(start, end))
  to.values.set(from.values.subarray(start, end))
  to.end = end - start
}

const shiftSlots = (block: Block, start: number, target: number): void => {
  block.times.copyWithin(target, start, block.end)
  block.values.copyWithin(target, start, block.end)
}

const put = (block: Block, slot: number, time: TimeNs, value: number): void => {
  block.times[slot] = time
  block.values[slot] = value
}

/**
 * Whether there is room at the end of a block, made if need be. Slots freed at the front are used again once they are
 * `freedShare` of the block: moving the rest for a single slot would make every append as dear as a block.
 */
const hasRoom = (block: Block, freedShare: number): boolean => {
  const capacity = block.times.length
  const start = block.start
  if (block.end < capacity) return true
  if (start > 0 && start >= capacity * freedShare) {
    shiftSlots(block, start, 0)
    block.end -= start
  } else if (capacity < blockSamplesMax) {
    const larger = makeBlock(capacity * 2, 0)
    copySlots(block, start, block.end, larger)
    block.times = larger.times
    block.values = larger.values
    block.end = larger.end
  } else return false
  block.base += start
  block.start = 0
  return true
}

/** First slot whose time is at least `time`, or `end`. */
const lowerSlot = (block: Block, time: TimeNs): number => {
  const times = block.times
  let low = block.start
  let high = block.end
  while (low < high) {
    const middle = (low + high) >>> 1
    if (times[middle]! < time) low = middle + 1
    else high = middle
  }
  return low
}

/** Never empty once something was set, except after the last sample was dropped; its owner then lets go of it. */
export class SampleBlocks {
  private readonly blocks: Array<Block> = []
  size = 0

  /** Time of the oldest sample, if there is one. Kept, because eviction compares it over and over. */
  firstNs: TimeNs = 0n

  /** Time of the newest sample; there has to be one. */
  get lastNs(): TimeNs {
    const block = this.blocks[this.blocks.length - 1]!
    return block.times[block.end - 1]!
  }

  /** Ordinal of the oldest sample. */
  get begin(): number {
    const block = this.blocks[0]
    return block === undefined ? 0 : block.base + block.start
  }

  /** Ordinal behind the newest sample. */
  get end(): number {
    return this.begin + this.size
  }

  /** Ordinal of the first sample that is not before `time`, or `end`. */
  lowerBound(time: TimeNs): number {
    const block = this.blocks[this.blockReaching(time)]
    return block === undefined ? this.end : block.base + lowerSlot(block, time)
  }

  /** Index of the block that holds an ordinal. */
  blockHolding(ordinal: number): number {
    let low = 0
    let high = this.blocks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      const block = this.blocks[middle]!
      if (block.base + block.start <= ordinal) low = middle
      else high = middle - 1
    }
    return low
  }

  /** The block at an index that `blockHolding` gave, or a neighbour of it. */
  blockAt(index: number): Block {
    return this.blocks[index]!
  }

  /** Stores a value at a time, replacing the one that is there; whether the time is new. */
  set(time: TimeNs, value: number): boolean {
    const last = this.blocks[this.blocks.length - 1]
    if (last === undefined || last.times[last.end - 1]! < time) {
      this.append(last, time, value)
      if (last === undefined) this.firstNs = time
      return true
    }
    const index = this.blockReaching(time)
    const block = this.blocks[index]!
    const slot = lowerSlot(block, time)
    if (block.times[slot] === time) {
      block.values[slot] = value
      return false
    }
    this.insert(index, slot, time, value)
    this.size++
    if (time < this.firstNs) this.firstNs = time
    return true
  }

  /** Drops the oldest sample; there has to be one. */
  dropFirst(): void {
    const block = this.blocks[0]!
    block.start++
    this.size--
    if (block.start === block.end) this.blocks.shift()
    this.readFirst()
  }

  /** Drops every sample before `time`; how many those were. */
  dropBefore(time: TimeNs): number {
    const sizeBefore = this.size
    const whole = this.blockReaching(time)
    for (const block of this.blocks.splice(0, whole)) this.size -= block.end - block.start
    const first = this.blocks[0]
    if (first !== undefined) {
      const start = lowerSlot(first, time)
      this.size -= start - first.start
      first.start = start
      this.readFirst()
    }
    return sizeBefore - this.size
  }

  /** Index of the first block whose newest sample is not before `time`, or the number of blocks. */
  private blockReaching(time: TimeNs): number {
    let low = 0
    let high = this.blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const block = this.blocks[middle]!
      if (block.times[block.end - 1]! < time) low = middle + 1
      else high = middle
    }
    return low
  }

  private readFirst(): void {
    const block = this.blocks[0]
    if (block !== undefined) this.firstNs = block.times[block.start]!
  }

  private append(last: Block | undefined, time: TimeNs, value: number): void {
    let block = last
    if (block === undefined || !hasRoom(block, 0.5)) {
      block = makeBlock(blockSamplesMin, block === undefined ? 0 : block.base + block.end)
      this.blocks.push(block)
    }
    put(block, block.end++, time, value)
    this.size++
  }

  /** Puts a sample before a slot of a block, or at its end. */
  private insert(index: number, slot: number, time: TimeNs, value: number): void {
    const block = this.blocks[index]!
    const previous = this.blocks[index - 1]
    const samplesBefore = slot - block.start
    if (samplesBefore === 0 && previous !== undefined && hasRoom(previous, 0)) {
      // Filling the earlier of two blocks first leaves full blocks behind where inserting goes on in one place.
      put(previous, previous.end++, time, value)
      this.shiftOrdinals(index)
    } else if (samplesBefore === 0 && block.start > 0) {
      put(block, --block.start, time, value)
    } else if (hasRoom(block, 0)) {
      const at = block.start + samplesBefore
      shiftSlots(block, at, at + 1)
      block.end++
      put(block, at, time, value)
      this.shiftOrdinals(index + 1)
    } else if (samplesBefore === 0) {
      const opened = makeBlock(blockSamplesMin, block.base)
      put(opened, opened.end++, time, value)
      this.blocks.splice(index, 0, opened)
      this.shiftOrdinals(index + 1)
    } else {
      const half = this.split(index)
      if (slot <= half) this.insert(index, slot, time, value)
      else this.insert(index + 1, slot - half, time, value)
    }
  }

  /** Makes two halves of a full block; where the second begins. */
  private split(index: number): number {
    const block = this.blocks[index]!
    const half = blockSamplesMax / 2
    const right = makeBlock(blockSamplesMax, block.base + half)
    copySlots(block, half, block.end, right)
    block.end = half
    this.blocks.splice(index + 1, 0, right)
    return half
  }

  private shiftOrdinals(index: number): void {
    for (let i = index; i < this.blocks.length; i++) this.blocks[i]!.base++
  }
}
