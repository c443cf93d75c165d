/** Batches that a process writes before it is killed. */
import type { Sample } from "../../../../src/protocol/Sample.ts"
import { sampleAt } from "../../../Samples.ts"

export const batchSamples = 40

/** The samples of a batch: of as many GPUs as samples, at a second of its own. */
export const batchOf = (batch: number): ReadonlyArray<Sample> =>
  Array.from({ length: batchSamples }, (_, i) => sampleAt(batch, { uuid: `GPU-${i}` }, batch))
