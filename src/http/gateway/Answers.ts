/** What the gateway answers when all is well. Fields that the earlier system had keep its names. */
import { Schema } from "effect"
import { instant, number, text } from "../../protocol/Fields.ts"
import { RejectCounts } from "../../protocol/Reject.ts"
import { MetricObject } from "../../protocol/Sample.ts"
import { aggregates, groupings } from "../../protocol/Window.ts"

const uuidExample = "GPU-5fd4f087-86f3-7a43-b711-4771313afc50"
const metricExample = "DCGM_FI_DEV_GPU_UTIL"

const count = number("Length of `data`", 1)
const nextCursor = Schema.optional(
  text("`cursor` of the next page; left out on the last", "WyJ2dzRPd0JzbW9Jb2NKVFhEIiwiR1BVLTVmZDRmMDg3Il0")
)

export const GpuIds = Schema.Struct({
  data: Schema.Array(Schema.String).annotations({
    description: "UUIDs of the GPUs, ascending",
    examples: [[uuidExample]]
  }),
  count,
  total: number("GPUs that match, on all pages together", 1),
  next_cursor: nextCursor
}).annotations({ identifier: "GpuIds", description: "A page of the known GPUs" })
export interface GpuIds extends Schema.Schema.Type<typeof GpuIds> {}

export const GpuDetails = Schema.Struct({
  uuid: text("UUID of the GPU", uuidExample),
  gpu_id: Schema.optional(number("Index of the GPU on its host; left out where no sample told it", 0)),
  device: text("Device name on the host", "nvidia0"),
  model_name: text("Model of the GPU", "NVIDIA H100 80GB HBM3"),
  hostname: text("Host that the GPU is in", "mtv5-dgx1-hgpu-031"),
  first_seen: instant("Time of its oldest retained sample", "2025-07-18T20:42:34Z"),
  last_seen: instant("Time of its newest sample", "2025-07-18T20:52:34.25Z"),
  age_seconds: Schema.NonNegative.annotations({
    description:
      "How long that is ago, to the millisecond; 0 where it lies ahead of the clock of the gateway",
    examples: [12.5]
  }),
  stale: Schema.Boolean.annotations({
    description:
      "Whether that is longer ago than EXPECTED_INTERVAL, within which a live GPU has a new sample",
    examples: [false]
  })
}).annotations({ identifier: "Gpu", description: "A GPU as its newest sample describes it" })
export interface GpuDetails extends Schema.Schema.Type<typeof GpuDetails> {}

const MetricDescription = Schema.Struct({
  name: text("Name of the DCGM field", metricExample),
  type: Schema.optional(
    Schema.Literal("gauge", "counter").annotations({
      description: "How its values behave; left out where the field is not known",
      examples: ["gauge"]
    })
  ),
  unit: Schema.optional(text("Unit of its values; left out where the field is not known", "percent")),
  help: Schema.optional(
    text(
      "What it measures; left out where the field is not known",
      "Share of time in which a kernel was running"
    )
  )
}).annotations({ identifier: "MetricDescription", description: "What a metric means" })

export const Metrics = Schema.Struct({
  data: Schema.Array(Schema.String).annotations({
    description: "Names of the metrics, ascending",
    examples: [[metricExample]]
  }),
  count,
  metrics: Schema.Array(MetricDescription).annotations({
    description: "What each of them means, in the same order",
    examples: [
      [
        {
          name: metricExample,
          type: "gauge",
          unit: "percent",
          help: "Share of time in which a kernel was running"
        }
      ]
    ]
  })
}).annotations({ identifier: "Metrics", description: "Metrics of which samples are retained" })
export interface Metrics extends Schema.Schema.Type<typeof Metrics> {}

const { device, model_name, hostname, container, pod, namespace } = MetricObject.fields

/** The metric object of batches, but that no text is left out. */
export const Metric = Schema.Struct({
  ...MetricObject.fields,
  device: device.from,
  model_name: model_name.from,
  hostname: hostname.from,
  container: container.from,
  pod: pod.from,
  namespace: namespace.from
}).annotations({
  identifier: "Metric",
  description: "One value of one metric of one GPU at one instant. A text that no sample told is empty"
})
export interface Metric extends Schema.Schema.Type<typeof Metric> {}

