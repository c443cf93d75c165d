import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck, Schema } from "effect"
import {
  decodeSample,
  encodeSample,
  MetricObject,
  Sample,
  toMetricObject
} from "../../src/protocol/Sample.ts"
import { sample, text } from "../arbitraries.ts"

const decodeBySchema = Schema.decodeUnknownEither(Sample)
const plain = { timestamp: "2025-07-18T20:42:34Z", metric_name: "M", uuid: "GPU-1", value: 1 }

/** What may stand where a field belongs: JSON of any kind, and near misses. */
const nearMiss = FastCheck.oneof(
  FastCheck.constantFrom<unknown>(
    undefined,
    null,
    "",
    0,
    -0,
    -1,
    1.5,
    2 ** 53,
    1e308,
    Number.NaN,
    Infinity,
    true,
    [],
    {}
  ),
  FastCheck.constantFrom("2025-07-18T20:42:34Z", "2025-07-18T22:42:34.5+02:00", "2025-02-30T00:00:00Z"),
  text,
  FastCheck.jsonValue()
)

const someLabels = FastCheck.dictionary(
  FastCheck.oneof(text, FastCheck.constantFrom("time", "_field", "_measurement", "constructor", "1")),
  FastCheck.oneof({ arbitrary: text, weight: 5 }, { arbitrary: nearMiss, weight: 1 }),
  { maxKeys: 3, noNullPrototype: true }
)

/** A metric object with a few fields damaged, missing or added. */
const damaged = FastCheck.record({
  good: sample.map((given): Record<string, unknown> => ({ ...toMetricObject(given) })),
  damage: FastCheck.dictionary(
    FastCheck.constantFrom(...Object.keys(MetricObject.fields), "further"),
    nearMiss,
    { maxKeys: 2, noNullPrototype: true }
  ),
  labels: FastCheck.option(someLabels, { nil: undefined }),
  missing: FastCheck.subarray(Object.keys(MetricObject.fields), { maxLength: 2 })
}).map(({ good, damage, labels, missing }) => {
  const object: Record<string, unknown> = { ...good, ...(labels === undefined ? {} : { labels }), ...damage }
  for (const name of missing) delete object[name]
  return object
})

describe("a metric object", () => {
  it.prop(
    "the hand-written decoder agrees with the Schema",
    [FastCheck.oneof({ arbitrary: damaged, weight: 9 }, { arbitrary: nearMiss, weight: 1 })],
    ([input]) => {
      const byHand = decodeSample(input)
      const bySchema = decodeBySchema(input)
      if (typeof byHand === "string") expect(Either.isLeft(bySchema)).toBe(true)
      else expect(bySchema).toEqual(Either.right(byHand))
    },
    { fastCheck: { numRuns: 1_000 } }
  )

  it.prop("encoding and decoding give the sample back", [sample], ([given]) => {
    expect(decodeSample(JSON.parse(encodeSample(given)))).toEqual(given)
  })

  it.prop("the hand-written encoder agrees with the Schema", [sample], ([given]) => {
    expect(Schema.encodeSync(Sample)(given)).toEqual(JSON.parse(encodeSample(given)))
    expect(decodeBySchema(JSON.parse(encodeSample(given)))).toEqual(Either.right(given))
  })

  it.prop("what was encoded is a metric object by the contract", [sample], ([given]) => {
    expect(Schema.is(MetricObject)(toMetricObject(given))).toBe(true)
  })

  it("what old peers leave out is zero or empty", () => {
    const decoded = decodeSample(plain)
    expect(decoded).toMatchObject({
      value: 1,
      series: {
        gpuId: 0,
        device: "",
        hostname: "",
        modelName: "",
        container: "",
        pod: "",
        namespace: "",
        labels: []
      }
    })
    expect(decodeBySchema(plain)).toEqual(Either.right(decoded))
  })

  it.each([
    ["metric_name", ""],
    ["uuid", ""],
    ["gpu_id", -1],
    ["gpu_id", 1.5],
    ["gpu_id", "0"],
    ["value", Number.NaN],
    ["value", "1"],
    ["value", null],
    ["timestamp", "yesterday"],
    ["labels", { time: "x" }],
    ["labels", { a: 1 }],
    ["labels", ["a"]],
    ["pod", null]
  ])("is refused, naming the field, where %s is %j", (field, value) => {
    expect(decodeSample({ ...plain, [field]: value })).toContain(field)
    expect(Either.isLeft(decodeBySchema({ ...plain, [field]: value }))).toBe(true)
  })

  it("a label named __proto__ is a label like any other", () => {
    const labels: unknown = JSON.parse('{"__proto__":"x"}')
    const decoded = decodeSample({ ...plain, labels })
    if (typeof decoded === "string") return expect.fail(decoded)
    expect(decoded.series.labels).toEqual([["__proto__", "x"]])
    expect(decodeSample(JSON.parse(encodeSample(decoded)))).toEqual(decoded)
  })

  it("zero has no sign", () => {
    const decoded = decodeSample({ ...plain, value: -0, gpu_id: -0 })
    expect(decoded).toMatchObject({ value: 0, series: { gpuId: 0 } })
  })

  it("series come through the interning function", () => {
    const first = decodeSample(plain)
    if (typeof first === "string") return expect.fail(first)
    const second = decodeSample({ ...plain, value: 2 }, () => first.series)
    expect(second).toHaveProperty("series", first.series)
  })
})
