/**
 * A result walked in slices of time, in the order of its query.
 *
 * Flux can't express the global order, so what it answers is sorted here; and it can only be sorted when it is complete. A slice
 * is complete for its time, small enough to hold, and follows the one before without a gap. How wide it is follows from
 * how dense the samples are: first by hearsay, then by what the slices before have held. Neither decides what is answered: a
 * slice that turns out too full is asked for again, narrower, and one that begins with the result begins at its very start.
 */
import { Effect } from "effect"
import type { TimeNs } from "../../../protocol/Time.ts"
import type { SampleOrder, StoreUnavailable } from "../../TelemetryStore.ts"
import type { Extent } from "./Catalogue.ts"
import type { Range } from "./flux.ts"

/** Rows that a slice may hold; beyond, it is asked for again. */
export const sliceRowsMax = 20_000
/** Rows that a slice of a whole result aims at. */
export const sliceRowsTarget = 5_000
/** A slice is at most so many times as wide as the one before would have had to be. */
const growthMax = 8
/** What a slice held that was too full is at least so many times as wide as the next. */
const shrinkage = 4n

/** What a walk is over. */
export interface Sliced<A> {
  /** All rows of a range; where there are more than `rowsMax`, some of them and at least `rowsMax`. */
  readonly rows: (
    range: Range,
    rowsMax: number | undefined
  ) => Effect.Effect<ReadonlyArray<A>, StoreUnavailable>
  readonly survey: (range: Range) => Effect.Effect<Extent | undefined, StoreUnavailable>
  /** What has to be in one slice with an instant: that instant, or its window. */
  readonly unit: (timeNs: TimeNs) => Range
  /** The width of the first slice, where that is not too many samples. */
  readonly firstWidthNs: bigint
  /** About how many samples may go into the rows of a slice. */
  readonly samplesMax: number
}

const later = (a: TimeNs, b: TimeNs): TimeNs => (a > b ? a : b)
const earlier = (a: TimeNs, b: TimeNs): TimeNs => (a < b ? a : b)

/** What is believed of what is still to be walked. */
interface Guess {
  readonly edgeNs: TimeNs
  /** Nothing is known to lie behind it. */
  readonly farNs: TimeNs
  /** Samples per nanosecond between the two. */
  readonly sampleDensity: number
  /** Rows per nanosecond, once a slice has been seen. */
  readonly rowDensity: number | undefined
}

/** Samples per nanosecond. */
export const densityOf = ({ firstNs, lastNs, samples }: Extent): number =>
  Math.max(1, samples) / (Number(lastNs - firstNs) + 1)

/** The nanoseconds in which as many are to be expected. */
export const widthOf = (rows: number, density: number): bigint =>
  BigInt(Math.max(1, Math.floor(Math.min(rows / density, Number.MAX_SAFE_INTEGER * 2 ** 11))))

export class SliceWalk<A> {
  /** What is still to be walked. */
  private rest: Range | undefined
  private guess: Guess | undefined
  /** While slices turn out too full: the width of the next, which then does not reach beyond what is known. */
  private widthMaxNs: bigint | undefined
  private readonly isAscending: boolean

  constructor(
    private readonly sliced: Sliced<A>,
    range: Range,
    order: SampleOrder,
    hint: Extent | undefined
  ) {
    this.rest = range
    this.isAscending = order === "asc"
    if (hint !== undefined && hint.firstNs <= hint.lastNs) this.believe(hint)
  }

  get isDone(): boolean {
    return this.rest === undefined
  }

  /** The rows of the next slice, which aims at so many. They may be none. */
  next(rowsTarget: number): Effect.Effect<ReadonlyArray<A>, StoreUnavailable> {
    return Effect.gen(this, function* () {
      for (;;) {
        const { rest } = this
        if (rest === undefined) return []
        if (this.guess === undefined) {
          this.goTo(yield* this.sliced.survey(rest), rest)
          continue
        }
        const slice = this.sliceOf(rest, this.guess, rowsTarget)
        const isWhole = this.isUnit(slice)
        const rows = yield* this.sliced.rows(slice, isWhole ? undefined : sliceRowsMax + 1)
        if (!isWhole && rows.length > sliceRowsMax) {
          const found = yield* this.sliced.survey(slice)
          this.goTo(found, slice)
          this.widthMaxNs = found && (found.lastNs - found.firstNs) / shrinkage + 1n
          continue
        }
        this.widthMaxNs = undefined
        this.learn(slice, rows.length)
        this.goBehind(slice)
        return rows
      }
    })
  }

