/**
 * The catalogue as one process sees it, and how it is brought up to date. Its parts change at once, so that an answer that is
 * made in between is that of before or of after; the effects of it are run one at a time.
 */

import { Clock, Effect } from "effect"
import type { Sample } from "../../../protocol/Sample.ts"
import type { TimeNs } from "../../../protocol/Time.ts"
import { windowStart } from "../../../protocol/Window.ts"
import type { StoreUnavailable } from "../../TelemetryStore.ts"
import {
  allTime,
  type CatalogueQueries,
  type DayRecord,
  dayNs,
  dayOf,
  hourNs,
  type Span
} from "./CatalogueQueries.ts"
import { DayCounts } from "./DayCounts.ts"
import { KnownSeries } from "./KnownSeries.ts"

/** An hour stays open for as long after its end: samples come late. */
const lateNs: TimeNs = 600_000_000_000n
/** Days in one histogram: a row per day and series passes through Flux. */
const histogramDaysMax = 32
/** Spans that are read one by one: beyond, reading all series costs less. */
const changedSpansMax = 4
/** Where the first day begins. */
const beginningNs = dayOf(allTime.startNs)

/** What is counted apart: the days before `todayNs`, the hours of today before `openNs`, and what is open. */
export interface Frontier {
  readonly todayNs: TimeNs
  readonly openNs: TimeNs
}

/** Where it lies at a moment. */
export const frontierAt = (nowMs: number): Frontier => {
  const openNs = windowStart(BigInt(Math.round(nowMs)) * 1_000_000n - lateNs, hourNs)
  return { todayNs: dayOf(openNs), openNs }
}

/** What is kept of the days beside the samples, where it can be. */
export interface DayRecords {
  readonly read: Effect.Effect<ReadonlyArray<DayRecord>, StoreUnavailable>
  readonly keep: (records: ReadonlyArray<DayRecord>) => Effect.Effect<void, StoreUnavailable>
}

interface Counted extends Frontier {
  /** Samples of today's closed hours. */
  readonly today: number
  /** What the mark of today was before they were counted. */
  readonly todayWritten: string | undefined
  readonly open: number
}

/** The days, ascending, cut where one histogram would be too wide. */
const runsOf = (starts: ReadonlyArray<TimeNs>): ReadonlyArray<ReadonlyArray<TimeNs>> => {
  const runs: Array<Array<TimeNs>> = []
  for (const day of [...starts].sort((a, b) => (a < b ? -1 : 1))) {
    const run = runs.at(-1)
    if (run === undefined || day - run[0]! >= BigInt(histogramDaysMax) * dayNs) runs.push([day])
    else run.push(day)
  }
  return runs
}

export class CatalogueView {
  readonly series = new KnownSeries()
  private readonly days = new DayCounts()
  private counted: Counted | undefined
  /** Spans of which the series have changed since they were read; all of them where some may be gone. */
  private changed: ReadonlyArray<Span> | "all" = "all"
  /** What was written while all series are being read: they may or may not be among them. */
  private writtenMeanwhile: Array<ReadonlyArray<Sample>> | undefined
  /** Whether this process has written what is not counted. */
  isUncounted = false
  /** Whether it has been read once from end to end. */
  isLoaded = false

  constructor(
    private readonly queries: CatalogueQueries,
    private readonly records: DayRecords
  ) {}

  /** Samples that InfluxDB holds. */
  get samples(): number {
    if (this.counted === undefined) return 0
    const { todayNs, today, open } = this.counted
    return this.days.within({ startNs: beginningNs, stopNs: todayNs }) + today + open
  }

  /** Takes in what this process has stored. */
  note(samples: ReadonlyArray<Sample>): void {
    this.isUncounted = true
    this.writtenMeanwhile?.push(samples)
    if (this.counted !== undefined) this.series.mergeSamples(samples)
  }

  /** Begins with what is kept, and looks whether it is still true. */
  get load(): Effect.Effect<void, StoreUnavailable> {
    return Effect.gen(this, function* () {
      this.days.adopt(yield* this.records.read)
      yield* this.countOpen
      yield* this.countAll
      yield* this.readSeries
      this.isLoaded = true
    })
  }

  /** Moves on to this moment: what has closed since is counted for good, and what others marked, again. */
  get countOpen(): Effect.Effect<void, StoreUnavailable> {
    return Effect.gen(this, function* () {
      const before = this.counted
      const { todayNs, openNs } = frontierAt(yield* Clock.currentTimeMillis)
      this.isUncounted = false
      this.days.note(yield* this.records.read)
      const ended: Array<TimeNs> = []
      for (let day = before?.todayNs ?? todayNs; day < todayNs; day += dayNs) ended.push(day)
      const due = new Set([...ended, ...this.days.uncounted(todayNs)])
      yield* this.countDays([...due])

      const todayWritten = this.days.written(todayNs)
      const isTodayKnown = before?.openNs === openNs && before.todayWritten === todayWritten
      const today = isTodayKnown
        ? before.today
        : yield* this.countWithin({ startNs: todayNs, stopNs: openNs })
      const open = yield* this.queries.count({ startNs: openNs, stopNs: allTime.stopNs })
      this.counted = { todayNs, openNs, today, todayWritten, open }

      if (!isTodayKnown || (before?.open ?? 0) > open) this.changed = "all"
      if (open !== before?.open) this.noteChanged({ startNs: openNs, stopNs: allTime.stopNs })
    }).pipe(
      Effect.onError(() =>
        Effect.sync(() => {
          this.isUncounted = true
        })
      )
    )
  }

