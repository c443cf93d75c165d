/** Whether memory stays flat: what a process holds in the second quarter of its time against what it holds in the last. */
import { median } from "../Table.ts"

export interface MemorySample {
  readonly residentBytes: number
  /** Of the heap, with what buffers hold outside of it; behind a garbage collection where that can be asked for. */
  readonly heapBytes: number
}

export interface Growth {
  readonly name: string
  readonly beforeBytes: number
  readonly afterBytes: number
  readonly isFlat: boolean
}

/** Growth by less than both of a share and a size is noise. */
const growthShareMax = 0.2
const residentGrowthBytesMin = 48 * 1024 * 1024
const heapGrowthBytesMin = 16 * 1024 * 1024
/** With fewer samples in a quarter a median says nothing. */
const samplesPerQuarterMin = 3

const collectGarbage = (globalThis as { gc?: () => void }).gc ?? (() => {})

export const sampleMemory = (): MemorySample => {
  // The buffers of a first collection are given back behind the second.
  collectGarbage()
  collectGarbage()
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage()
  return { residentBytes: rss, heapBytes: heapUsed + arrayBuffers }
}

/** `undefined` where it did not run for long enough to tell. The first quarter is its warm-up. */
export const growthOf = (samples: ReadonlyArray<MemorySample>): ReadonlyArray<Growth> | undefined => {
  const quarter = Math.floor(samples.length / 4)
  if (quarter < samplesPerQuarterMin) return undefined
  const grown = (name: string, bytesOf: (sample: MemorySample) => number, bytesMin: number): Growth => {
    const beforeBytes = median(samples.slice(quarter, 2 * quarter).map(bytesOf))
    const afterBytes = median(samples.slice(-quarter).map(bytesOf))
    const isFlat = afterBytes - beforeBytes <= Math.max(bytesMin, beforeBytes * growthShareMax)
    return { name, beforeBytes, afterBytes, isFlat }
  }
  return [
    grown("RSS", ({ residentBytes }) => residentBytes, residentGrowthBytesMin),
    grown("heap", ({ heapBytes }) => heapBytes, heapGrowthBytesMin)
  ]
}
