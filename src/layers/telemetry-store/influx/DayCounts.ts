/** How many samples each day (UTC) holds, and which days have to be counted again. Pure. */
import type { TimeNs } from "../../../protocol/Time.ts"
import type { DayRecord, Span } from "./CatalogueQueries.ts"

interface Day {
  samples: number
  counted: string | undefined
  written: string | undefined
}

export class DayCounts {
  private readonly days = new Map<TimeNs, Day>()

  /** Begins with what was kept when some process counted last. */
  adopt(records: ReadonlyArray<DayRecord>): void {
    for (const { dayNs: start, samples, counted, written } of records) {
      const day = this.dayAt(start)
      if (samples !== undefined) day.samples = samples
      if (counted !== undefined) day.counted = counted
      if (written !== undefined) day.written = written
    }
  }

  /** Takes in which days were written to. */
  note(records: ReadonlyArray<DayRecord>): void {
    for (const { dayNs: start, written } of records) {
      if (written !== undefined) this.dayAt(start).written = written
    }
  }

  /** Days before `endNs` that were written to since they were counted. */
  uncounted(endNs: TimeNs): ReadonlyArray<TimeNs> {
    return [...this.days].flatMap(([start, { counted, written }]) =>
      start < endNs && written !== undefined && written !== counted ? [start] : []
    )
  }

  /** What tells a write of a day from the one before. */
  written(start: TimeNs): string | undefined {
    return this.days.get(start)?.written
  }

  /** Notes a count that was made after `written` had been read; what there is to keep of it. */
  count(start: TimeNs, samples: number, written: string | undefined): DayRecord {
    const day = this.dayAt(start)
    day.samples = samples
    day.counted = written
    return { dayNs: start, samples, ...(written === undefined ? {} : { counted: written }) }
  }

  /** Samples of the days that start within a span. */
  within({ startNs, stopNs }: Span): number {
    let sum = 0
    for (const [start, { samples }] of this.days) if (start >= startNs && start < stopNs) sum += samples
    return sum
  }

  /** Days within a span that are thought to hold samples. */
  inhabited({ startNs, stopNs }: Span): ReadonlyArray<TimeNs> {
    return [...this.days].flatMap(([start, { samples }]) =>
      samples > 0 && start >= startNs && start < stopNs ? [start] : []
    )
  }

  private dayAt(start: TimeNs): Day {
    let day = this.days.get(start)
    if (day === undefined) {
      day = { samples: 0, counted: undefined, written: undefined }
      this.days.set(start, day)
    }
    return day
  }
}
