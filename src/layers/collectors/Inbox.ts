/**
 * What a collector holds: the samples of messages that are not persisted yet, by offset.
 *
 * Bounded by the credit of its subscription.
 */
import { decodeBatch } from "../../protocol/Batch.ts"
import type { Offset } from "../../protocol/Log.ts"
import type { Sample } from "../../protocol/Sample.ts"
import type { Series } from "../../protocol/Series.ts"
import type { Rejects } from "../Rejects.ts"

const noSamples: ReadonlyArray<Sample> = []

export class Inbox {
  private readonly held = new Map<number, ReadonlyArray<Sample>>()

  constructor(
    private readonly rejects: Rejects["Type"],
    private readonly intern: (series: Series) => Series
  ) {}

  /** Decodes a message and holds its samples; what is malformed is rejected and costs itself. Answers how many are good. */
  add(offset: number, payload: Uint8Array): number {
    const samples = this.decode(offset, payload)
    this.held.set(offset, samples)
    return samples.length
  }

  /** Some of the samples of some messages, by their place among all of them. */
  samples(from: Offset, to: Offset, firstSample: number, count: number): ReadonlyArray<Sample> {
    const all: Array<Sample> = []
    for (let offset: number = from; offset < to; offset++) {
      for (const sample of this.held.get(offset) ?? noSamples) all.push(sample)
    }
    return all.length === count ? all : all.slice(firstSample, firstSample + count)
  }

  /** Forgets the messages below an offset. */
  forget(below: Offset): void {
    for (const offset of this.held.keys()) {
      if (offset >= below) return
      this.held.delete(offset)
    }
  }

  forgetAll(): void {
    this.held.clear()
  }

  private decode(offset: number, payload: Uint8Array): ReadonlyArray<Sample> {
    const batch = decodeBatch(payload, this.intern)
    if (typeof batch === "string") {
      const input = new TextDecoder().decode(payload.subarray(0, 2048))
      this.rejects.add("bad_batch", () => ({ origin: `offset ${offset}: ${batch}`, input }))
      return noSamples
    }
    for (const { index, problem, value } of batch.malformed) {
      this.rejects.add("bad_sample", () => ({
        origin: `offset ${offset}, metrics[${index}]: ${problem}`,
        input: JSON.stringify(value) ?? String(value)
      }))
    }
    return batch.samples
  }
}