  private believe(extent: Extent): void {
    const [edgeNs, farNs] = this.isAscending
      ? [extent.firstNs, extent.lastNs]
      : [extent.lastNs, extent.firstNs]
    this.guess = { edgeNs, farNs, sampleDensity: densityOf(extent), rowDensity: undefined }
  }

  /** Goes on where a survey of the next slice, or of all the rest, has found something. */
  private goTo(found: Extent | undefined, surveyed: Range): void {
    if (found === undefined) {
      this.goBehind(surveyed)
      return
    }
    this.believe(found)
    const { startNs, endNs } = this.rest!
    this.rest = this.isAscending
      ? { startNs: later(startNs, this.sliced.unit(found.firstNs).startNs), endNs }
      : { startNs, endNs: earlier(endNs, this.sliced.unit(found.lastNs).endNs) }
  }

  private goBehind({ startNs, endNs }: Range): void {
    const rest = this.rest!
    if (this.isAscending) {
      this.rest = endNs >= rest.endNs ? undefined : { startNs: endNs + 1n, endNs: rest.endNs }
    } else {
      this.rest = startNs <= rest.startNs ? undefined : { startNs: rest.startNs, endNs: startNs - 1n }
    }
  }

  private widthOf({ sampleDensity, rowDensity }: Guess, rows: number): bigint {
    const { firstWidthNs, samplesMax } = this.sliced
    const widthNs =
      rowDensity === undefined ? later(firstWidthNs, widthOf(rows, sampleDensity)) : widthOf(rows, rowDensity)
    const widestNs = widthOf(samplesMax, sampleDensity)
    return earlier(widthNs, earlier(widestNs, this.widthMaxNs ?? widestNs))
  }

  private sliceOf(rest: Range, guess: Guess, rows: number): Range {
    const { edgeNs, farNs } = guess
    const widthNs = this.widthOf(guess, rows)
    const { unit } = this.sliced
    if (this.isAscending) {
      const endNs = unit(earlier(later(edgeNs, rest.startNs) + widthNs - 1n, rest.endNs)).endNs
      return {
        startNs: rest.startNs,
        endNs: this.reaches(endNs >= farNs) ? rest.endNs : earlier(endNs, rest.endNs)
      }
    }
    const startNs = unit(later(earlier(edgeNs, rest.endNs) - widthNs + 1n, rest.startNs)).startNs
    return {
      startNs: this.reaches(startNs <= farNs) ? rest.startNs : later(startNs, rest.startNs),
      endNs: rest.endNs
    }
  }

  /** Whether a slice that ends where nothing more is known takes all that is left. */
  private reaches(isAtFarEnd: boolean): boolean {
    return isAtFarEnd && this.widthMaxNs === undefined
  }

  private isUnit({ startNs, endNs }: Range): boolean {
    return this.sliced.unit(startNs).endNs >= endNs
  }

  /** What a slice has held says how dense the next one is; an empty one, that something has to be looked for. */
  private learn({ startNs, endNs }: Range, rows: number): void {
    const guess = this.guess!
    const { edgeNs } = guess
    if (rows === 0) {
      this.guess = undefined
      return
    }
    const widthNs = this.isAscending
      ? endNs - later(startNs, earlier(edgeNs, endNs)) + 1n
      : earlier(endNs, later(edgeNs, startNs)) - startNs + 1n
    const seen = rows / Number(widthNs)
    const known = guess.rowDensity
    this.guess = { ...guess, rowDensity: known === undefined ? seen : Math.max(seen, known / growthMax) }
  }
}
