/**
 * Samples, and the metric object that carries one over the wire and in REST answers.
 *
 * `Sample` (the Schema) is the definition. `decodeSample` and `encodeSample` do the same by hand, because they run once
 * per sample and the Schema takes about 6 µs each way; a property holds the two together. They differ in a label named
 * `__proto__`, which the functions carry like any other and a Schema's Record drops.
 */
import { ParseResult, Schema } from "effect"
import { reservedLabelNames, type Series, sortLabels } from "./Series.ts"
import { formatTime, parseTime, TimeFromRfc3339, type TimeNs } from "./Time.ts"

/** One value of one series at one instant. `value` is finite and never `-0`. */
export interface Sample {
  readonly series: Series
  readonly timeNs: TimeNs
  readonly value: number
}

const text = (description: string, example: string) =>
  Schema.String.annotations({ description, examples: [example] })

const nonEmptyText = (description: string, example: string) =>
  Schema.String.pipe(Schema.minLength(1)).annotations({ description, examples: [example] })

/** The metric object of CONTRACTS.md, with times still as text. */
export const MetricObject = Schema.Struct({
  timestamp: Schema.String.annotations({
    description: "RFC 3339 in UTC, with as many fractional digits as the sample has (up to nanoseconds)",
    examples: ["2025-07-18T20:42:34.123456789Z"]
  }),
  metric_name: nonEmptyText("Name of the DCGM field", "DCGM_FI_DEV_GPU_UTIL"),
  gpu_id: Schema.optional(
    Schema.NonNegativeInt.annotations({
      description: "Index of the GPU on its host. It identifies nothing on its own; `uuid` does",
      examples: [0]
    })
  ),
  device: Schema.optional(text("Device name on the host", "nvidia0")),
  uuid: nonEmptyText("UUID of the GPU", "GPU-5fd4f087-86f3-7a43-b711-4771313afc50"),
  model_name: Schema.optional(text("Model of the GPU", "NVIDIA H100 80GB HBM3")),
  hostname: Schema.optional(text("Host that the GPU is in", "mtv5-dgx1-hgpu-031")),
  container: Schema.optional(text("Container that used the GPU, or empty", "")),
  pod: Schema.optional(text("Pod that used the GPU, or empty", "")),
  namespace: Schema.optional(text("Namespace of that pod, or empty", "")),
  value: Schema.Finite.annotations({ description: "The value, in the unit of the metric", examples: [100] }),
  labels: Schema.optional(
    Schema.Record({ key: Schema.String, value: Schema.String }).annotations({
      description: "Further labels, by name",
      examples: [{ job: "dgx_dcgm_exporter" }]
    })
  )
}).annotations({ identifier: "Metric", description: "One value of one metric of one GPU at one instant" })
export interface MetricObject extends Schema.Schema.Type<typeof MetricObject> {}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isOptionalText = (value: unknown): value is string | undefined =>
  value === undefined || typeof value === "string"

const noLabels: Series["labels"] = []

const decodeLabels = (value: unknown): Series["labels"] | string => {
  if (value === undefined) return noLabels
  if (!isRecord(value)) return "labels: expected an object of strings"
  const entries = Object.entries(value)
  for (const [name, label] of entries) {
    if (typeof label !== "string") return `labels.${name}: expected a string`
    if (reservedLabelNames.has(name)) return `labels.${name}: the name is reserved`
  }
  return entries.length === 0 ? noLabels : sortLabels(entries as Array<[string, string]>)
}

/**
 * Reads a metric object; answers what is wrong with it as text where it is none. An absent `gpu_id` is 0 and absent
 * texts are empty: old peers leave out what is zero.
 *
 * `intern` may return an equal `Series` that is already in memory, so that later look-ups by object are cheap.
 */
