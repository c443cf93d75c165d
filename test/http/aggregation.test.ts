import { expect, it } from "@effect/vitest"
import { Effect, FastCheck, Layer, Stream } from "effect"
import { gatewayDocument } from "../../src/http/GatewayDocument.ts"
import { BadRequest } from "../../src/http/Problem.ts"
import { aggregates, groupings, TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import { aggregateWindowsMax } from "../../src/protocol/Limits.ts"
import { formatTime, timeNsMax, timeNsMin } from "../../src/protocol/Time.ts"
import { settled, windowsOf } from "../properties/NaiveSamples.ts"
import { carriedSamples, windowQuery } from "../properties/StoreQuestions.ts"
import { sampleAt, sampleOf } from "../Samples.ts"
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

/** Every row of a query, page by page. */
const walk = (path: string, next: (page: { next_cursor?: string }, rows: number) => string) =>
  Effect.gen(function* () {
    const rows: Array<unknown> = []
    let place = ""
    for (;;) {
      const { json } = yield* send(`${path}${place}`)
      expect(json.count).toBe(json.data.length)
      rows.push(...json.data)
      if (json.next_cursor === undefined) return rows
      place = next(json, rows.length)
    }
  })

it.effect.prop(
  "the pages of any windows, by cursor and by offset, concatenate to the whole",
  { samples: carriedSamples(30), query: windowQuery, limit: FastCheck.integer({ min: 1, max: 6 }) },
  ({ samples, query, limit }) =>
    Effect.gen(function* () {
      const asked = { ...query, windowNs: query.windowNs < 1_000_000n ? 1_000_000n : query.windowNs }
      const parameters = new URLSearchParams({
        window: `${asked.windowNs}ns`,
        aggregate: asked.aggregate,
        group_by: asked.groupBy,
        order: asked.order,
        limit: String(limit),
        ...(asked.uuid === undefined ? {} : { uuid: asked.uuid }),
        ...(asked.metricName === undefined ? {} : { metric_name: asked.metricName }),
        ...(asked.hostname === undefined ? {} : { hostname: asked.hostname }),
        ...(asked.gpuId === undefined ? {} : { gpu_id: String(asked.gpuId) }),
        ...(asked.startNs === undefined ? {} : { start_time: formatTime(asked.startNs) }),
        ...(asked.endNs === undefined ? {} : { end_time: formatTime(asked.endNs) })
      })
      const path = `${ofAll}?${parameters}`
      if (asked.startNs !== undefined && asked.endNs !== undefined && asked.startNs > asked.endNs) {
        expect((yield* send(path)).status).toBe(400)
        return
      }
      // An empty text restricts nothing over HTTP.
      const { hostname, ...others } = asked
      const meant = hostname === "" ? others : asked
      const expected = windowsOf(settled(samples), meant).map(({ startNs, metricName, value }) =>
        expect.objectContaining({
          timestamp: formatTime(startNs),
          metric_name: metricName,
          value: expect.closeTo(value, 5)
        })
      )
      expect(yield* walk(path, ({ next_cursor }) => `&cursor=${next_cursor}`)).toEqual(expected)
      expect(yield* walk(path, (_, rows) => `&offset=${rows}`)).toEqual(expected)
    }).pipe(Effect.provide(Layer.fresh(gatewayOver(storeOf(samples))))),
  { fastCheck: { numRuns: 40 } }
)

it.live("a cursor of windows belongs to its query", () =>
  Effect.gen(function* () {
    const query = "window=10s&aggregate=mean&group_by=host"
    const { next_cursor: cursor } = (yield* send(`${ofAll}?${query}&limit=2`)).json
    expect((yield* send(`${ofAll}?${query}&limit=9&cursor=${cursor}`)).status).toBe(200)
    expect((yield* send(`${ofAll}?${query}&offset=1&cursor=${cursor}`)).json.detail).toMatch(/^offset: /)
    for (const other of [
      "",
      "window=20s&aggregate=mean&group_by=host",
      "window=10s&aggregate=max&group_by=host",
      "window=10s&aggregate=mean&group_by=model",
      `${query}&order=asc`,
      `${query}&uuid=GPU-1`
    ]) {
      const answer = yield* send(`${ofAll}?${other}&cursor=${cursor}`)
      expect(answer.status, other).toBe(400)
      expect(answer.json.detail).toMatch(/^cursor: expected a next_cursor of the same query/)
    }
    const [digest] = JSON.parse(Buffer.from(cursor, "base64url").toString())
    for (const place of [
      "",
      ',"1"',
      ',"1","m"',
      ',1,"m","g"',
      ',"x","m","g"',
      ',"9999999999999999999","m","g"'
    ]) {
      const madeUp = Buffer.from(`["${digest}"${place}]`).toString("base64url")
      expect((yield* send(`${ofAll}?${query}&cursor=${madeUp}`)).json.detail, place).toMatch(/^cursor: /)
    }
    const early = Buffer.from(`["${digest}","-9999999999999999999","m","g"]`).toString("base64url")
    expect((yield* send(`${ofAll}?${query}&cursor=${early}`)).json.data).toEqual([])
  }).pipe(Effect.provide(gatewayOver(fleet)))
)

it.live("windows at either end of time are named and paged through", () =>
  Effect.gen(function* () {
    const query = `${ofAll}?window=8760h&aggregate=count&order=asc&limit=1`
    const rows = yield* walk(query, ({ next_cursor }) => `&cursor=${next_cursor}`)
    expect(rows).toMatchObject([
      { timestamp: "1677-03-12T00:00:00Z", value: 1 },
      { timestamp: "2261-10-22T00:00:00Z", value: 1 }
    ])
    const backwards = yield* walk(query.replace("asc", "desc"), ({ next_cursor }) => `&cursor=${next_cursor}`)
    expect(backwards).toEqual(rows.toReversed())
  }).pipe(Effect.provide(gatewayOver(storeOf([sampleOf(timeNsMin), sampleOf(timeNsMax)]))))
)

it.live("too many windows are refused, with the shortest length that is not", () =>
  Effect.gen(function* () {
    const spanSeconds = 3 * aggregateWindowsMax
    const store = yield* TelemetryStore
    yield* store.write([sampleAt(0), sampleAt(spanSeconds), sampleAt(spanSeconds / 2, { uuid: "GPU-2" })])
    for (const path of [ofGpu, ofAll]) {
      const refused = yield* send(`${path}?window=2s&aggregate=mean`)
      expectProblem(refused, BadRequest)
      expect(refused.json.detail).toMatch(
        /^window: 2s makes 16501 windows from 2025-07-18T20:42:34Z to 2025-07-19T05:52:34Z, expected 11000 at most: take 4s or longer/
      )
      expect((yield* send(`${path}?window=4s&aggregate=mean`)).json.count).toBeGreaterThan(1)
      // What is stored bounds the times as well as what is asked for.
      expect((yield* send(`${path}?window=4s&aggregate=mean&start_time=1980-01-01T00:00:00Z`)).status).toBe(
        200
      )
      expect((yield* send(`${path}?window=1s&aggregate=mean&end_time=2025-07-18T23:45:53Z`)).status).toBe(200)
      expect((yield* send(`${path}?window=1s&aggregate=mean&end_time=2025-07-18T23:45:54Z`)).status).toBe(400)
      expect(
        (yield* send(`${path}?window=1ms&aggregate=mean&start_time=2026-01-01T00:00:00Z`)).json.data
      ).toEqual([])
    }
    expect((yield* send("/api/v1/gpus/GPU-2/telemetry?window=1ms&aggregate=mean")).json.count).toBe(1)
  }).pipe(Effect.provide(gatewayOver(storeOf([]))))
)

it.effect.prop(
  "the length that a refusal names is accepted",
  {
    startNs: FastCheck.bigInt({ min: timeNsMin, max: timeNsMax }),
    spanNs: FastCheck.bigInt({ min: 11_001_000_000n, max: 2n ** 64n })
  },
  ({ startNs, spanNs }) =>
    Effect.gen(function* () {
      const endNs = startNs + spanNs > timeNsMax ? timeNsMax : startNs + spanNs
      const store = yield* TelemetryStore
      yield* store.write([sampleOf(startNs), sampleOf(endNs)])
      const refused = yield* send(`${ofAll}?window=1ms&aggregate=mean`)
      const named = /take (\w+) or longer/.exec(refused.json.detail ?? "")
      if (endNs - startNs >= 11_001_000_000n) expect(named).not.toBeNull()
      if (named !== null) expect((yield* send(`${ofAll}?window=${named[1]}&aggregate=mean`)).status).toBe(200)
    }).pipe(Effect.provide(Layer.fresh(gatewayOver(storeOf([]))))),
  { fastCheck: { numRuns: 30 } }
)

it.live(
  "a page has the default number of rows, never more than the largest, and takes no more than it needs",
  () => {
    let taken = 0
    const endless = Stream.map(
      Stream.iterate(0, (start) => start + 1),
      (start) => {
        taken++
        return [{ startNs: BigInt(start) * 1_000_000n, metricName: "M", group: "g", value: start }]
      }
    )
    return Effect.gen(function* () {
      expect((yield* send(`${ofAll}?window=1ms&aggregate=mean`)).json.count).toBe(10)
      expect(taken).toBeLessThan(20)
      expect((yield* send(`${ofAll}?window=1ms&aggregate=mean&limit=70`)).json.count).toBe(50)
      const skipped = yield* send(`${ofAll}?window=1ms&aggregate=mean&limit=1&offset=30`)
      expect(skipped.json.data).toMatchObject([{ value: 30 }])
    }).pipe(
      Effect.provide(gatewayOver(storeWith({ windows: () => endless }), { defaultLimit: 10, maxLimit: 50 }))
    )
  }
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
