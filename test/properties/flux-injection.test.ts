/** No text changes what a Flux query is, whatever it holds: it is compared, and nothing else. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import type { SampleFilter } from "../../src/layers/TelemetryStore.ts"
import { allTime, rangeOf, selection } from "../../src/layers/telemetry-store/influx/flux.ts"
import { encodeLine } from "../../src/layers/telemetry-store/influx/lines.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import { text } from "../arbitraries.ts"
import { freshBucket, isInfluxThere } from "../influx/Buckets.ts"
import { cataloguesOf, openReading, whole } from "../layers/telemetry-store/InfluxReading.ts"
import { epochNs, sampleOf } from "../Samples.ts"

/** What has a meaning in Flux, in its literals, or in the escapes of others. */
const pieces = [
  ...[
    '"',
    "\\",
    "$",
    "${",
    "$${",
    "}",
    "\\x00",
    "\\u0041",
    "\n",
    "\r",
    "\t",
    "\u0000",
    "\u007f",
    "//",
    "/",
    "'"
  ],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what Flux would interpolate, and no template of ours.
  ...['") or true //', "${r.uuid}", '$${""}', ")", "|>", "_value", "\u2028", "\ufeff", "\u{1f600}", "a", " "]
]
const hostile = FastCheck.oneof(
  text,
  FastCheck.array(FastCheck.constantFrom(...pieces), { minLength: 1, maxLength: 6 }).map((found) =>
    found.join("")
  )
)

/**
 * The tokens of a query, with every text replaced by one word. Strict about literals: what
 * follows a backslash or a dollar sign must be what Flux's scanner takes for a character, or the text is not one literal.
 */
const tokensOf = (query: string): ReadonlyArray<string> => {
  const token = /\s+|"((?:[^"\\$\p{Control}]|\\x[0-9a-f]{2})*)"|[A-Za-z_]\w*|\d+|==|=>|\|>|[(){}:,.-]/uy
  const tokens: Array<string> = []
  while (token.lastIndex < query.length) {
    const { lastIndex } = token
    const match = token.exec(query)
    if (match === null) throw new Error(`no token: ${query.slice(lastIndex)}`)
    const [found, literal] = match
    if (found.trim() !== "") tokens.push(literal === undefined ? found : "a text")
  }
  return tokens
}

const tokensFor = (filter: SampleFilter) => tokensOf(selection("bucket", allTime, filter).toString())

const halves = FastCheck.tuple(text, FastCheck.constantFrom("\ud800", "\udc00"), text).map((found) =>
  found.join("")
)

describe("texts in Flux", () => {
  it.prop(
    "are one literal each, and the rest of the query is as it was",
    [
      FastCheck.record({
        uuid: hostile,
        metricName: hostile,
        hostname: hostile.filter((name) => name !== "")
      })
    ],
    ([filter]) => {
      expect(tokensFor(filter)).toEqual(tokensFor({ uuid: "a", metricName: "a", hostname: "a" }))
    },
    { fastCheck: { numRuns: 2_000 } }
  )

  it.prop("that are no Unicode are not asked for: nothing is stored under them", [halves], ([half]) => {
    FastCheck.pre(/\p{Surrogate}/u.test(half))
    for (const filter of [{ uuid: half }, { metricName: half }, { hostname: half }]) {
      expect(rangeOf(filter)).toBeUndefined()
    }
  })

  it.effect.skipIf(!isInfluxThere)("find exactly what is equal to them", () =>
    Effect.gen(function* () {
      const { write, readingBy } = yield* openReading
      const texts = [...new Set([...pieces, ...FastCheck.sample(hostile, { numRuns: 150, seed: 1 })])]
      const stored: ReadonlyArray<Sample> = texts
        .flatMap((text, i) => [
          sampleOf(epochNs, i, { uuid: `x${text}x` }),
          sampleOf(epochNs, i, { metricName: `x${text}x` }),
          sampleOf(epochNs, i, { hostname: `x${text}x` })
        ])
        .filter((sample) => encodeLine(sample) !== undefined)
      yield* write(stored)
      const reading = readingBy(cataloguesOf(stored)["that is right"]!)
      const plain = sampleOf(epochNs).series
      for (const text of texts.flatMap((piece) => [piece, `x${piece}x`])) {
        for (const tag of ["uuid", "metricName", "hostname"] as const) {
          const found = yield* whole(reading, { order: "asc", [tag]: text })
          const expected = stored.filter(({ series }) => series[tag] === text)
          expect(found, `${tag} ${JSON.stringify(text)}`).toEqual(text === plain[tag] ? found : expected)
        }
      }
    }).pipe(Effect.scoped, Effect.provide(freshBucket()))
  )
})
