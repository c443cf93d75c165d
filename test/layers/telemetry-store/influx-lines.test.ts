/** What is written as line protocol is what a real InfluxDB answers; what it can't carry has no line. */

import { describe, expect, it } from "@effect/vitest"
import { flux, fluxDateTime, type ParameterizedQuery } from "@influxdata/influxdb-client"
import { Effect, FastCheck, Layer, Logger, LogLevel, Runtime, type Scope } from "effect"
import { makeBuckets } from "../../../src/layers/telemetry-store/influx/buckets.ts"
import type { InfluxConfig } from "../../../src/layers/telemetry-store/influx/Config.ts"
import { make as makeConnection } from "../../../src/layers/telemetry-store/influx/Connection.ts"
import { encodeLine, lineProblem } from "../../../src/layers/telemetry-store/influx/lines.ts"
import type { Sample } from "../../../src/protocol/Sample.ts"
import type { Series } from "../../../src/protocol/Series.ts"
import { formatTime, parseTime, timeNsMax, timeNsMin } from "../../../src/protocol/Time.ts"
import * as arbitraries from "../../arbitraries.ts"
import { freshBucket, isInfluxThere } from "../../influx/Buckets.ts"
import { epochNs, sampleAt, sampleOf } from "../../Samples.ts"

/** Tags of a line, by their name in InfluxDB; empty ones are none. */
const tagsOf = ({ labels, ...series }: Series): ReadonlyArray<readonly [string, string]> =>
  [
    ["_measurement", series.metricName] as const,
    ["uuid", series.uuid] as const,
    ["hostname", series.hostname] as const,
    ["gpu_id", String(series.gpuId)] as const,
    ["device", series.device] as const,
    ["model", series.modelName] as const,
    ["container", series.container] as const,
    ["pod", series.pod] as const,
    ["namespace", series.namespace] as const,
    ...labels
  ].filter(([, value]) => value !== "")

/** A point without what a query adds: its time, its value, and whatever else it has. */
const pointOf = ({ series, timeNs, value }: Sample) => ({
  timeNs,
  value,
  tags: [...tagsOf(series), ["_field", "value"]].map((tag) => JSON.stringify(tag)).sort()
})

const added = new Set(["_start", "_stop"])

const setUp = Effect.gen(function* () {
  const connection = yield* makeConnection()
  const { samples } = yield* makeBuckets(connection)
  yield* samples
  const { bucket } = connection.config
  /** Every point from a time up to but not with another. */
  const points = (startNs: bigint, stopNs: bigint, where: ParameterizedQuery = flux``) =>
    connection.query(
      flux`from(bucket: ${bucket}) |> range(start: ${fluxDateTime(formatTime(startNs))}, stop: ${fluxDateTime(formatTime(stopNs))}) ${where}`,
      ({ columns }) =>
        (cells) => {
          const tags: Array<string> = []
          let timeNs: bigint | undefined
          let value = Number.NaN
          // An annotation, the result and the table come first.
          columns.slice(3).forEach(({ label, index }) => {
            const cell = cells[index]!
            if (label === "_time") timeNs = parseTime(cell)
            else if (label === "_value") value = Number(cell)
            else if (!added.has(label)) tags.push(JSON.stringify([label, cell]))
          })
          return { timeNs, value, tags: tags.sort() }
        }
    )
  return { write: (lines: ReadonlyArray<string>) => connection.write(bucket, lines), points }
})

const onBucket = <A, E>(test: Effect.Effect<A, E, InfluxConfig | Scope.Scope>) =>
  Effect.scoped(Effect.flatMap(Layer.build(freshBucket()), (bucket) => Effect.provide(test, bucket))).pipe(
    Logger.withMinimumLogLevel(LogLevel.None)
  )

