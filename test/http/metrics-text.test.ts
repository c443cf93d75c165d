import { expect, it } from "@effect/vitest"
import {
  Duration,
  Effect,
  Metric,
  MetricBoundaries,
  MetricKey,
  MetricLabel,
  MetricPair,
  MetricState,
  Option
} from "effect"
import fc from "fast-check"
import { describe } from "vitest"
import { metricsText } from "../../src/http/MetricsText.ts"
import { readMetrics, valueOf } from "./PrometheusText.ts"

const pair = (key: MetricKey.MetricKey.Untyped, state: MetricState.MetricState.Untyped) =>
  MetricPair.unsafeMake(key, state)

const gauge = (
  name: string,
  value: number | bigint,
  labels: Record<string, string> = {},
  description = ""
) => {
  const key = MetricKey.gauge(name, { description })
  const tags = Object.entries(labels).map(([label, text]) => MetricLabel.make(label, text))
  return pair(MetricKey.taggedWithLabels(key, tags), MetricState.gauge(value as number))
}

const name = fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,8}$/)
const labelName = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,5}$/).filter((text) => !text.startsWith("__"))
/** Texts that hurt: quotes, backslashes, line ends, what looks like the format itself. */
const nasty = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: fc.constantFrom('"', "\\", "\n", "\r", "n", ",", "}", "{", "=", " ", "#") })
)
const value = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e21, 5e-324)
)
const labels = fc.dictionary(labelName, nasty, { noNullPrototype: true, maxKeys: 4 })
const comparable = (entries: object) => JSON.stringify(Object.entries(entries).sort())

describe("the text format", () => {
  it("is read as the gauges that were written, whatever their names, labels, texts and values", () => {
    const family = fc.record({
      help: nasty,
      series: fc.uniqueArray(fc.record({ labels, value }), {
        selector: (series) => comparable(series.labels),
        minLength: 1,
        maxLength: 4
      })
    })
    fc.assert(
      fc.property(fc.dictionary(name, family, { noNullPrototype: true, maxKeys: 5 }), (wanted) => {
        const pairs = Object.entries(wanted).flatMap(([of, { help, series }]) =>
          series.map((one) => gauge(of, one.value, one.labels, help))
        )
        const { families, comments } = readMetrics(metricsText(pairs))
        expect(comments).toEqual([])
        expect([...families.keys()]).toEqual(Object.keys(wanted).sort((a, b) => (a < b ? -1 : 1)))
        for (const [of, { help, series }] of Object.entries(wanted)) {
          const { lines, ...read } = families.get(of)!
          expect(read).toEqual({ type: "gauge", help })
          const values = new Map(lines.map((line) => [comparable(line.labels), line.value]))
          expect(values.size).toBe(lines.length)
          for (const one of series) expect(values.get(comparable(one.labels))).toBe(one.value + 0)
        }
      }),
      { numRuns: 300 }
    )
  })

  it("is well formed and says every metric or that it is left out, also for names that Prometheus does not know", () => {
    const kinds = fc.constantFrom("gauge", "counter", "falling", "frequency", "histogram", "summary")
    const tricky = fc.oneof(
      nasty,
      fc.constantFrom("x", "x_total", "x_sum", "x_count", "x_bucket", "x.y", "x-y", "0", "")
    )
    const anyLabel = fc.oneof(nasty, fc.constantFrom("le", "quantile", "key", "__name__", "a.b", "a_b", "0"))
    const metric = fc.tuple(tricky, kinds, fc.dictionary(anyLabel, nasty, { maxKeys: 2 }), value)
    fc.assert(
      fc.property(fc.array(metric, { maxLength: 8 }), (metrics) => {
        const pairs = metrics.map(([of, kind, tags, number]) => {
          const tagged = <Key extends MetricKey.MetricKey.Untyped>(key: Key) =>
            MetricKey.taggedWithLabels(
              key,
              Object.entries(tags).map(([label, text]) => MetricLabel.make(label, text))
            )
          if (kind === "gauge") return pair(tagged(MetricKey.gauge(of)), MetricState.gauge(number))
          if (kind === "counter") {
            return pair(tagged(MetricKey.counter(of, { incremental: true })), MetricState.counter(number))
          }
          if (kind === "falling") return pair(tagged(MetricKey.counter(of)), MetricState.counter(number))
          if (kind === "frequency") {
            return pair(tagged(MetricKey.frequency(of)), MetricState.frequency(new Map([[of, 1]])))
          }
          const common = { count: 1, min: number, max: number, sum: number }
          if (kind === "histogram") {
            const key = MetricKey.histogram(of, MetricBoundaries.fromIterable([1]))
            return pair(
              tagged(key),
              MetricState.histogram({
                ...common,
                buckets: [
                  [1, 0],
                  [Number.POSITIVE_INFINITY, 1]
                ]
              })
            )
          }
          const key = MetricKey.summary({ name: of, maxAge: 1, maxSize: 1, error: 0, quantiles: [0.5] })
          return pair(
            tagged(key),
            MetricState.summary({ ...common, error: 0, quantiles: [[0.5, Option.some(number)]] })
          )
        })
        const { families, comments } = readMetrics(metricsText(pairs))
        const shown = [...families].flatMap(([family, { type, lines }]) =>
          type === "histogram" || type === "summary"
            ? lines.filter((line) => line.name === `${family}_count`)
            : lines
        )
        expect(shown.length).toBeLessThanOrEqual(metrics.length)
        expect(shown.length === metrics.length || comments.length > 0).toBe(true)
      }),
      { numRuns: 500 }
    )
  })

  it("does not depend on the order in which metrics come", () => {
    const metrics = [
      gauge("b", 1, { x: "2" }),
      gauge("b", 2, { x: "1" }),
      gauge("a", 3, { y: "1", x: "1" }),
      gauge("a", 4)
    ]
    const text = metricsText(metrics)
    expect(metricsText([...metrics].reverse())).toBe(text)
    expect(text).toBe('# TYPE a gauge\na 4\na{x="1",y="1"} 3\n# TYPE b gauge\nb{x="1"} 2\nb{x="2"} 1\n')
  })

  it("is empty where there is no metric", () => {
    expect(metricsText([])).toBe("")
  })
})

