import { expect, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { compareSamples, TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import { encodeSample } from "../../src/protocol/Sample.ts"
import { crowdedSamples } from "../arbitraries.ts"
import { sampleAt } from "../Samples.ts"
import { gatewayOver, send, storeOf } from "./TestGateway.ts"

const telemetry = (uuid: string, query: string) =>
  send(`/api/v1/gpus/${encodeURIComponent(uuid)}/telemetry?${query}`)

/** Every row of a query, page by page. */
const walk = (uuid: string, query: string, next: (page: { next_cursor?: string }, rows: number) => string) =>
  Effect.gen(function* () {
    const rows: Array<unknown> = []
    let place = ""
    for (;;) {
      const page = (yield* telemetry(uuid, `${query}${place}`)).json
      rows.push(...page.data)
      if (page.next_cursor === undefined) return rows
      place = next(page, rows.length)
    }
  })

it.effect.prop(
  "the pages of a query, by cursor and by offset, concatenate to its whole result in the global order",
  [
    crowdedSamples({ minLength: 1, maxLength: 25 }),
    FastCheck.integer({ min: 1, max: 5 }),
    FastCheck.constantFrom("asc", "desc")
  ],
  ([samples, limit, order]) =>
    Effect.gen(function* () {
      const { uuid } = samples[0]!.series
      const query = `order=${order}&limit=${limit}`
      const ofGpu = samples.filter(({ series }) => series.uuid === uuid).sort(compareSamples)
      // A later value of one identity replaces the earlier.
      const kept = ofGpu.filter((s, i) => i + 1 === ofGpu.length || compareSamples(s, ofGpu[i + 1]!) !== 0)
      const expected = (order === "asc" ? kept : kept.toReversed()).map((s) => JSON.parse(encodeSample(s)))

      expect(yield* walk(uuid, query, ({ next_cursor }) => `&cursor=${next_cursor}`)).toEqual(expected)
      expect(yield* walk(uuid, query, (_, rows) => `&offset=${rows}`)).toEqual(expected)
      const exported = yield* send(`/api/v1/gpus/${encodeURIComponent(uuid)}/telemetry/export?order=${order}`)
      expect(exported.json).toEqual({ data: expected, count: expected.length })
    }).pipe(Effect.provide(gatewayOver(storeOf(samples)))),
  { fastCheck: { numRuns: 40 } }
)

const minute = storeOf([
  ...Array.from({ length: 60 }, (_, second) => sampleAt(second)),
  sampleAt(60, { metricName: "DCGM_FI_DEV_GPU_TEMP", hostname: "host-2", gpuId: 7 })
])

it.live("both ends of a time range are inclusive, in any UTC offset", () =>
  Effect.gen(function* () {
    const range = "start_time=2025-07-18T20:42:40Z&end_time=2025-07-18T22:42:42%2B02:00"
    const page = (yield* telemetry("GPU-1", range)).json
    expect(page.data.map((row: { value: number }) => row.value)).toEqual([8, 7, 6])
  }).pipe(Effect.provide(gatewayOver(minute)))
)

it.live("filters restrict to a metric, a hostname and an index", () =>
  Effect.gen(function* () {
    for (const filter of ["metric_name=DCGM_FI_DEV_GPU_TEMP", "hostname=host-2", "gpu_id=7"]) {
      expect((yield* telemetry("GPU-1", filter)).json.count, filter).toBe(1)
    }
    expect((yield* telemetry("GPU-1", "hostname=&metric_name=")).json.count).toBe(61)
  }).pipe(Effect.provide(gatewayOver(minute)))
)

it.live("a page has the default limit without one, and never more than the largest", () =>
  Effect.gen(function* () {
    expect((yield* telemetry("GPU-1", "")).json.count).toBe(10)
    expect((yield* telemetry("GPU-1", "limit=20")).json.count).toBe(20)
    expect((yield* telemetry("GPU-1", "limit=51")).json.count).toBe(50)
    expect((yield* telemetry("GPU-1", `limit=${"9".repeat(400)}`)).json.count).toBe(50)
    expect((yield* telemetry("GPU-1", `offset=${"9".repeat(30)}`)).json.data).toEqual([])
  }).pipe(Effect.provide(gatewayOver(minute, { defaultLimit: 10, maxLimit: 50 })))
)

it.live("a cursor belongs to its query: another order, filter or GPU is refused", () =>
  Effect.gen(function* () {
    const { next_cursor: cursor } = (yield* telemetry("GPU-1", "limit=2&gpu_id=0")).json
    expect((yield* telemetry("GPU-1", `limit=9&gpu_id=0&cursor=${cursor}`)).status).toBe(200)
    for (const [uuid, query] of [
      ["GPU-1", "limit=2"],
      ["GPU-1", "limit=2&gpu_id=0&order=asc"],
      ["GPU-1", "limit=2&gpu_id=0&start_time=2025-07-18T20:42:34Z"],
      ["GPU-2", "limit=2&gpu_id=0"]
    ] as const) {
      const answer = yield* telemetry(uuid, `${query}&cursor=${cursor}`)
      expect(answer.status, query).toBe(400)
      expect(answer.json.detail).toMatch(/^cursor: expected a next_cursor of the same query/)
    }
    expect((yield* send(`/api/v1/gpus?cursor=${cursor}`)).status).toBe(400)
    expect((yield* telemetry("GPU-1", `gpu_id=0&offset=1&cursor=${cursor}`)).json.detail).toMatch(/^offset: /)
    expect((yield* telemetry("GPU-1", `gpu_id=0&offset=0&cursor=${cursor}`)).status).toBe(200)
  }).pipe(Effect.provide(gatewayOver(minute)))
)

it.live("a cursor that was cut, changed or made up is refused", () =>
  Effect.gen(function* () {
    const { next_cursor: cursor } = (yield* telemetry("GPU-1", "limit=2")).json
    const [digest] = JSON.parse(Buffer.from(cursor, "base64url").toString())
    const madeUp = [
      ...["{}", "[]", '["short"]', `["${digest}"]`, `["${digest}",5,[]]`, `["${digest}","12",["a"]]`],
      `["${digest}","99999999999999999999",[]]`,
      `["${digest}","9999999999999999999",["m","u","h",0,"d","m","c","p","n",[]]]`
    ].map((text) => Buffer.from(text).toString("base64url"))
    for (const bad of ["", "%00", "a b", "***", cursor.slice(0, -3), `${cursor}!`, ...madeUp]) {
      const answer = yield* telemetry("GPU-1", `limit=2&cursor=${bad}`)
      expect(answer.status, bad).toBe(400)
      expect(answer.json.detail).toMatch(/^cursor: /)
    }
  }).pipe(Effect.provide(gatewayOver(minute)))
)

it.live("a page by cursor is not moved by samples that arrive meanwhile", () =>
  Effect.gen(function* () {
    const first = (yield* telemetry("GPU-1", "limit=2")).json
    yield* (yield* TelemetryStore).write([sampleAt(600), sampleAt(601)])
    const second = (yield* telemetry("GPU-1", `limit=2&cursor=${first.next_cursor}`)).json
    expect(second.data.map((row: { value: number }) => row.value)).toEqual([58, 57])
  }).pipe(Effect.provide(gatewayOver(minute)))
)
