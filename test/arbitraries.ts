/**
 * FastCheck arbitraries of the shared language: times, series, samples, batches.
 *
 * The plain ones roam over everything the protocol allows. The crowded ones draw from small pools, so that a handful of
 * samples already share instants, tags and identities: that is where order and overwriting can go wrong.
 */
import { FastCheck } from "effect"
import type { SampleFilter, SampleOrder, SampleQuery } from "../src/layers/TelemetryStore.ts"
import type { Batch } from "../src/protocol/Batch.ts"
import type { Sample } from "../src/protocol/Sample.ts"
import { reservedLabelNames, type Series, sortLabels } from "../src/protocol/Series.ts"
import { type TimeNs, timeNsMax, timeNsMin } from "../src/protocol/Time.ts"

/** Characters whose order differs between UTF-16 units and UTF-8 bytes, or that an encoder may trip over. */
const oddCharacters = [
  ..."aZ09-_ ,=\"\\'\n\t\u0000",
  "é",
  "中",
  "\ud7ff",
  "\ue000",
  "\ufffd",
  "\uffff",
  "\u{10000}",
  "\u{1f600}",
  "\u{10ffff}"
]

/** Short texts of odd characters; well-formed, so that they have UTF-8 bytes. */
export const oddText: FastCheck.Arbitrary<string> = FastCheck.array(
  FastCheck.constantFrom(...oddCharacters),
  { maxLength: 4 }
).map((characters) => characters.join(""))

/** Any well-formed text. */
export const text: FastCheck.Arbitrary<string> = FastCheck.oneof(
  oddText,
  FastCheck.string({ unit: "binary", maxLength: 20 })
)

const nonEmpty = (arbitrary: FastCheck.Arbitrary<string>): FastCheck.Arbitrary<string> =>
  arbitrary.filter((value) => value !== "")

/** Any instant that is carried, its edges and whole seconds included. */
export const timeNs: FastCheck.Arbitrary<TimeNs> = FastCheck.oneof(
  FastCheck.bigInt({ min: timeNsMin, max: timeNsMax }),
  FastCheck.bigInt({ min: -9_000_000_000n, max: 9_000_000_000n }).map((seconds) => seconds * 1_000_000_000n),
  FastCheck.constantFrom(timeNsMin, timeNsMin + 1n, -1n, 0n, 1n, timeNsMax - 1n, timeNsMax)
)

/** 2025-07-18T20:42:34Z, when the crowded samples happened. */
export const crowdedEpochNs: TimeNs = 1_752_871_354_000_000_000n

/** One of a dozen instants, neighbouring nanoseconds among them. */
export const crowdedTimeNs: FastCheck.Arbitrary<TimeNs> = FastCheck.oneof(
  FastCheck.bigInt({ min: 0n, max: 5n }).map((nanos) => crowdedEpochNs + nanos),
  FastCheck.bigInt({ min: 0n, max: 5n }).map((seconds) => crowdedEpochNs + seconds * 1_000_000_000n)
)

/** A finite number, never `-0`. */
export const value: FastCheck.Arbitrary<number> = FastCheck.oneof(
  FastCheck.double({ noNaN: true, noDefaultInfinity: true }),
  FastCheck.integer({ min: 0, max: 100 })
).map((number) => number + 0)

/** Labels as a series carries them; `names` and `values` may repeat or be empty, what comes out does not. */
const labelsOf = (
  names: FastCheck.Arbitrary<string>,
  values: FastCheck.Arbitrary<string>
): FastCheck.Arbitrary<Series["labels"]> =>
  FastCheck.uniqueArray(FastCheck.tuple(names, values), { maxLength: 3, selector: ([name]) => name }).map(
    (labels) => sortLabels(labels.filter(([name]) => !reservedLabelNames.has(name)))
  )

/** Labels with any names that are allowed. */
export const labels: FastCheck.Arbitrary<Series["labels"]> = labelsOf(nonEmpty(text), text)

/** Any series that a metric object can carry. */
export const series: FastCheck.Arbitrary<Series> = FastCheck.record({
  metricName: nonEmpty(text),
  uuid: nonEmpty(text),
  hostname: text,
  gpuId: FastCheck.oneof(FastCheck.nat(15), FastCheck.maxSafeNat()),
  device: text,
  modelName: text,
  container: text,
  pod: text,
  namespace: text,
  labels
})

const crowdedTag = FastCheck.constantFrom("", "a", "ab", "\ue000", "\u{1f600}")

/** A series of a small fleet: tags repeat, are missing, and order differently in UTF-16 than in UTF-8. */
export const crowdedSeries: FastCheck.Arbitrary<Series> = FastCheck.record({
  metricName: FastCheck.constantFrom("DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_UTIL", "\uff5e", "\u{10000}"),
  uuid: FastCheck.constantFrom("GPU-1", "GPU-10", "GPU-\ufffd", "GPU-\u{1f600}"),
  hostname: crowdedTag,
  gpuId: FastCheck.constantFrom(undefined, 0, 2, 10),
  device: FastCheck.constantFrom("", "nvidia0"),
  modelName: FastCheck.constantFrom("", "H100"),
  container: FastCheck.constantFrom("", "\ue000"),
  pod: FastCheck.constantFrom("", "a"),
  namespace: FastCheck.constantFrom("", "a"),
  labels: labelsOf(FastCheck.constantFrom("a", "b", "\ue000", "\u{1f600}"), crowdedTag)
})

const sampleOf = (
  seriesArbitrary: FastCheck.Arbitrary<Series>,
  times: FastCheck.Arbitrary<TimeNs>
): FastCheck.Arbitrary<Sample> => FastCheck.record({ series: seriesArbitrary, timeNs: times, value })

/** Any sample. */
export const sample: FastCheck.Arbitrary<Sample> = sampleOf(series, timeNs)

/**
 * Samples of a few series at a few instants: many share a time, some an identity. Each has a `Series` object of its own,
 * as decoded input has.
 */
export const crowdedSamples = (constraints: {
  readonly minLength?: number
  readonly maxLength: number
}): FastCheck.Arbitrary<ReadonlyArray<Sample>> =>
  FastCheck.array(crowdedSeries, { minLength: 1, maxLength: 6 }).chain((pool) =>
    FastCheck.array(
      sampleOf(
        FastCheck.constantFrom(...pool).map((member) => ({ ...member })),
        crowdedTimeNs
      ),
      constraints
    )
  )

/** Any batch. */
export const batch: FastCheck.Arbitrary<Batch> = FastCheck.record({
  batchId: text,
  source: text,
  collectedAtNs: timeNs,
  samples: FastCheck.array(sample, { maxLength: 5 })
})

export const sampleOrder: FastCheck.Arbitrary<SampleOrder> = FastCheck.constantFrom("asc", "desc")

/** A filter in which each field is left out more often than not, so that most answers hold something. */
export const crowdedFilter: FastCheck.Arbitrary<SampleFilter> = FastCheck.record(
  {
    uuid: crowdedSeries.map(({ uuid }) => uuid),
    metricName: crowdedSeries.map(({ metricName }) => metricName),
    hostname: crowdedSeries.map(({ hostname }) => hostname),
    gpuId: FastCheck.constantFrom(0, 2, 10),
    startNs: crowdedTimeNs,
    endNs: crowdedTimeNs
  },
  { requiredKeys: [] }
)

/** A query of crowded samples; most of them restrict to little. */
export const crowdedQuery: FastCheck.Arbitrary<SampleQuery> = FastCheck.tuple(
  FastCheck.oneof(FastCheck.constant({}), crowdedFilter),
  sampleOrder
).map(([filter, order]) => ({ ...filter, order }))
