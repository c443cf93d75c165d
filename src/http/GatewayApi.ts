/**
 * The contract of the gateway: every endpoint, what it accepts and what it answers. Pure: the OpenAPI document, typed
 * clients and the server are all made from it.
 */
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "@effect/platform"
import { describeApi } from "./Document.ts"
import {
  AggregatedTelemetryPage,
  GpuDetails,
  GpuIds,
  Metrics,
  Stats,
  TelemetryExport,
  TelemetryPage
} from "./gateway/Answers.ts"
import { describeExport } from "./gateway/Document.ts"
import {
  ExportParameters,
  FleetTelemetryParameters,
  GpuPath,
  GpusParameters,
  TelemetryParameters
} from "./gateway/Parameters.ts"
import { documented, Health, operations, Ready } from "./OperationsApi.ts"
import { BadRequest, InternalError, NotFound, Unavailable } from "./Problem.ts"

const gpus = HttpApiGroup.make("gpus")
  .add(
    HttpApiEndpoint.get("list", "/api/v1/gpus")
      .setUrlParams(GpusParameters)
      .addSuccess(GpuIds)
      .addError(BadRequest)
      .addError(Unavailable)
      .annotateContext(
        documented(
          "listGpus",
          "List GPUs",
          "UUIDs of the GPUs of which samples are retained, however long they have been silent, in ascending order. All of them when no `limit` is given."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("details", "/api/v1/gpus/:id")
      .setPath(GpuPath)
      .addSuccess(GpuDetails)
      .addError(NotFound)
      .addError(Unavailable)
      .annotateContext(
        documented(
          "getGpu",
          "Describe a GPU",
          "A GPU as its newest sample describes it, and whether that is older than it should be; 404 where none is retained."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("metrics", "/api/v1/gpus/:id/metrics")
      .setPath(GpuPath)
      .addSuccess(Metrics)
      .addError(Unavailable)
      .annotateContext(
        documented(
          "listGpuMetrics",
          "List the metrics of a GPU",
          "Names of the metrics of which samples of this GPU are retained, with type, unit and meaning where they are known; an empty list where the GPU is not known."
        )
      )
  )
  .annotateContext(
    OpenApi.annotations({ title: "GPUs", description: "The GPUs that samples were collected from" })
  )

/** Apart from its group, as what it answers is not read as one value. */
export const exportTelemetry = HttpApiEndpoint.get("export", "/api/v1/gpus/:id/telemetry/export")
  .setPath(GpuPath)
  .setUrlParams(ExportParameters)
  .addSuccess(TelemetryExport)
  .addError(BadRequest)
  .addError(Unavailable)
  .annotateContext(
    documented(
      "exportGpuTelemetry",
      "Export the samples of a GPU",
      "All samples of a GPU that match, streamed, without an upper limit. An export that breaks midway resets the connection, so that what ended well is whole."
    )
  )
  .annotate(OpenApi.Transform, describeExport)

const telemetry = HttpApiGroup.make("telemetry")
  .add(
    HttpApiEndpoint.get("page", "/api/v1/gpus/:id/telemetry")
      .setPath(GpuPath)
      .setUrlParams(TelemetryParameters)
      .addSuccess(TelemetryPage)
      .addSuccess(AggregatedTelemetryPage)
      .addError(BadRequest)
      .addError(Unavailable)
      .annotateContext(
        documented(
          "getGpuTelemetry",
          "Page through the samples of a GPU",
          "Samples of a GPU, newest first unless `order` says otherwise; pages neither repeat nor skip a sample while the data stands still, and with `cursor` also while it grows. With `window` and `aggregate`, a value for each window and metric instead. An empty list where the GPU is not known."
        )
      )
  )
  .add(exportTelemetry)
  .add(
    HttpApiEndpoint.get("fleetPage", "/api/v1/telemetry")
      .setUrlParams(FleetTelemetryParameters)
      .addSuccess(TelemetryPage)
      .addSuccess(AggregatedTelemetryPage)
      .addError(BadRequest)
      .addError(Unavailable)
      .annotateContext(
        documented(
          "getTelemetry",
          "Page through the samples of all GPUs",
          "Samples of all GPUs, as those of one. With `window` and `aggregate`, a value for each window, metric and group instead: windows are aligned to the Unix epoch in UTC, named by their start, cut at `start_time` and `end_time`, and left out where they hold no sample."
        )
      )
  )
  .annotateContext(
    OpenApi.annotations({ title: "Telemetry", description: "Samples, by page and as a whole" })
  )

const fleet = HttpApiGroup.make("fleet")
  .add(
    HttpApiEndpoint.get("metrics", "/api/v1/metrics")
      .addSuccess(Metrics)
      .addError(Unavailable)
      .annotateContext(
        documented(
          "listMetrics",
          "List the metrics of all GPUs",
          "Names of the metrics of which samples are retained, with type, unit and meaning where they are known."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("stats", "/api/v1/stats")
      .addSuccess(Stats)
      .addError(Unavailable)
      .annotateContext(
        documented(
          "getStats",
          "Count what is stored",
          "What the store holds now, and what this process rejected."
        )
      )
  )
  .annotateContext(OpenApi.annotations({ title: "Fleet", description: "All GPUs together" }))

export const GatewayApi = HttpApi.make("gateway")
  .add(gpus)
  .add(telemetry)
  .add(fleet)
  .add(operations(Health, Ready))
  .addError(InternalError)
  .annotateContext(
    OpenApi.annotations({
      title: "GPU telemetry",
      version: "1.0.0",
      summary: "Samples of DCGM metrics, by GPU",
      description:
        "Read access to the telemetry of a GPU fleet. Times are RFC 3339 in UTC with up to nanoseconds; errors are RFC 9457 problems.",
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
      servers: [{ url: "/", description: "The gateway that serves this document" }],
      transform: describeApi
    })
  )
