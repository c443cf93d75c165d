import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { compareSeries, compareUtf8, seriesKey, sortLabels } from "../../src/protocol/Series.ts"
import { crowdedSeries, oddText, series, text } from "../arbitraries.ts"
import { compareNaively } from "../properties/NaiveSamples.ts"

const someSeries = FastCheck.oneof(crowdedSeries, series)
const anyText = FastCheck.oneof(text, FastCheck.string())
/** Texts with a common beginning, where surrogates and what lies above them meet. */
const neighbours = FastCheck.tuple(oddText, oddText, oddText).map(
  ([common, a, b]) => [common + a, common + b] as const
)

describe("order", () => {
  it.prop(
    "texts compare as their UTF-8 bytes",
    [FastCheck.oneof(neighbours, FastCheck.tuple(anyText, anyText))],
    ([[a, b]]) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }
  )

  it.prop(
    "texts with lone surrogates have a total order too",
    [
      FastCheck.array(FastCheck.constantFrom("\ud800", "\udc00", "\ud83d\ude00", "\ue000", "a", "ab"), {
        maxLength: 3
      }).map((parts) => parts.join("")),
      FastCheck.string({ unit: "binary-ascii" }),
      oddText
    ],
    ([a, b, c]) => {
      const sorted = [a, b, c].sort(compareUtf8)
      expect(compareUtf8(sorted[0]!, sorted[2]!)).toBeLessThanOrEqual(0)
      expect(Math.sign(compareUtf8(a, c))).toBe(-Math.sign(compareUtf8(c, a)) + 0)
    }
  )

  it.prop("series compare as the contract words it", [someSeries, someSeries], ([a, b]) => {
    const naive = compareNaively({ series: a, timeNs: 0n, value: 0 }, { series: b, timeNs: 0n, value: 0 })
    expect(Math.sign(compareSeries(a, b))).toBe(Math.sign(naive))
  })

  it.prop("the order of series is total", [crowdedSeries, crowdedSeries, crowdedSeries], ([a, b, c]) => {
    expect(Math.sign(compareSeries(a, b))).toBe(-Math.sign(compareSeries(b, a)) + 0)
    if (compareSeries(a, b) <= 0 && compareSeries(b, c) <= 0) {
      expect(compareSeries(a, c)).toBeLessThanOrEqual(0)
    }
  })

  it("a missing label comes before any, whatever further labels there are", () => {
    const of = (...labels: ReadonlyArray<[string, string]>) => ({ ...base, labels })
    const ascending = [of(), of(["b", "1"]), of(["a", "1"]), of(["a", "1"], ["b", "1"]), of(["a", "2"])]
    expect([...ascending].reverse().sort(compareSeries)).toEqual(ascending)
  })
})

const base = {
  metricName: "M",
  uuid: "GPU-1",
  hostname: "",
  gpuId: 0,
  device: "",
  modelName: "",
  container: "",
  pod: "",
  namespace: ""
}

describe("identity", () => {
  it.prop(
    "two series share a key exactly when the order makes no difference between them",
    [crowdedSeries, crowdedSeries],
    ([a, b]) => {
      expect(seriesKey(a) === seriesKey(b)).toBe(compareSeries(a, b) === 0)
    }
  )

  it.prop("a copy of a series is the same series", [series], ([given]) => {
    const copy = structuredClone(given)
    expect(seriesKey(copy)).toBe(seriesKey(given))
    expect(compareSeries(copy, given)).toBe(0)
  })

  it.prop(
    "labels are the same in whatever order they come, and an empty one is none",
    [series],
    ([given]) => {
      expect(sortLabels([["zz", ""], ...[...given.labels].reverse()])).toEqual(given.labels)
    }
  )
})
