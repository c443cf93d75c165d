/** The bytes that series are ordered by in the file, against the order that they stand for. */
import { expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { parseSeries } from "../../../../src/layers/telemetry-store/file/series-text.ts"
import { sortKey, textKey } from "../../../../src/layers/telemetry-store/file/sort-key.ts"
import { compareSeries, compareUtf8, seriesKey } from "../../../../src/protocol/Series.ts"
import { crowdedSeries, series } from "../../../arbitraries.ts"

/** Texts out of units that are escaped, that have no UTF-8 alone, or whose order differs in UTF-16. */
const units = FastCheck.constantFrom("\0", "\u0001", "\u0002", "a", "\ud7ff", "\ud800", "\ud801", "\udbff")
const moreUnits = FastCheck.constantFrom("\udc00", "\udfff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}")
const text = FastCheck.array(FastCheck.oneof(units, moreUnits), { maxLength: 4 }).map((all) => all.join(""))

const oddSeries = FastCheck.record({
  of: FastCheck.oneof(crowdedSeries, series),
  metricName: text,
  uuid: text,
  labels: FastCheck.uniqueArray(FastCheck.tuple(text, text), { maxLength: 3, selector: ([name]) => name })
}).map(({ of, labels, ...tags }) => ({
  ...of,
  ...tags,
  labels: labels.filter(([, value]) => value !== "").sort(([a], [b]) => compareUtf8(a, b))
}))
const anySeries = FastCheck.oneof(crowdedSeries, series, oddSeries)

it.prop(
  "texts compare as their bytes do",
  [text, text],
  ([a, b]) => {
    expect(Math.sign(Buffer.compare(textKey(a), textKey(b)))).toBe(Math.sign(compareUtf8(a, b)))
  },
  { fastCheck: { numRuns: 2_000 } }
)

it.prop(
  "series compare as their bytes do",
  [anySeries, anySeries],
  ([a, b]) => {
    expect(Math.sign(Buffer.compare(sortKey(a), sortKey(b)))).toBe(Math.sign(compareSeries(a, b)))
  },
  { fastCheck: { numRuns: 2_000 } }
)

it.prop(
  "series that differ in one tag compare as their bytes do",
  [anySeries, anySeries],
  ([a, b]) => {
    for (const tag of Object.keys(a) as Array<keyof typeof a>) {
      const changed = { ...a, [tag]: b[tag] }
      expect(Math.sign(Buffer.compare(sortKey(a), sortKey(changed)))).toBe(
        Math.sign(compareSeries(a, changed))
      )
    }
  },
  { fastCheck: { numRuns: 1_000 } }
)

it.prop("a series is what its text says", [anySeries], ([given]) => {
  expect(parseSeries(seriesKey(given))).toEqual(given)
})
