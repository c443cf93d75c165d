/**
 * What a streamer holds: samples that are in no batch yet, and batches that are not acknowledged.
 *
 * Bounded by its machine, which asks for no more rows while the window is full.
 */
import { encodeBatch } from "../../protocol/Batch.ts"
import { payloadBytesMax } from "../../protocol/Limits.ts"
import { type Sequence, type SourcePosition, sequenceOf } from "../../protocol/Log.ts"
import type { StreamerFact } from "../../protocol/StreamerFact.ts"
import type { TimeNs } from "../../protocol/Time.ts"
import type { SourceChunk } from "../TelemetrySource.ts"

interface Sealed {
  readonly payload: Uint8Array
  readonly position: SourcePosition
}

/** Samples `from` up to but not with `to` of a chunk. */
interface Part {
  readonly chunk: SourceChunk
  readonly from: number
  readonly to: number
}

/** The first `count` samples of some parts, and the rest. */
const splitParts = (
  parts: ReadonlyArray<Part>,
  count: number
): readonly [ReadonlyArray<Part>, ReadonlyArray<Part>] => {
  const head: Array<Part> = []
  const tail: Array<Part> = []
  let left = count
  for (const { chunk, from, to } of parts) {
    const cut = Math.min(to, from + left)
    if (cut > from) head.push({ chunk, from, to: cut })
    if (to > cut) tail.push({ chunk, from: cut, to })
    left -= cut - from
  }
  return [head, tail]
}

export class Outbox {
  private unsealed: ReadonlyArray<Part> = []
  private readonly sealed = new Map<number, Sealed>()

  constructor(private readonly streamerId: string) {}

  add(chunk: SourceChunk): void {
    const to = chunk.samples.length
    if (to > 0) this.unsealed = [...this.unsealed, { chunk, from: 0, to }]
  }

  /** Makes batches of the oldest samples. One that would be longer than a payload may be becomes several. */
  seal(firstSequence: Sequence, samples: number, batchSize: number, nowNs: TimeNs): StreamerFact {
    let sequence: number = firstSequence
    let bytes = 0
    for (let left = samples; left > 0; left -= batchSize) {
      const [parts, rest] = splitParts(this.unsealed, Math.min(batchSize, left))
      this.unsealed = rest
      for (const batch of this.encode(parts, nowNs)) {
        this.sealed.set(sequence++, batch)
        bytes += batch.payload.length
      }
    }
    return { type: "BatchesSealed", firstSequence, count: sequence - firstSequence, samples, bytes }
  }

  /** The sealed batches of these sequences, as they are published. */
  batches(firstSequence: Sequence, next: Sequence) {
    const payloads: Array<Uint8Array> = []
    const positions: Array<SourcePosition> = []
    for (let sequence: number = firstSequence; sequence < next; sequence++) {
      const { payload, position } = this.sealed.get(sequence)!
      payloads.push(payload)
      positions.push(position)
    }
    return { firstSequence: sequenceOf(firstSequence), payloads, positions }
  }

  /** Forgets the batches below a sequence; answers how many there were. */
  forget(next: Sequence): number {
    let forgotten = 0
    for (const sequence of this.sealed.keys()) {
      if (sequence >= next) break
      this.sealed.delete(sequence)
      forgotten++
    }
    return forgotten
  }

  private encode(parts: ReadonlyArray<Part>, nowNs: TimeNs): ReadonlyArray<Sealed> {
    const samples = parts.flatMap(({ chunk, from, to }) => chunk.samples.slice(from, to))
    const payload = encodeBatch({
      batchId: crypto.randomUUID(),
      source: this.streamerId,
      collectedAtNs: nowNs,
      samples
    })
    if (payload.length <= payloadBytesMax || samples.length === 1) {
      const { chunk, to } = parts[parts.length - 1]!
      return [{ payload, position: chunk.positionAfter(to - 1) }]
    }
    const [head, tail] = splitParts(parts, samples.length >> 1)
    return [...this.encode(head, nowNs), ...this.encode(tail, nowNs)]
  }
}