/** The text of metrics of Effect's own registry whose names start like this. */
const registered = (prefix: string) =>
  metricsText(Metric.unsafeSnapshot().filter(({ metricKey }) => metricKey.name.startsWith(prefix)))

describe("what Effect measures", () => {
  it.effect("a counter ends in _total; one that may fall is a gauge", () =>
    Effect.gen(function* () {
      yield* Metric.incrementBy(Metric.counter("one.rises", { incremental: true }), 3)
      yield* Metric.incrementBy(
        Metric.counter("one_rises_big_total", { bigint: true, incremental: true }),
        2n ** 60n
      )
      yield* Metric.incrementBy(Metric.counter("one_falls", { description: "both\nways" }), -3)
      expect(registered("one")).toBe(
        [
          "# HELP one_falls both\\nways",
          "# TYPE one_falls gauge",
          "one_falls -3",
          "# TYPE one_rises_big_total counter",
          `one_rises_big_total ${2n ** 60n}`,
          "# TYPE one_rises_total counter",
          "one_rises_total 3",
          ""
        ].join("\n")
      )
    })
  )

  it.effect("a histogram has cumulative buckets that end at +Inf, a sum and a count", () =>
    Effect.gen(function* () {
      const seconds = Metric.histogram("two_seconds", MetricBoundaries.fromIterable([0.5, 1])).pipe(
        Metric.tagged("le", "mine")
      )
      for (const measured of [0.25, 0.75, 0.75, 9]) yield* Metric.update(seconds, measured)
      expect(registered("two")).toBe(
        [
          "# TYPE two_seconds histogram",
          'two_seconds_bucket{exported_le="mine",le="0.5"} 1',
          'two_seconds_bucket{exported_le="mine",le="1"} 3',
          'two_seconds_bucket{exported_le="mine",le="+Inf"} 4',
          'two_seconds_sum{exported_le="mine"} 10.75',
          'two_seconds_count{exported_le="mine"} 4',
          ""
        ].join("\n")
      )
    })
  )

  it.effect("a timer, which measures milliseconds, is told in seconds", () =>
    Effect.gen(function* () {
      yield* Metric.update(Metric.timer("three"), Duration.millis(1_500))
      const text = registered("three")
      expect(text).not.toContain("time_unit")
      expect(valueOf(text, "three_seconds_sum")).toBe(1.5)
      expect(valueOf(text, "three_seconds_bucket", { le: "1.024" })).toBe(0)
      expect(valueOf(text, "three_seconds_bucket", { le: "2.048" })).toBe(1)
    })
  )

  it.effect("a summary has its quantiles, and no number for one that is not known", () =>
    Effect.gen(function* () {
      const sizes = Metric.summary({
        name: "four_bytes",
        maxAge: "1 minute",
        maxSize: 10,
        error: 0,
        quantiles: [0.5]
      })
      yield* Metric.value(sizes)
      expect(valueOf(registered("four"), "four_bytes", { quantile: "0.5" })).toBeNaN()
      yield* Metric.update(sizes, 7)
      expect(valueOf(registered("four"), "four_bytes", { quantile: "0.5" })).toBe(7)
      expect(valueOf(registered("four"), "four_bytes_sum")).toBe(7)
      expect(valueOf(registered("four"), "four_bytes_count")).toBe(1)
    })
  )

  it.effect("a frequency is a counter for each word", () =>
    Effect.gen(function* () {
      const words = Metric.frequency("five")
      for (const word of ["a", 'b"', "a"]) yield* Metric.update(words, word)
      expect(registered("five")).toBe(
        '# TYPE five_total counter\nfive_total{key="a"} 2\nfive_total{key="b\\""} 1\n'
      )
    })
  )

  it("of two metrics of one name in Prometheus, the first is shown and the other one told", () => {
    const text = metricsText([
      gauge("a.b", 1),
      gauge("a-b", 2),
      pair(MetricKey.frequency("a_b"), MetricState.frequency(new Map()))
    ])
    expect(valueOf(text, "a_b")).toBe(1)
    expect(readMetrics(text).comments).toEqual(["# left out, as its name and labels are taken: a-b"])
  })

  it("a part of a histogram shares its name with no other metric", () => {
    const histogram = pair(
      MetricKey.histogram("x", MetricBoundaries.fromIterable([1])),
      MetricState.histogram({ buckets: [], count: 7, min: 1, max: 1, sum: 7 })
    )
    expect(valueOf(metricsText([histogram, gauge("x_count", 1)]), "x_count")).toBe(7)
    const text = metricsText([gauge("x_count", 1), histogram])
    expect(valueOf(text, "x_count")).toBe(1)
    expect([...readMetrics(text).families.keys()]).toEqual(["x_count"])
  })
})
