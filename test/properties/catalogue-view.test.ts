/**
 * The view of a catalogue against an InfluxDB that is an array: others write with and without marks while it asks, samples are
 * deleted, any question may fail, and hours and days pass. Once all is quiet and everything was counted, it tells the truth; until
 * then it counts no sample twice, and none less that was counted and is still there.
 */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Exit, FastCheck as fc } from "effect"
import { StoreUnavailable } from "../../src/layers/TelemetryStore.ts"
import {
  type CatalogueQueries,
  type DayRecord,
  dayNs,
  dayOf,
  type Span
} from "../../src/layers/telemetry-store/influx/CatalogueQueries.ts"
import { CatalogueView, frontierAt } from "../../src/layers/telemetry-store/influx/CatalogueView.ts"
import type { SeriesTimes } from "../../src/layers/telemetry-store/influx/KnownSeries.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import type { TimeNs } from "../../src/protocol/Time.ts"
import { sampleOf } from "../Samples.ts"

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
/** A quarter to ten in the evening, so that hours and a day end soon. */
const startMs = Date.UTC(2025, 6, 18, 21, 45)

/** A sample by how long before its writing it was taken. */
interface Point {
  readonly series: number
  readonly ageMs: number
}

type Change =
  | { readonly type: "others"; readonly isMarked: boolean; readonly points: ReadonlyArray<Point> }
  | { readonly type: "own"; readonly points: ReadonlyArray<Point> }
  | { readonly type: "removeDay"; readonly ageMs: number }
  | { readonly type: "removeSeries"; readonly series: number }
  | { readonly type: "pass"; readonly ms: number }

type Step =
  | Change
  | {
      readonly type: "refresh"
      readonly kind: "open" | "everything" | "restart"
      /** The question that is refused, counted from 0. */
      readonly failsAt: number | undefined
      /** What happens before, or after, a question is answered. */
      readonly meanwhile: ReadonlyArray<{
        readonly at: number
        readonly isAfter: boolean
        readonly change: Change
      }>
    }

const seriesOf = (index: number) => ({ uuid: `GPU-${index >> 1}`, metricName: index % 2 === 0 ? "a" : "b" })

class World {
  nowMs = startMs
  /** What InfluxDB holds, by identity. */
  readonly held = new Map<string, Sample>()
  readonly records = new Map<TimeNs, DayRecord>()
  private marks = 0
  private asked = 0
  private plan: Extract<Step, { type: "refresh" }> | undefined
  view: CatalogueView
  /** Samples that were there at some time since everything was quiet, and those that were there all the time. */
  private ever = new Set<string>()
  private always = new Set<string>()

  constructor() {
    this.view = this.fresh()
  }

  fresh(): CatalogueView {
    return new CatalogueView(this.queries, { read: this.queries.days, keep: this.queries.keepDays })
  }

  private ask<A>(answer: () => A): Effect.Effect<A, StoreUnavailable> {
    return Effect.suspend(() => {
      const at = this.asked++
      this.intrude(at, false)
      if (this.plan?.failsAt === at) {
        return Effect.fail(new StoreUnavailable({ store: "array", problem: "refused" }))
      }
      const result = answer()
      this.intrude(at, true)
      return Effect.succeed(result)
    })
  }

  private intrude(at: number, isAfter: boolean): void {
    if (this.view.isLoaded) this.checkBounds()
    for (const each of this.plan?.meanwhile ?? []) {
      if (each.at === at && each.isAfter === isAfter) this.change(each.change)
    }
  }

  private within({ startNs, stopNs }: Span): ReadonlyArray<Sample> {
    return [...this.held.values()].filter(({ timeNs }) => timeNs >= startNs && timeNs < stopNs)
  }

  private outermost(span: Span, isLast: boolean): ReadonlyArray<SeriesTimes> {
    const found = new Map<Sample["series"]["uuid"], SeriesTimes>()
    for (const { series, timeNs } of this.within(span)) {
      const key = `${series.uuid} ${series.metricName}`
      const known = found.get(key)
      if (known === undefined || (isLast ? timeNs > known.lastNs : timeNs < known.firstNs)) {
        found.set(key, { tags: series, firstNs: timeNs, lastNs: timeNs })
      }
    }
    return [...found.values()]
  }