const samples = Schema.Array(Metric).annotations({
  description: "The samples, in the order that was asked for",
  examples: [
    [
      {
        timestamp: "2025-07-18T20:42:34Z",
        metric_name: metricExample,
        gpu_id: 0,
        device: "nvidia0",
        uuid: uuidExample,
        model_name: "NVIDIA H100 80GB HBM3",
        hostname: "mtv5-dgx1-hgpu-031",
        container: "",
        pod: "",
        namespace: "",
        value: 100,
        labels: { job: "dgx_dcgm_exporter" }
      }
    ]
  ]
})

export const TelemetryPage = Schema.Struct({
  data: samples,
  count,
  next_cursor: nextCursor
}).annotations({ identifier: "TelemetryPage", description: "A page of samples" })
export interface TelemetryPage extends Schema.Schema.Type<typeof TelemetryPage> {}

export const AggregatedMetric = Schema.Struct({
  timestamp: instant("Start of the window", "2025-07-18T20:42:00Z"),
  metric_name: text("Name of the DCGM field", metricExample),
  uuid: Schema.optional(text("UUID of the GPU; only where grouped by `gpu`", uuidExample)),
  hostname: Schema.optional(
    text("Host that the GPUs are in; only where grouped by `host`", "mtv5-dgx1-hgpu-031")
  ),
  model_name: Schema.optional(
    text("Model of the GPUs; only where grouped by `model`", "NVIDIA H100 80GB HBM3")
  ),
  value: Schema.Number.annotations({
    description:
      "What the values in the window come to; a sum that no number can hold is the nearest that there is",
    examples: [62.5]
  }),
  unit: Schema.optional(
    text("Unit of the value; left out where the field is not known, and for a count", "percent")
  )
}).annotations({
  identifier: "AggregatedMetric",
  description:
    "One value for the samples of one metric and group within one window. A text that no sample told is empty"
})
export interface AggregatedMetric extends Schema.Schema.Type<typeof AggregatedMetric> {}

export const AggregatedTelemetryPage = Schema.Struct({
  data: Schema.Array(AggregatedMetric).annotations({
    description: "The windows that hold samples, in the order that was asked for",
    examples: [
      [
        {
          timestamp: "2025-07-18T20:42:00Z",
          metric_name: metricExample,
          uuid: uuidExample,
          value: 62.5,
          unit: "percent"
        }
      ]
    ]
  }),
  count,
  window: text("Length of the windows; no page of samples has this field", "1m"),
  aggregate: Schema.Literal(...aggregates).annotations({
    description: "What the values of a window became",
    examples: ["mean"]
  }),
  group_by: Schema.Literal(...groupings).annotations({
    description: "What the samples of a metric were told apart by",
    examples: ["gpu"]
  }),
  next_cursor: nextCursor
}).annotations({ identifier: "AggregatedTelemetryPage", description: "A page of aggregated samples" })
export interface AggregatedTelemetryPage extends Schema.Schema.Type<typeof AggregatedTelemetryPage> {}

export const TelemetryExport = Schema.Struct({ data: samples, count }).annotations({
  identifier: "TelemetryExport",
  description: "All samples that match"
})

export const Stats = Schema.Struct({
  total_gpus: number("GPUs of which samples are retained", 247),
  total_metrics: number("Samples stored now", 2470),
  oldest_metric: Schema.optional(
    instant("Time of the oldest sample; left out while there is none", "2025-07-18T20:42:34Z")
  ),
  newest_metric: Schema.optional(
    instant("Time of the newest sample; left out while there is none", "2025-07-18T20:52:34Z")
  ),
  evicted: number("Samples that a bound of the store has thrown out since the process started", 0),
  rejects: RejectCounts
}).annotations({ identifier: "Stats", description: "What the store holds, and what this process rejected" })
export interface Stats extends Schema.Schema.Type<typeof Stats> {}
