/**
 * What a streamer publishes and a collector accepts: the payload of one message.
 *
 * The payload is serialised once, by the streamer; the log and every subscriber see those bytes.
 */
import { Schema } from "effect"
import { decodeSample, encodeSample, MetricObject, Sample } from "./Sample.ts"
import type { Series } from "./Series.ts"
import { formatTime, TimeFromRfc3339, type TimeNs } from "./Time.ts"

/** The samples that a streamer publishes as one message. */
export interface Batch {
  readonly batchId: string
  /** The streamer's id. */
  readonly source: string
  readonly collectedAtNs: TimeNs
  readonly samples: ReadonlyArray<Sample>
}

/** The payload as it travels, times as text. */
export const BatchPayload = Schema.Struct({
  batch_id: Schema.String,
  source: Schema.String,
  collected_at: Schema.String,
  metrics: Schema.Array(MetricObject)
}).annotations({ identifier: "BatchPayload" })

/** The definition that `encodeBatch` and `decodeBatch` are held to. */
export const Batch = Schema.Struct({
  batchId: Schema.propertySignature(Schema.String).pipe(Schema.fromKey("batch_id")),
  source: Schema.String,
  collectedAtNs: Schema.propertySignature(TimeFromRfc3339).pipe(Schema.fromKey("collected_at")),
  samples: Schema.propertySignature(Schema.Array(Sample)).pipe(Schema.fromKey("metrics"))
}).annotations({ identifier: "Batch" })

const utf8Encoder = new TextEncoder()
const utf8Decoder = new TextDecoder("utf-8", { fatal: true })

/** The payload's UTF-8 JSON. */
export const encodeBatch = (batch: Batch): Uint8Array => {
  const metrics = batch.samples.map(encodeSample).join(",")
  return utf8Encoder.encode(
    `{"batch_id":${JSON.stringify(batch.batchId)},"source":${JSON.stringify(batch.source)},` +
      `"collected_at":"${formatTime(batch.collectedAtNs)}","metrics":[${metrics}]}`
  )
}

/** What a payload held: the samples that are good, and what is wrong with each other one. */
export interface DecodedBatch {
  readonly source: string
  readonly samples: ReadonlyArray<Sample>
  readonly malformed: ReadonlyArray<{
    readonly index: number
    readonly problem: string
    readonly value: unknown
  }>
}

/**
 * Reads a payload. One malformed sample costs itself, not its batch; a payload that is no batch at all is answered with
 * what is wrong, as text. `batch_id`, `source` and `collected_at` may be absent: nothing depends on them.
 */
export const decodeBatch = (
  payload: Uint8Array,
  intern?: (series: Series) => Series
): DecodedBatch | string => {
  let parsed: unknown
  try {
    parsed = JSON.parse(utf8Decoder.decode(payload))
  } catch {
    return "not UTF-8 JSON"
  }
  if (typeof parsed !== "object" || parsed === null) return "expected an object"
  const { metrics, source } = parsed as Record<string, unknown>
  if (!Array.isArray(metrics)) return "metrics: expected an array"
  const samples: Array<Sample> = []
  const malformed: Array<DecodedBatch["malformed"][number]> = []
  for (let index = 0; index < metrics.length; index++) {
    const sample = decodeSample(metrics[index], intern)
    if (typeof sample === "string") malformed.push({ index, problem: sample, value: metrics[index] })
    else samples.push(sample)
  }
  return { source: typeof source === "string" ? source : "", samples, malformed }
}