  private readonly queries: CatalogueQueries = {
    count: (span) => this.ask(() => this.within(span).length),
    countPerDay: (span) =>
      this.ask(() => {
        const counts = new Map<TimeNs, number>()
        for (const { timeNs } of this.within(span)) {
          counts.set(dayOf(timeNs), (counts.get(dayOf(timeNs)) ?? 0) + 1)
        }
        return [...counts]
      }),
    firsts: (span) => this.ask(() => this.outermost(span, false)),
    lasts: (span) => this.ask(() => this.outermost(span, true)),
    days: Effect.suspend(() => this.ask(() => [...this.records.values()])),
    keepDays: (records) => this.ask(() => this.keep(records))
  }

  private keep(records: ReadonlyArray<DayRecord>): void {
    for (const record of records) {
      this.records.set(record.dayNs, { ...this.records.get(record.dayNs), ...record })
    }
  }

  private samplesOf(points: ReadonlyArray<Point>): ReadonlyArray<Sample> {
    return points.map(({ series, ageMs }) =>
      sampleOf(BigInt(this.nowMs - ageMs) * 1_000_000n, 1, seriesOf(series))
    )
  }

  private store(samples: ReadonlyArray<Sample>): void {
    for (const sample of samples) {
      const key = `${sample.series.uuid} ${sample.series.metricName} ${sample.timeNs}`
      this.held.set(key, sample)
      this.ever.add(key)
    }
  }

  private mark(samples: ReadonlyArray<Sample>): void {
    const { openNs } = frontierAt(this.nowMs)
    const older = samples.filter(({ timeNs }) => timeNs < openNs)
    this.keep(older.map(({ timeNs }) => ({ dayNs: dayOf(timeNs), written: `mark ${this.marks++}` })))
  }

  private remove(isGone: (sample: Sample) => boolean): void {
    for (const [key, sample] of this.held) {
      if (!isGone(sample)) continue
      this.held.delete(key)
      this.always.delete(key)
    }
  }

  change(change: Change): void {
    switch (change.type) {
      case "others": {
        const samples = this.samplesOf(change.points)
        this.store(samples)
        if (change.isMarked) this.mark(samples)
        return
      }
      case "own": {
        const samples = this.samplesOf(change.points)
        this.store(samples)
        this.mark(samples)
        this.view.note(samples)
        return
      }
      case "removeDay": {
        const day = dayOf(BigInt(this.nowMs - change.ageMs) * 1_000_000n)
        this.remove(({ timeNs }) => timeNs >= day && timeNs < day + dayNs)
        return
      }
      case "removeSeries": {
        const { uuid, metricName } = seriesOf(change.series)
        this.remove(({ series }) => series.uuid === uuid && series.metricName === metricName)
        return
      }
      case "pass":
        this.nowMs += change.ms
    }
  }

  private run(effect: Effect.Effect<void, StoreUnavailable>): Exit.Exit<void, StoreUnavailable> {
    const clock: Clock.Clock = {
      ...Clock.make(),
      unsafeCurrentTimeMillis: () => this.nowMs,
      currentTimeMillis: Effect.sync(() => this.nowMs)
    }
    return Effect.runSyncExit(Effect.withClock(effect, clock))
  }

  refresh(plan: Extract<Step, { type: "refresh" }>): Exit.Exit<void, StoreUnavailable> {
    this.asked = 0
    this.plan = plan
    if (plan.kind === "restart") this.view = this.fresh()
    const { view } = this
    const exit = this.run(
      Effect.suspend(() => {
        if (!view.isLoaded) return view.load
        return Effect.zipRight(plan.kind === "open" ? view.countOpen : view.countAll, view.readSeries)
      })
    )
    this.plan = undefined
    return exit
  }

  checkBounds(): void {
    expect(this.view.samples).toBeGreaterThanOrEqual(this.always.size)
    expect(this.view.samples).toBeLessThanOrEqual(this.ever.size)
  }

