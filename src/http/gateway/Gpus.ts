/** Handlers of the GPUs: the list, one of them, and its metrics. */
import { HttpApiBuilder } from "@effect/platform"
import { Clock, Effect, Either, Option } from "effect"
import { type Gpu, TelemetryStore } from "../../layers/TelemetryStore.ts"
import { compareUtf8 } from "../../protocol/Series.ts"
import { formatTime } from "../../protocol/Time.ts"
import { orUnavailable } from "../Dependencies.ts"
import { GatewayApi } from "../GatewayApi.ts"
import { GatewayConfig } from "../GatewayConfig.ts"
import { BadRequest, NotFound, shown } from "../Problem.ts"
import type { GpuDetails, GpuIds } from "./Answers.ts"
import { gpuCursor, readGpuCursor } from "./Cursor.ts"
import { describeMetrics } from "./MetricDescriptions.ts"
import type { GpusParameters } from "./Parameters.ts"
import { given } from "./Query.ts"

const describe = (gpu: Gpu, nowMs: number, expectedIntervalMs: number): GpuDetails => {
  const ageNs = BigInt(Math.floor(nowMs)) * 1_000_000n - gpu.lastSeenNs
  return {
    uuid: gpu.uuid,
    ...(gpu.gpuId === undefined ? {} : { gpu_id: gpu.gpuId }),
    device: gpu.device,
    model_name: gpu.modelName,
    hostname: gpu.hostname,
    first_seen: formatTime(gpu.firstSeenNs),
    last_seen: formatTime(gpu.lastSeenNs),
    age_seconds: ageNs > 0n ? Number(ageNs / 1_000_000n) / 1_000 : 0,
    stale: ageNs > BigInt(expectedIntervalMs) * 1_000_000n
  }
}

/** Where a page of these GPUs, ascending by UUID, starts. */
const startOf = (
  uuids: ReadonlyArray<string>,
  parameters: GpusParameters,
  query: ReadonlyArray<unknown>
): Either.Either<number, BadRequest> => {
  const { cursor, offset = 0 } = parameters
  if (cursor === undefined) return Either.right(Math.min(offset, uuids.length))
  if (offset > 0) return Either.left(BadRequest.because("offset: expected 0 together with a cursor"))
  return Either.map(readGpuCursor(cursor, query), (last) => {
    const start = uuids.findIndex((uuid) => compareUtf8(uuid, last) > 0)
    return start === -1 ? uuids.length : start
  })
}

const list = Effect.fnUntraced(function* (parameters: GpusParameters) {
  const { maxLimit } = yield* GatewayConfig
  const store = yield* TelemetryStore
  const hostname = given(parameters.hostname)
  const modelName = given(parameters.model_name)
  const query = ["gpus", hostname, modelName]
  const gpus = yield* orUnavailable(
    store.gpus({
      ...(hostname === undefined ? {} : { hostname }),
      ...(modelName === undefined ? {} : { modelName })
    })
  )
  const uuids = gpus.map((gpu) => gpu.uuid)
  const start = yield* startOf(uuids, parameters, query)
  // Without a limit all are answered, even above the largest page: clients of the earlier system read the list whole.
  const end = parameters.limit === undefined ? uuids.length : start + Math.min(parameters.limit, maxLimit)
  const data = uuids.slice(start, end)
  const answer: GpuIds = { data, count: data.length, total: uuids.length }
  return end < uuids.length ? { ...answer, next_cursor: gpuCursor(query, data.at(-1)!) } : answer
})

const details = Effect.fnUntraced(function* (uuid: string) {
  const { expectedIntervalMs } = yield* GatewayConfig
  const found = yield* orUnavailable((yield* TelemetryStore).gpu(uuid))
  return Option.isSome(found)
    ? describe(found.value, yield* Clock.currentTimeMillis, expectedIntervalMs)
    : yield* Effect.fail(NotFound.because(`no GPU ${shown(uuid)} is known`))
})

const metrics = Effect.fnUntraced(function* (uuid: string) {
  return describeMetrics(yield* orUnavailable((yield* TelemetryStore).metricNames(Option.some(uuid))))
})

export const layer = HttpApiBuilder.group(GatewayApi, "gpus", (handlers) =>
  handlers
    .handle("list", ({ urlParams }) => list(urlParams))
    .handle("details", ({ path }) => details(path.id))
    .handle("metrics", ({ path }) => metrics(path.id))
)