describe.skipIf(!isInfluxThere)("a line", () => {
  it.live(
    "is the point that InfluxDB answers, with every digit, however odd its texts and however mixed they come",
    () =>
      onBucket(
        Effect.gen(function* () {
          const { write, points } = yield* setUp
          let nextNs = epochNs
          const check = (drawn: ReadonlyArray<readonly [Series, number]>) =>
            Effect.gen(function* () {
              const startNs = nextNs
              const samples = drawn.map(([series, value]): Sample => ({ series, timeNs: nextNs++, value }))
              const carried = samples.filter((sample) => encodeLine(sample) !== undefined)
              if (carried.length === 0) return
              yield* write(carried.map((sample) => encodeLine(sample)!))
              const found = yield* points(startNs, nextNs)
              expect([...found].sort((a, b) => Number(a.timeNs! - b.timeNs!))).toEqual(carried.map(pointOf))
            })
          const runtime = yield* Effect.runtime<never>()
          yield* Effect.promise(() =>
            FastCheck.assert(
              FastCheck.asyncProperty(
                FastCheck.array(FastCheck.tuple(arbitraries.series, arbitraries.value), {
                  minLength: 1,
                  maxLength: 40
                }),
                (drawn) => Runtime.runPromise(runtime)(check(drawn))
              ),
              { numRuns: 100 }
            )
          )
        })
      )
  )

  it.live("carries what looks as if it could not be", () =>
    onBucket(
      Effect.gen(function* () {
        const { write, points } = yield* setUp
        const samples = [
          { metricName: "a=b" },
          { metricName: "a\\\\b\\n" },
          { metricName: 'a"b, c' },
          { metricName: "_measurement" },
          { uuid: '\\,\\="' },
          { uuid: "a\\nb\tc\0" },
          { uuid: "\u2028\ufeff\ufffd" },
          { hostname: " a, b=c " },
          { labels: [["table", "v"]] },
          { labels: [["result", "v"]] },
          { labels: [["value", 'v"']] },
          { labels: [["__proto__", "v"]] },
          { uuid: "x".repeat(60_000) }
        ].map((tags, index) => sampleOf(epochNs + BigInt(index), index + 0.5, tags as Partial<Series>))
        yield* write(samples.map((sample) => encodeLine(sample)!))
        expect(yield* points(epochNs, epochNs + 1_000n)).toEqual(
          expect.arrayContaining(samples.map((sample) => pointOf(sample)))
        )
      })
    )
  )

  it.live("carries every finite number", () =>
    onBucket(
      Effect.gen(function* () {
        const { write, points } = yield* setUp
        const values = [1e21, 5e-324, -5e-324, Number.MAX_VALUE, -1e-7, 0, 0.1 + 0.2, 2 ** 53 + 2, 1e-7]
        const samples = values.map((value, index) => sampleOf(epochNs + BigInt(index), value))
        yield* write(samples.map((sample) => encodeLine(sample)!))
        const found = yield* points(epochNs, epochNs + 1_000n)
        expect(found.map(({ value }) => value)).toEqual(values)
      })
    )
  )

  it.live("carries every instant that InfluxDB finds again", () =>
    onBucket(
      Effect.gen(function* () {
        const { write, points } = yield* setUp
        const times = [timeNsMin + 2n, -1n, 0n, 1n, timeNsMax - 2n]
        yield* write(times.map((timeNs) => encodeLine(sampleOf(timeNs))!))
        const found = yield* points(timeNsMin + 2n, timeNsMax - 1n)
        expect(found.map(({ timeNs }) => timeNs)).toEqual(times)
      })
    )
  )
})

describe("a sample that InfluxDB can't carry", () => {
  const series: ReadonlyArray<readonly [Partial<Series>, string]> = [
    [{ metricName: "#a" }, "the metric's name begins with #, a tab or NUL"],
    [{ metricName: "\ta" }, "the metric's name begins with #, a tab or NUL"],
    [{ metricName: "a\\" }, "the metric's name ends with a backslash"],
    [
      { metricName: "a\\=b" },
      "the metric's name holds a backslash before a comma, a space, an equals sign or a quote"
    ],
    [{ metricName: "a\nb" }, "the metric's name holds a line break"],
    [{ uuid: "a\rb" }, "the uuid holds a line break"],
    [{ uuid: "" }, "the uuid is empty"],
    [{ hostname: "a\\" }, "the hostname ends with a backslash"],
    [{ modelName: "\ud800" }, "the model is not well-formed Unicode"],
    [{ pod: '\\ \\="' }, "the pod holds a backslash before a space"],
    [{ labels: [["model", "v"]] }, 'a label is named "model", which has a meaning of its own'],
    [{ labels: [["_value", "v"]] }, 'a label is named "_value", which has a meaning of its own'],
    [{ labels: [["time", "v"]] }, 'a label is named "time", which has a meaning of its own'],
    [{ labels: [["\0", "v"]] }, 'a label is named "\\u0000", which has a meaning of its own'],
    [{ labels: [["", "v"]] }, 'the name of the label "" is empty'],
    [{ labels: [["a\n", "v"]] }, 'the name of the label "a\\n" holds a line break'],
    [{ labels: [["a", "v\\"]] }, 'the label "a" ends with a backslash'],
    [{ uuid: "x".repeat(65_527) }, "its series takes 65624 bytes, above 65526"]
  ]
  it.each(series.map(([tags, problem]) => [problem, tags] as const))("is told: %s", (problem, tags) => {
    const sample = sampleAt(0, tags)
    expect(encodeLine(sample)).toBeUndefined()
    expect(encodeLine(sample)).toBeUndefined()
    expect(lineProblem(sample)).toBe(`InfluxDB can't carry it: ${problem}`)
  })

  it.each([
    [timeNsMin, "1677-09-21T00:12:43.145224192Z"],
    [timeNsMin + 1n, "1677-09-21T00:12:43.145224193Z"],
    [timeNsMax - 1n, "2262-04-11T23:47:16.854775806Z"],
    [timeNsMax, "2262-04-11T23:47:16.854775807Z"]
  ])("may be too early or too late: %s", (timeNs, text) => {
    expect(encodeLine(sampleOf(timeNs))).toBeUndefined()
    expect(lineProblem(sampleOf(timeNs))).toBe(
      `InfluxDB can't carry it: its time ${text} is out of its range`
    )
  })
})
