/** Windows over REST: their parameters, what is answered to them, and what is refused. */
import { expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { gatewayDocument } from "../../src/http/GatewayDocument.ts"
import { BadRequest } from "../../src/http/Problem.ts"
import { aggregates, groupings } from "../../src/protocol/Window.ts"
import { sampleAt } from "../Samples.ts"
import { expectProblem } from "./Answer.ts"
import { gatewayOver, send, storeOf, storeWith, unavailable } from "./TestGateway.ts"

const ofGpu = "/api/v1/gpus/GPU-1/telemetry"
const ofAll = "/api/v1/telemetry"

const temperature = { metricName: "DCGM_FI_DEV_GPU_TEMP" }
const fleet = storeOf([
  ...[0, 10, 20, 30].map((seconds) => sampleAt(seconds)),
  sampleAt(5, temperature, 60),
  sampleAt(6, { uuid: "GPU-2", hostname: "host-2", modelName: "A100", gpuId: 3 }, 100),
  sampleAt(7, { uuid: "GPU-3", hostname: "", modelName: "" }, 4),
  sampleAt(8, { metricName: "SOMETHING_ELSE" }, 7)
])

const util = { metric_name: "DCGM_FI_DEV_GPU_UTIL", unit: "percent" }
const first = { timestamp: "2025-07-18T20:42:00Z" }
const second = { timestamp: "2025-07-18T20:43:00Z" }

it.live("windows of a GPU have a value for each metric, newest first, with the unit where it is known", () =>
  Effect.gen(function* () {
    const { json } = yield* send(`${ofGpu}?window=1m&aggregate=mean`)
    expect(json).toEqual({
      data: [
        { ...second, ...util, uuid: "GPU-1", value: 30 },
        { ...first, metric_name: "SOMETHING_ELSE", uuid: "GPU-1", value: 7 },
        { ...first, ...util, uuid: "GPU-1", value: 10 },
        { ...first, metric_name: "DCGM_FI_DEV_GPU_TEMP", unit: "celsius", uuid: "GPU-1", value: 60 }
      ],
      count: 4,
      window: "1m",
      aggregate: "mean",
      group_by: "gpu"
    })
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("each aggregate is over the samples of the window; a count has no unit", () =>
  Effect.gen(function* () {
    const expected = {
      ...{ mean: 15, min: 0, max: 30, sum: 60, count: 4, first: 0, last: 30 },
      ...{ p50: 15, p95: expect.closeTo(28.5, 10), p99: expect.closeTo(29.7, 10) }
    }
    for (const aggregate of aggregates) {
      const query = `window=90m&aggregate=${aggregate}&metric_name=DCGM_FI_DEV_GPU_UTIL`
      const { json } = yield* send(`${ofGpu}?${query}`)
      const { unit, ...rest } = util
      const start = { timestamp: "2025-07-18T19:30:00Z", uuid: "GPU-1" }
      const row = { ...start, ...rest, value: expected[aggregate] }
      expect(json.data, aggregate).toEqual([aggregate === "count" ? row : { ...row, unit }])
    }
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("across GPUs samples are told apart by GPU, host or model, or not at all", () =>
  Effect.gen(function* () {
    const sums = {
      gpu: [
        { uuid: "GPU-1", value: 30 },
        { uuid: "GPU-2", value: 100 },
        { uuid: "GPU-3", value: 4 }
      ],
      host: [
        { hostname: "", value: 4 },
        { hostname: "host-1", value: 30 },
        { hostname: "host-2", value: 100 }
      ],
      model: [
        { model_name: "", value: 4 },
        { model_name: "A100", value: 100 },
        { model_name: "NVIDIA H100 80GB HBM3", value: 30 }
      ],
      metric: [{ value: 134 }]
    }
    const query =
      "window=1m&aggregate=sum&order=asc&metric_name=DCGM_FI_DEV_GPU_UTIL&end_time=2025-07-18T20:42:59Z"
    for (const grouping of groupings) {
      const { json } = yield* send(`${ofAll}?${query}&group_by=${grouping}`)
      expect(json.data).toEqual(sums[grouping].map((row) => ({ ...first, ...util, ...row })))
      expect(json.group_by).toBe(grouping)
    }
    const byDefault = yield* send(`${ofAll}?${query}`)
    expect(byDefault.json).toEqual((yield* send(`${ofAll}?${query}&group_by=gpu`)).json)
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("filters restrict what is aggregated, and cut the first and the last window", () =>
  Effect.gen(function* () {
    const valuesOf = (query: string) =>
      Effect.map(send(`${ofAll}?window=1m&aggregate=sum&group_by=metric&order=asc&${query}`), ({ json }) =>
        json.data.map(({ value }: { value: number }) => value)
      )
    expect(yield* valuesOf("metric_name=DCGM_FI_DEV_GPU_UTIL")).toEqual([134, 30])
    expect(yield* valuesOf("uuid=GPU-2")).toEqual([100])
    expect(yield* valuesOf("hostname=host-2")).toEqual([100])
    expect(yield* valuesOf("gpu_id=3")).toEqual([100])
    expect(yield* valuesOf("uuid=&hostname=&metric_name=SOMETHING_ELSE")).toEqual([7])
    const util = "metric_name=DCGM_FI_DEV_GPU_UTIL&uuid=GPU-1"
    expect(yield* valuesOf(`${util}&start_time=2025-07-18T20:42:44Z&end_time=2025-07-18T20:42:54Z`)).toEqual([
      30
    ])
    expect(yield* valuesOf(`${util}&start_time=2025-07-18T20:42:44.000000001Z`)).toEqual([20, 30])
    expect(yield* valuesOf("start_time=2025-07-18T20:43:05Z")).toEqual([])
    expect(yield* valuesOf("uuid=GPU-0")).toEqual([])
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("without a window samples of all GPUs are answered, with the filters of one", () =>
  Effect.gen(function* () {
    const rows = (query: string) =>
      Effect.map(send(`${ofAll}?${query}`), ({ json }) =>
        json.data.map(({ value }: { value: number }) => value)
      )
    expect(yield* rows("")).toEqual([30, 20, 10, 7, 4, 100, 60, 0])
    expect(yield* rows("order=asc&limit=3&offset=1")).toEqual([60, 100, 4])
    expect(yield* rows("uuid=GPU-3")).toEqual([4])
    expect(yield* rows("hostname=host-2&gpu_id=3")).toEqual([100])
    expect(yield* rows("metric_name=SOMETHING_ELSE&uuid=")).toEqual([7])
    const page = (yield* send(`${ofAll}?limit=5`)).json
    expect(yield* rows(`cursor=${page.next_cursor}`)).toEqual([100, 60, 0])
    const one = yield* send(`${ofGpu}?limit=2&gpu_id=0`)
    expect((yield* send(`${ofAll}?limit=2&gpu_id=0&uuid=GPU-1`)).json).toEqual(one.json)
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("what does not go together, or is no window, is refused by name", () =>
  Effect.gen(function* () {
    for (const [query, detail] of [
      ["window=1m", /^aggregate: expected .* window, got none/],
      ["aggregate=mean", /^window: expected .* aggregate, got none/],
      ["window=1m&aggregate=median", /^aggregate: expected one of mean, .*p99, got "median"/],
      ["window=1m&aggregate=", /^aggregate: /],
      ["window=1m&window=2m&aggregate=mean", /^window: .*several values/],
      ...["", "1", "0", "0s", "-1m", "1 m", "1d", "999us", "8761h", "1m30", "9".repeat(500)].map(
        (text) =>
          [
            `window=${encodeURIComponent(text)}&aggregate=mean`,
            /^window: expected a duration from 1ms to 8760h.*, got "/
          ] as const
      ),
      ["window=1m&aggregate=mean&limit=0", /^limit: /],
      ["window=1m&aggregate=mean&cursor=x", /^cursor: expected a next_cursor/],
      [
        "window=1m&aggregate=mean&start_time=2025-07-18T20:42:35Z&end_time=2025-07-18T20:42:34Z",
        /^start_time: .*end_time/
      ]
    ] as const) {
      for (const path of [ofGpu, ofAll]) {
        const answer = yield* send(`${path}?${query}`)
        expect(answer.status, query).toBe(400)
        expectProblem(answer, BadRequest, query)
        expect(answer.json.detail).toMatch(detail)
      }
    }
    for (const query of ["group_by=gpu", "group_by=rack&window=1m&aggregate=mean", "group_by="]) {
      const answer = yield* send(`${ofAll}?${query}`)
      expectProblem(answer, BadRequest, query)
      expect(answer.json.detail).toMatch(/^group_by: expected/)
    }
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("a window may be given in any notation of Go, and is told in one", () =>
  Effect.gen(function* () {
    for (const [given, told] of [
      ["90s", "1m30s"],
      ["1.5m", "1m30s"],
      ["1500us", "1ms500us"],
      ["8760h", "8760h"],
      ["1ms", "1ms"]
    ]) {
      const { json } = yield* send(`${ofAll}?uuid=GPU-2&window=${given}&aggregate=count`)
      expect(json).toMatchObject({ window: told, data: [{ value: 1 }] })
    }
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("a sum beyond every number is the largest that there is", () =>
  Effect.gen(function* () {
    const { json } = yield* send(`${ofAll}?window=1m&aggregate=sum`)
    expect(json.data).toMatchObject([{ value: Number.MAX_VALUE }])
  }).pipe(Effect.provide(gatewayOver(storeOf([0, 1].map((at) => sampleAt(at, {}, Number.MAX_VALUE))))))
)

it.live("a store that can't be reached is a 503, whichever of its answers is missing", () =>
  Effect.gen(function* () {
    for (const store of [
      storeWith({ windows: () => Stream.fail(unavailable) }),
      storeWith({ stats: Effect.fail(unavailable), gpu: () => Effect.fail(unavailable) })
    ]) {
      yield* Effect.gen(function* () {
        for (const path of [ofGpu, ofAll]) {
          const answer = yield* send(`${path}?window=1m&aggregate=mean`)
          expect(answer).toMatchObject({ status: 503, json: { detail: "teststore: connection refused" } })
        }
      }).pipe(Effect.provide(gatewayOver(store)))
    }
  })
)

it("the document has the aggregates and groupings of the contract, and both answers", () => {
  const { parameters, responses } = gatewayDocument.paths["/api/v1/telemetry"]!.get!
  const valuesOf = (name: string) =>
    (parameters.find((parameter) => parameter.name === name)!.schema as { enum: ReadonlyArray<string> }).enum
  expect(valuesOf("aggregate")).toEqual(aggregates)
  expect(valuesOf("group_by")).toEqual(groupings)
  expect(responses[200]?.content?.["application/json"]?.schema).toEqual({
    anyOf: [
      { $ref: "#/components/schemas/TelemetryPage" },
      { $ref: "#/components/schemas/AggregatedTelemetryPage" }
    ]
  })
})

it.live("what belongs to another path is refused, and not ignored", () =>
  Effect.gen(function* () {
    for (const [path, name] of [
      ["/api/v1/gpus/GPU-1/telemetry?group_by=host", "group_by"],
      ["/api/v1/gpus/GPU-1/telemetry?window=1m&aggregate=mean&group_by=host", "group_by"],
      ["/api/v1/gpus/GPU-1/telemetry/export?window=1m&aggregate=mean", "window"],
      ["/api/v1/gpus/GPU-1/telemetry/export?format=csv&aggregate=mean", "aggregate"]
    ] as const) {
      const answer = yield* send(path)
      expect(answer.status, path).toBe(400)
      expect(answer.json.message, path).toMatch(new RegExp(`^${name}: expected at /api/v1/`))
    }
  }).pipe(Effect.provide(gatewayOver(storeOf([]))))
)