  /** Counts everything while nothing happens, and compares. */
  checkQuiet(): void {
    for (const kind of ["open", "everything"] as const) {
      const exit = this.refresh({ type: "refresh", kind, failsAt: undefined, meanwhile: [] })
      expect(exit).toEqual(Exit.void)
    }
    const { series } = this.view
    const truth = new Map<string, { firstSeenNs: TimeNs; lastSeenNs: TimeNs }>()
    for (const { series, timeNs } of this.held.values()) {
      const known = truth.get(series.uuid)
      truth.set(series.uuid, {
        firstSeenNs: known !== undefined && known.firstSeenNs < timeNs ? known.firstSeenNs : timeNs,
        lastSeenNs: known !== undefined && known.lastSeenNs > timeNs ? known.lastSeenNs : timeNs
      })
    }
    const gpus = series
      .gpus({})
      .map(({ uuid, firstSeenNs, lastSeenNs }) => [uuid, { firstSeenNs, lastSeenNs }])
    expect(gpus).toEqual([...truth].sort(([a], [b]) => (a < b ? -1 : 1)))
    const names = new Set([...this.held.values()].map(({ series }) => series.metricName))
    expect(series.metricNames(undefined)).toEqual([...names].sort())
    expect(this.view.samples).toBe(this.held.size)
    this.ever = new Set(this.held.keys())
    this.always = new Set(this.held.keys())
  }
}

const age = fc
  .tuple(
    fc.constantFrom(
      -5 * minuteMs,
      0,
      5 * minuteMs,
      20 * minuteMs,
      hourMs,
      3 * hourMs,
      dayMs,
      3 * dayMs,
      50 * dayMs
    ),
    fc.integer({ min: 0, max: 9 })
  )
  .map(([ageMs, more]) => ageMs + more * minuteMs)
const points = fc.array(fc.record({ series: fc.nat(5), ageMs: age }), { minLength: 1, maxLength: 4 })

/** What may happen; with `isRemoving`, samples also go. */
const changes = (options: { readonly isRemoving: boolean }): fc.Arbitrary<Change> =>
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant("others" as const), isMarked: fc.boolean(), points })
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("own" as const), points }) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant("pass" as const),
        ms: fc.constantFrom(minuteMs, 11 * minuteMs, hourMs, 5 * hourMs, 2 * dayMs, -2 * hourMs, -dayMs)
      })
    },
    ...(options.isRemoving
      ? [
          { weight: 1, arbitrary: fc.record({ type: fc.constant("removeDay" as const), ageMs: age }) },
          {
            weight: 1,
            arbitrary: fc.record({ type: fc.constant("removeSeries" as const), series: fc.nat(5) })
          }
        ]
      : [])
  )

const steps = (options: { readonly isRemoving: boolean }): fc.Arbitrary<ReadonlyArray<Step | "quiet">> => {
  const change = changes(options)
  return fc.array(
    fc.oneof(
      { weight: 4, arbitrary: change },
      {
        weight: 4,
        arbitrary: fc.record({
          type: fc.constant("refresh" as const),
          kind: fc.constantFrom("open" as const, "everything" as const, "restart" as const),
          failsAt: fc.option(fc.nat(8), { nil: undefined, freq: 3 }),
          meanwhile: fc.array(fc.record({ at: fc.nat(10), isAfter: fc.boolean(), change }), { maxLength: 2 })
        })
      },
      { weight: 1, arbitrary: fc.constant("quiet" as const) }
    ),
    { maxLength: 15 }
  )
}

/** Where as many samples came as went, the hour has to end before the series that went with them are missed. */
const holds = (history: ReadonlyArray<Step | "quiet">, isRemoving: boolean): void => {
  const world = new World()
  const checkQuiet = () => {
    if (isRemoving) world.change({ type: "pass", ms: hourMs })
    world.checkQuiet()
  }
  for (const step of history) {
    if (step === "quiet") checkQuiet()
    else if (step.type === "refresh") world.refresh(step)
    else world.change(step)
    if (world.view.isLoaded) world.checkBounds()
  }
  checkQuiet()
}

const numRuns = 1_000

describe("the view of a catalogue", () => {
  it("tells the truth of what is only added to", () => {
    fc.assert(
      fc.property(steps({ isRemoving: false }), (history) => holds(history, false)),
      { numRuns }
    )
  })

  it("tells the truth of what is also removed from", () => {
    fc.assert(
      fc.property(steps({ isRemoving: true }), (history) => holds(history, true)),
      { numRuns }
    )
  })
})