  /** Counts everything before the open hour, and where it is not what it was, finds the days that have changed. */
  get countAll(): Effect.Effect<void, StoreUnavailable> {
    return Effect.gen(this, function* () {
      const { todayNs, openNs, today } = this.counted!
      const past = { startNs: beginningNs, stopNs: todayNs }
      const isPastKnown = (yield* this.queries.count(past)) === this.days.within(past)
      const todayNow = yield* this.countWithin({ startNs: todayNs, stopNs: openNs })
      if (todayNow !== today) {
        this.changed = "all"
        this.counted = { ...this.counted!, today: todayNow }
      }
      if (isPastKnown) return
      this.changed = "all"
      yield* this.readSeries
      const firstNs = dayOf(this.series.extent({})?.firstNs ?? todayNs)
      const gone = this.days.inhabited({ startNs: beginningNs, stopNs: firstNs })
      yield* this.countDays([...gone, ...(yield* this.wrongDays({ startNs: firstNs, stopNs: todayNs }))])
    })
  }

  /** Brings the series up to what the counts have shown to have changed. */
  get readSeries(): Effect.Effect<void, StoreUnavailable> {
    return Effect.suspend(() => (this.changed === "all" ? this.readAllSeries : this.readChangedSeries))
  }

  private noteChanged(span: Span): void {
    if (this.changed === "all") return
    const others = this.changed.filter(
      ({ startNs, stopNs }) => startNs !== span.startNs || stopNs !== span.stopNs
    )
    this.changed = others.length < changedSpansMax ? [...others, span] : "all"
  }

  /** Samples of a span that may be empty. */
  private countWithin(span: Span): Effect.Effect<number, StoreUnavailable> {
    return span.startNs < span.stopNs ? this.queries.count(span) : Effect.succeed(0)
  }

  /** Counts these days, and keeps what came of it. */
  private countDays(starts: ReadonlyArray<TimeNs>): Effect.Effect<void, StoreUnavailable> {
    return Effect.gen(this, function* () {
      for (const run of runsOf(starts)) {
        const written = run.map((day) => this.days.written(day))
        const counts = new Map(
          yield* this.queries.countPerDay({ startNs: run[0]!, stopNs: run.at(-1)! + dayNs })
        )
        const records = run.map((day, i) => this.days.count(day, counts.get(day) ?? 0, written[i]))
        for (const day of run) this.noteChanged({ startNs: day, stopNs: day + dayNs })
        yield* this.records.keep(records)
      }
    })
  }

  /** The days of a span that don't hold what is known of them. */
  private wrongDays(span: Span): Effect.Effect<ReadonlyArray<TimeNs>, StoreUnavailable> {
    return Effect.gen(this, function* () {
      const { startNs, stopNs } = span
      if (startNs >= stopNs) return []
      if (stopNs - startNs <= BigInt(histogramDaysMax) * dayNs) {
        const counts = new Map(yield* this.queries.countPerDay(span))
        return [...new Set([...counts.keys(), ...this.days.inhabited(span)])].filter(
          (day) => (counts.get(day) ?? 0) !== this.days.within({ startNs: day, stopNs: day + dayNs })
        )
      }
      if ((yield* this.queries.count(span)) === this.days.within(span)) return []
      const middleNs = dayOf((startNs + stopNs) / 2n)
      const before = yield* this.wrongDays({ startNs, stopNs: middleNs })
      return [...before, ...(yield* this.wrongDays({ startNs: middleNs, stopNs }))]
    })
  }

  private get readAllSeries(): Effect.Effect<void, StoreUnavailable> {
    return Effect.gen(this, function* () {
      this.writtenMeanwhile = []
      const firsts = yield* this.queries.firsts(allTime)
      const lasts = yield* this.queries.lasts(allTime)
      this.series.replace([...firsts, ...lasts])
      for (const samples of this.writtenMeanwhile) this.series.mergeSamples(samples)
      this.changed = []
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          this.writtenMeanwhile = undefined
        })
      )
    )
  }

  private get readChangedSeries(): Effect.Effect<void, StoreUnavailable> {
    return Effect.gen(this, function* () {
      for (const span of this.changed as ReadonlyArray<Span>) {
        const lasts = yield* this.queries.lasts(span)
        // In the open hour only a series that is not known can begin.
        const isOpen = span.stopNs === allTime.stopNs
        const mayBegin = !isOpen || lasts.some(({ tags }) => this.series.mayBeginIn(tags, span.startNs))
        const firsts = mayBegin ? yield* this.queries.firsts(span) : []
        for (const times of [...firsts, ...lasts]) this.series.merge(times)
      }
      this.changed = []
    })
  }
}
