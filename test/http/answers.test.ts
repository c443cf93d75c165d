import { expect, it } from "@effect/vitest"
import { Effect, Layer, Option, Schema } from "effect"
import { gatewayDocument } from "../../src/http/GatewayDocument.ts"
import {
  AggregatedTelemetryPage,
  GpuDetails,
  GpuIds,
  Metrics,
  Stats,
  TelemetryExport,
  TelemetryPage
} from "../../src/http/gateway/Answers.ts"
import { Health, Ready } from "../../src/http/OperationsApi.ts"
import { ReadinessChecks } from "../../src/http/ReadinessChecks.ts"
import { Rejections } from "../../src/http/Rejections.ts"
import { Rejects } from "../../src/layers/Rejects.ts"
import { sampleAt } from "../Samples.ts"
import { gatewayOver, send, storeOf, storeWith, unavailable } from "./TestGateway.ts"

const fleet = storeOf([
  sampleAt(0),
  sampleAt(1, { metricName: "SOMETHING_ELSE" }),
  sampleAt(2, { labels: [["job", "dgx"]] }),
  sampleAt(5, { uuid: "GPU-2", hostname: "host-2", gpuId: 3, modelName: "NVIDIA A100" })
])

/** An example request of each documented operation, and the Schema of its answer. */
const operations: Record<string, readonly [path: string, Schema.Schema.AnyNoContext]> = {
  "/api/v1/gpus": ["/api/v1/gpus?limit=1", GpuIds],
  "/api/v1/gpus/{id}": ["/api/v1/gpus/GPU-1", GpuDetails],
  "/api/v1/gpus/{id}/metrics": ["/api/v1/gpus/GPU-1/metrics", Metrics],
  "/api/v1/gpus/{id}/telemetry": ["/api/v1/gpus/GPU-1/telemetry?limit=2", TelemetryPage],
  "/api/v1/gpus/{id}/telemetry/export": ["/api/v1/gpus/GPU-1/telemetry/export", TelemetryExport],
  "/api/v1/telemetry": ["/api/v1/telemetry?window=1m&aggregate=mean&limit=2", AggregatedTelemetryPage],
  "/api/v1/metrics": ["/api/v1/metrics", Metrics],
  "/api/v1/stats": ["/api/v1/stats", Stats],
  "/health": ["/health", Health],
  "/ready": ["/ready", Ready],
  "/rejects": ["/rejects", Rejections],
  "/metrics": ["/metrics", Schema.String]
}