export const decodeSample = (
  value: unknown,
  intern: (series: Series) => Series = (s) => s
): Sample | string => {
  if (!isRecord(value)) return "expected a metric object"
  const { timestamp, metric_name, gpu_id, device, uuid, model_name, hostname, container, pod, namespace } =
    value
  if (typeof timestamp !== "string") return "timestamp: expected a string"
  if (typeof metric_name !== "string" || metric_name === "") return "metric_name: expected a non-empty string"
  if (typeof uuid !== "string" || uuid === "") return "uuid: expected a non-empty string"
  if (gpu_id !== undefined && !(Number.isSafeInteger(gpu_id) && (gpu_id as number) >= 0)) {
    return "gpu_id: expected an integer of at least 0"
  }
  if (!isOptionalText(device)) return "device: expected a string"
  if (!isOptionalText(model_name)) return "model_name: expected a string"
  if (!isOptionalText(hostname)) return "hostname: expected a string"
  if (!isOptionalText(container)) return "container: expected a string"
  if (!isOptionalText(pod)) return "pod: expected a string"
  if (!isOptionalText(namespace)) return "namespace: expected a string"
  if (typeof value.value !== "number" || !Number.isFinite(value.value))
    return "value: expected a finite number"
  const labels = decodeLabels(value.labels)
  if (typeof labels === "string") return labels
  const timeNs = parseTime(timestamp)
  if (timeNs === undefined) return "timestamp: expected an RFC 3339 instant, as 2025-07-18T20:42:34Z"
  const series: Series = {
    metricName: metric_name,
    uuid,
    hostname: hostname ?? "",
    // `+ 0` makes -0 the number 0, which is how both would be written.
    gpuId: ((gpu_id as number | undefined) ?? 0) + 0,
    device: device ?? "",
    modelName: model_name ?? "",
    container: container ?? "",
    pod: pod ?? "",
    namespace: namespace ?? "",
    labels
  }
  return { series: intern(series), timeNs, value: value.value + 0 }
}

const fragments = new WeakMap<Series, readonly [head: string, tail: string]>()

/** What of a metric object's JSON depends on the series alone: between timestamp and value, and behind the value. */
const seriesFragments = (series: Series): readonly [string, string] => {
  const known = fragments.get(series)
  if (known !== undefined) return known
  const q = JSON.stringify
  const gpuId = series.gpuId === undefined ? "" : `"gpu_id":${series.gpuId},`
  const head =
    `","metric_name":${q(series.metricName)},${gpuId}"device":${q(series.device)},"uuid":${q(series.uuid)},` +
    `"model_name":${q(series.modelName)},"hostname":${q(series.hostname)},"container":${q(series.container)},` +
    `"pod":${q(series.pod)},"namespace":${q(series.namespace)},"value":`
  // Written by hand rather than through an object, which would put labels with integer names first.
  const labels = series.labels.map(([name, value]) => `${q(name)}:${q(value)}`).join(",")
  const made = [head, labels === "" ? "}" : `,"labels":{${labels}}}`] as const
  fragments.set(series, made)
  return made
}

/** The JSON text of a sample's metric object. What is constant for a series is serialised once per `Series` object. */
export const encodeSample = (sample: Sample): string => {
  const [head, tail] = seriesFragments(sample.series)
  return `{"timestamp":"${formatTime(sample.timeNs)}${head}${sample.value}${tail}`
}

/** The metric object of a sample, as a value; `encodeSample` is its JSON. */
export const toMetricObject = (sample: Sample): MetricObject => JSON.parse(encodeSample(sample))

const SampleFromSelf = Schema.declare(
  (input): input is Sample =>
    isRecord(input) &&
    isRecord(input.series) &&
    typeof input.timeNs === "bigint" &&
    Number.isFinite(input.value)
)

/** A sample as its metric object on the outside. */
export const Sample: Schema.Schema<Sample, MetricObject> = Schema.transformOrFail(
  MetricObject,
  SampleFromSelf,
  {
    strict: true,
    decode: (object, _, ast) => {
      const time = Schema.decodeUnknownEither(TimeFromRfc3339)(object.timestamp)
      if (time._tag === "Left") return ParseResult.fail(time.left.issue)
      const reserved = Object.keys(object.labels ?? {}).find((name) => reservedLabelNames.has(name))
      if (reserved !== undefined) {
        return ParseResult.fail(
          new ParseResult.Type(ast, object.labels, `labels.${reserved}: the name is reserved`)
        )
      }
      return ParseResult.succeed({
        series: {
          metricName: object.metric_name,
          uuid: object.uuid,
          hostname: object.hostname ?? "",
          gpuId: (object.gpu_id ?? 0) + 0,
          device: object.device ?? "",
          modelName: object.model_name ?? "",
          container: object.container ?? "",
          pod: object.pod ?? "",
          namespace: object.namespace ?? "",
          labels: sortLabels(Object.entries(object.labels ?? {}))
        },
        timeNs: time.right,
        value: object.value + 0
      })
    },
    encode: (sample) => ParseResult.succeed(toMetricObject(sample))
  }
).annotations({ identifier: "Sample" })
