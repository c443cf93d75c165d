/** The latest appends, as they were given, so that whoever reads what is new does not touch the disk. */
import { offsetOf } from "../../../protocol/Log.ts"
import { type LogSlice, type ReadLimits, type RecordRun, sliceRun } from "../../OffsetLog.ts"
import { fitting, lastAtOrBelow } from "../taking.ts"

interface Cached {
  readonly runs: ReadonlyArray<RecordRun>
  readonly next: number
  readonly bytes: number
}

/** Dropped places before the lists are made shorter. */
const droppedMax = 1_024

export class TailCache {
  private firsts: Array<number> = []
  private appends: Array<Cached> = []
  private dropped = 0
  private bytes = 0
  private readonly bytesMax: number

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Takes in what follows; the oldest makes room for it. */
  add(first: number, append: Cached): void {
    this.firsts.push(first)
    this.appends.push(append)
    this.bytes += append.bytes
    while (this.bytes > this.bytesMax) this.dropOldest()
  }

  /** Forgets what lies wholly below an offset. */
  dropBefore(offset: number): void {
    while (this.dropped < this.appends.length && this.appends[this.dropped]!.next <= offset) this.dropOldest()
  }

  private dropOldest(): void {
    this.bytes -= this.appends[this.dropped]!.bytes
    this.appends[this.dropped] = { runs: [], next: 0, bytes: 0 }
    this.firsts[this.dropped] = Number.NEGATIVE_INFINITY
    this.dropped++
    if (this.dropped < droppedMax || this.dropped * 2 < this.appends.length) return
    this.firsts = this.firsts.slice(this.dropped)
    this.appends = this.appends.slice(this.dropped)
    this.dropped = 0
  }

  /** Records from an offset on and below another; `undefined` where the first of them is not here. */
  read(from: number, end: number, limits: ReadLimits): LogSlice | undefined {
    const oldest = this.firsts[this.dropped]
    if (oldest === undefined || from < oldest) return undefined
    const runs: Array<RecordRun> = []
    let records = 0
    let bytes = 0
    for (let place = lastAtOrBelow(this.firsts, from); place < this.appends.length; place++) {
      let first = this.firsts[place]!
      if (first >= end) break
      for (const run of this.appends[place]!.runs) {
        const start = Math.max(0, from - first)
        first += run.payloads.length
        if (start >= run.payloads.length) continue
        const fits = fitting(run, start, limits, records, bytes)
        if (fits.count > 0) runs.push(sliceRun(run, start, start + fits.count))
        records += fits.count
        bytes += fits.bytes
        if (start + fits.count < run.payloads.length) return { firstOffset: offsetOf(from), runs }
      }
    }
    return { firstOffset: offsetOf(from), runs }
  }
}
