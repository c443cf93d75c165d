/** Makes runs of records that come one by one, up to the limits of a read. */
import { type ProducerId, type SourcePosition, sequenceOf } from "../../../protocol/Log.ts"
import { type ReadLimits, type RecordRun, recordBytes } from "../../OffsetLog.ts"
import { producerIdOf, type RecordParts } from "./format.ts"

/** What a limit counts of a record beside its payload and its position. */
const overheadBytes = recordBytes({ payloads: [new Uint8Array(0)], producer: null }, 0)

interface GrowingRun {
  readonly payloads: Array<Uint8Array>
  readonly producer: {
    readonly id: ProducerId
    readonly firstSequence: ReturnType<typeof sequenceOf>
    readonly positions: Array<SourcePosition | null>
  } | null
  /** The producer's id as it is in the file: comparing bytes is cheaper than making a text of each. */
  readonly idBytes: Buffer | null
}

export class RunBuilder {
  readonly runs: Array<RecordRun> = []
  /** Of the first record. */
  firstOffset: number | undefined
  records = 0
  private bytes = 0
  private last: GrowingRun | undefined
  private readonly limits: ReadLimits

  constructor(limits: ReadLimits) {
    this.limits = limits
  }

  get isFull(): boolean {
    return this.records >= this.limits.recordsMax || this.bytes >= this.limits.bytesMax
  }

  /** Takes the next record, unless it is one too many. */
  take(offset: number, { payload, producer }: RecordParts): boolean {
    const bytes = overheadBytes + payload.length + (producer?.position?.length ?? 0)
    if (this.records > 0 && (this.isFull || this.bytes + bytes > this.limits.bytesMax)) return false
    this.firstOffset ??= offset
    this.records++
    this.bytes += bytes
    this.join(payload, producer)
    return true
  }

  /** Adds to the last run what goes on with it, and begins another with what does not. */
  private join(payload: Buffer, producer: RecordParts["producer"]): void {
    const last = this.last
    if (last !== undefined && goesOn(last, producer)) {
      last.payloads.push(payload)
      last.producer?.positions.push(producer!.position as SourcePosition | null)
      return
    }
    this.last = {
      payloads: [payload],
      producer: producer && {
        id: producerIdOf(producer.id),
        firstSequence: sequenceOf(producer.sequence),
        positions: [producer.position as SourcePosition | null]
      },
      idBytes: producer?.id ?? null
    }
    this.runs.push({ payloads: this.last.payloads, producer: this.last.producer })
  }
}

const goesOn = (run: GrowingRun, producer: RecordParts["producer"]): boolean => {
  if (run.producer === null || producer === null) return run.producer === producer
  const next = run.producer.firstSequence + run.payloads.length
  return producer.sequence === next && run.idBytes!.equals(producer.id)
}