it.live("every documented operation answers by its schema, without undeclared fields", () =>
  Effect.gen(function* () {
    ;(yield* Rejects).add("bad_value", () => ({ origin: "file.csv:3", input: "a,b" }))
    expect(Object.keys(operations)).toEqual(Object.keys(gatewayDocument.paths))
    for (const [path, schema] of Object.values(operations)) {
      const answer = yield* send(path)
      expect(answer.status, path).toBe(200)
      Schema.decodeUnknownSync(schema, { onExcessProperty: "error" })(answer.json ?? answer.text)
    }
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("GPUs are listed whole without a limit, and by page with one", () =>
  Effect.gen(function* () {
    expect((yield* send("/api/v1/gpus")).json).toEqual({ data: ["GPU-1", "GPU-2"], count: 2, total: 2 })
    const first = (yield* send("/api/v1/gpus?limit=1")).json
    expect(first).toMatchObject({ data: ["GPU-1"], count: 1, total: 2 })
    const second = (yield* send(`/api/v1/gpus?limit=1&cursor=${first.next_cursor}`)).json
    expect(second).toEqual({ data: ["GPU-2"], count: 1, total: 2 })
    expect((yield* send("/api/v1/gpus?offset=1")).json.data).toEqual(["GPU-2"])
    expect((yield* send("/api/v1/gpus?offset=9")).json).toEqual({ data: [], count: 0, total: 2 })
    expect((yield* send("/api/v1/gpus?hostname=host-2")).json.data).toEqual(["GPU-2"])
    expect((yield* send("/api/v1/gpus?model_name=NVIDIA%20H100+80GB%20HBM3")).json.data).toEqual(["GPU-1"])
    expect((yield* send("/api/v1/gpus?hostname=")).json.count).toBe(2)
  }).pipe(Effect.provide(gatewayOver(fleet, { maxLimit: 1 })))
)

it.live("an id and a filter may hold any characters", () =>
  Effect.gen(function* () {
    for (const odd of ["a//b", "a/b", "a?b#c;d", "a%2Fb", "a+b c", "\u{1f600}"]) {
      const encoded = encodeURIComponent(odd)
      expect((yield* send(`/api/v1/gpus?hostname=${encoded}`)).json.data, odd).toEqual([odd])
      expect((yield* send(`/api/v1/gpus/${encoded}`)).json.uuid).toBe(odd)
      expect((yield* send(`/api/v1/gpus/${encoded}/telemetry?hostname=${encoded}`)).json.count).toBe(1)
    }
    // A slash need not be escaped in a query.
    expect((yield* send("/api/v1/gpus?hostname=a//b")).json.data).toEqual(["a//b"])
  }).pipe(
    Effect.provide(
      gatewayOver(
        storeOf(
          ["a//b", "a/b", "a?b#c;d", "a%2Fb", "a+b c", "\u{1f600}"].map((odd) =>
            sampleAt(0, { uuid: odd, hostname: odd })
          )
        )
      )
    )
  )
)

it.live("a GPU is described as its newest sample tells", () =>
  Effect.gen(function* () {
    expect((yield* send("/api/v1/gpus/GPU-2")).json).toEqual({
      uuid: "GPU-2",
      gpu_id: 3,
      device: "nvidia0",
      model_name: "NVIDIA A100",
      hostname: "host-2",
      first_seen: "2025-07-18T20:42:39Z",
      last_seen: "2025-07-18T20:42:39Z",
      age_seconds: expect.any(Number),
      stale: true
    })
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("the metrics of a GPU are told with what they mean", () =>
  Effect.gen(function* () {
    expect((yield* send("/api/v1/gpus/GPU-1/metrics")).json).toEqual({
      data: ["DCGM_FI_DEV_GPU_UTIL", "SOMETHING_ELSE"],
      count: 2,
      metrics: [
        {
          name: "DCGM_FI_DEV_GPU_UTIL",
          type: "gauge",
          unit: "percent",
          help: "Share of time in which a kernel was running"
        },
        { name: "SOMETHING_ELSE" }
      ]
    })
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("an unknown id is 404 at the GPU and an empty list below it", () =>
  Effect.gen(function* () {
    expect((yield* send("/api/v1/gpus/GPU-0")).status).toBe(404)
    expect((yield* send("/api/v1/gpus/GPU-0/metrics")).json).toEqual({ data: [], count: 0, metrics: [] })
    expect((yield* send("/api/v1/gpus/GPU-0/telemetry")).json).toEqual({ data: [], count: 0 })
    expect((yield* send("/api/v1/gpus/GPU-0/telemetry/export")).json).toEqual({ data: [], count: 0 })
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("a store that is empty has no oldest and no newest sample", () =>
  Effect.gen(function* () {
    expect((yield* send("/api/v1/gpus")).json).toEqual({ data: [], count: 0, total: 0 })
    expect((yield* send("/api/v1/metrics")).json).toEqual({ data: [], count: 0, metrics: [] })
    expect((yield* send("/api/v1/stats")).json).toEqual({
      total_gpus: 0,
      total_metrics: 0,
      evicted: 0,
      rejects: {}
    })
  }).pipe(Effect.provide(gatewayOver(storeOf([]))))
)

it.live("figures and metrics cover the whole fleet, rejects this process", () =>
  Effect.gen(function* () {
    const rejects = yield* Rejects
    for (let row = 0; row < 103; row++) {
      rejects.add("bad_value", () => ({ origin: `file.csv:${row}`, input: "n/a" }))
    }
    expect((yield* send("/api/v1/stats")).json).toEqual({
      total_gpus: 2,
      total_metrics: 4,
      oldest_metric: "2025-07-18T20:42:34Z",
      newest_metric: "2025-07-18T20:42:39Z",
      evicted: 0,
      rejects: { bad_value: 103 }
    })
    const rejected = (yield* send("/rejects")).json
    expect(rejected.total).toBe(103)
    expect(rejected.reasons.bad_value.count).toBe(103)
    expect(rejected.reasons.bad_value.recent).toHaveLength(100)
    expect(rejected.reasons.bad_value.recent.at(-1)).toEqual({ origin: "file.csv:102", input: "n/a" })
    expect((yield* send("/api/v1/metrics")).json).toEqual({
      data: ["DCGM_FI_DEV_GPU_UTIL", "SOMETHING_ELSE"],
      count: 2,
      metrics: [
        {
          name: "DCGM_FI_DEV_GPU_UTIL",
          type: "gauge",
          unit: "percent",
          help: "Share of time in which a kernel was running"
        },
        { name: "SOMETHING_ELSE" }
      ]
    })
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("liveness does not depend on the store, readiness names it", () =>
  Effect.gen(function* () {
    expect((yield* send("/health")).json).toEqual({ status: "healthy" })
    const ready = yield* send("/ready")
    expect(ready.status).toBe(503)
    expect(ready.json).toMatchObject({ error: "unavailable", detail: "teststore: connection refused" })
  }).pipe(Effect.provide(gatewayOver(storeWith({ ready: Effect.fail(unavailable) }))))
)

it.live("readiness waits for every check that is added", () =>
  Effect.gen(function* () {
    expect(yield* send("/ready")).toMatchObject({ status: 503, json: { detail: "draining" } })
  }).pipe(
    Effect.provide(
      gatewayOver(storeOf([])).pipe(
        Layer.provide(Layer.succeed(ReadinessChecks, [Effect.succeed(Option.some("draining"))]))
      )
    )
  )
)

it.live("HEAD is answered as GET without a body", () =>
  Effect.gen(function* () {
    for (const path of ["/health", "/api/v1/gpus/GPU-1/telemetry", "/api/v1/gpus/GPU-1/telemetry/export"]) {
      expect(yield* send(path, { method: "HEAD" })).toMatchObject({ status: 200, text: "" })
    }
  }).pipe(Effect.provide(gatewayOver(fleet)))
)
