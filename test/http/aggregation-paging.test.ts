/** Pages of windows: that they make up the whole, and what bounds them. */
import { expect, it } from "@effect/vitest"
import { Effect, FastCheck, Layer, Stream } from "effect"
import { BadRequest } from "../../src/http/Problem.ts"
import { TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import { aggregateWindowsMax } from "../../src/protocol/Limits.ts"
import { formatTime, timeNsMax, timeNsMin } from "../../src/protocol/Time.ts"
import { settled, windowsOf } from "../properties/NaiveSamples.ts"
import { carriedSamples, windowQuery } from "../properties/StoreQuestions.ts"
import { sampleAt, sampleOf } from "../Samples.ts"
import { expectProblem } from "./Answer.ts"
import { gatewayOver, send, storeOf, storeWith } from "./TestGateway.ts"

const ofGpu = "/api/v1/gpus/GPU-1/telemetry"
const ofAll = "/api/v1/telemetry"

const fleet = storeOf([
  ...[0, 10, 20, 30].map((seconds) => sampleAt(seconds)),
  sampleAt(6, { uuid: "GPU-2", hostname: "host-2", modelName: "A100", gpuId: 3 }, 100)
])

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

it.live("a window that is cut by the query stays so on every page, and the last page says that it is", () =>
  Effect.gen(function* () {
    const cut = "start_time=2025-07-18T20:42:40Z&end_time=2025-07-18T20:43:10Z"
    const query = `${ofAll}?window=1m&aggregate=sum&group_by=host&${cut}`
    for (const order of ["asc", "desc"]) {
      const whole = (yield* send(`${query}&order=${order}&limit=4`)).json
      expect(whole).not.toHaveProperty("next_cursor")
      expect(whole.data.map(({ value }: { value: number }) => value).sort()).toEqual([1, 1, 1, 1])
      const rows = yield* walk(
        `${query}&order=${order}&limit=1`,
        ({ next_cursor }) => `&cursor=${next_cursor}`
      )
      expect(rows).toEqual(whole.data)
    }
  }).pipe(
    Effect.provide(
      gatewayOver(
        storeOf(
          ["host-1", "host-2"].flatMap((hostname) =>
            [0, 6, 36, 37].map((seconds) =>
              sampleAt(seconds, { hostname }, seconds === 6 || seconds === 36 ? 1 : 9)
            )
          )
        )
      )
    )
  )
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

it.live("windows are counted by their bounds, also before 1970", () =>
  Effect.gen(function* () {
    const store = yield* TelemetryStore
    const firstNs = -1_000_000n * BigInt(aggregateWindowsMax)
    yield* store.write([sampleOf(firstNs), sampleOf(-1n)])
    expect((yield* send(`${ofAll}?window=1ms&aggregate=mean`)).status).toBe(200)
    yield* store.write([sampleOf(firstNs - 1n)])
    const refused = yield* send(`${ofAll}?window=1ms&aggregate=mean`)
    expect(refused.json.detail).toMatch(/^window: 1ms makes 11001 windows/)
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
