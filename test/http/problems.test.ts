import { expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { BadRequest, InternalError, MethodNotAllowed, NotFound, Unavailable } from "../../src/http/Problem.ts"
import type { TelemetryStore } from "../../src/layers/TelemetryStore.ts"
import { sampleAt } from "../Samples.ts"
import { expectProblem } from "./Answer.ts"
import { gatewayOver, logged, send, storeOf, storeWith, unavailable } from "./TestGateway.ts"

const empty = storeOf([])

const telemetry = "/api/v1/gpus/GPU-1/telemetry"
const fleet = "/api/v1/telemetry"
const wrong: ReadonlyArray<readonly [path: string, parameter: string, value: string]> = [
  ["/api/v1/gpus", "limit", "0"],
  ...[telemetry, `${telemetry}/export`, fleet].flatMap((path) => [
    ...["yesterday", "2025-07-18", "2025-07-18T20:42:34", "2025-02-30T00:00:00Z", "1752871354", ""].flatMap(
      (value) => [[path, "start_time", value] as const, [path, "end_time", value] as const]
    ),
    ...["-1", "1.5", "x", "0x1", ""].map((value) => [path, "gpu_id", value] as const),
    ...["ASC", "up", ""].map((value) => [path, "order", value] as const)
  ]),
  ...["/api/v1/gpus", telemetry, fleet].flatMap((path) => [
    ...["0", "-1", "1.5", "1e3", "ten", " 5", "NaN", ""].map((value) => [path, "limit", value] as const),
    ...["-1", "0.5", "x", ""].map((value) => [path, "offset", value] as const)
  ]),
  ...["xml", "CSV", ""].map((value) => [`${telemetry}/export`, "format", value] as const)
]

it.live("a wrong parameter is answered with its name, its value and what is accepted", () =>
  Effect.gen(function* () {
    for (const [path, parameter, value] of wrong) {
      const answer = yield* send(`${path}?${new URLSearchParams({ [parameter]: value })}`)
      expect(answer.status, `${path} ${parameter}=${value}`).toBe(400)
      expectProblem(answer, BadRequest)
      expect(answer.json.detail).toMatch(new RegExp(`^${parameter}: expected .+, got `))
      expect(answer.json.detail).toContain(JSON.stringify(value))
    }
  }).pipe(Effect.provide(gatewayOver(empty)))
)

it.live("a repeated parameter is refused, an unknown one ignored", () =>
  Effect.gen(function* () {
    for (const path of ["/api/v1/gpus", telemetry, `${telemetry}/export`, fleet]) {
      const twice = yield* send(`${path}?hostname=a&hostname=b`)
      expect(twice.status).toBe(400)
      expect(twice.json.detail).toMatch(/^hostname: .*several values/)
      expect((yield* send(`${path}?unit=5m&x=1&x=2&__proto__=3&constructor=4`)).status).toBe(200)
    }
  }).pipe(Effect.provide(gatewayOver(empty)))
)

it.live("a range that ends before it starts is refused", () =>
  Effect.gen(function* () {
    for (const path of [telemetry, `${telemetry}/export`, fleet]) {
      const answer = yield* send(`${path}?start_time=2025-07-18T20:42:35Z&end_time=2025-07-18T20:42:34Z`)
      expectProblem(answer, BadRequest)
      expect(answer.json.detail).toMatch(/^start_time: .*end_time/)
    }
  }).pipe(Effect.provide(gatewayOver(empty)))
)

it.live("a value is repeated only in part where it is long", () =>
  Effect.gen(function* () {
    const answer = yield* send(`${telemetry}?order=${"x".repeat(10_000)}`)
    expectProblem(answer, BadRequest)
    expect(answer.text.length).toBeLessThan(1_000)
  }).pipe(Effect.provide(gatewayOver(empty)))
)

it.live("an unknown path, also one that can't be decoded, is a 404", () =>
  Effect.gen(function* () {
    for (const path of [
      "/",
      "/nope",
      "//",
      "/api/v1/gpu",
      "/API/V1/GPUS",
      "/api/v1/gpus/%E0%A4%A",
      "/%00",
      "/health/x"
    ]) {
      expectProblem(yield* send(path), NotFound, path)
    }
    expectProblem(yield* send("/api/v1/gpus/GPU-0"), NotFound)
    expectProblem(yield* send("/nope", { method: "POST", body: "x" }), NotFound)
  }).pipe(Effect.provide(gatewayOver(empty)))
)

it.live("a known path with another method is a 405 that names the methods", () =>
  Effect.gen(function* () {
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      for (const path of ["/api/v1/gpus", "/api/v1/gpus/GPU-1/telemetry?limit=1", "/health"]) {
        const answer = yield* send(path, { method })
        expectProblem(answer, MethodNotAllowed)
        expect(answer.headers.get("allow")).toBe("GET, HEAD")
      }
    }
  }).pipe(Effect.provide(gatewayOver(empty)))
)

const storePaths = [
  ...["/api/v1/gpus", "/api/v1/gpus/GPU-1", "/api/v1/gpus/GPU-1/metrics", telemetry, `${telemetry}/export`],
  ...[fleet, `${fleet}?window=1m&aggregate=mean`, `${telemetry}?window=1m&aggregate=mean`],
  ...["/api/v1/metrics", "/api/v1/stats", "/ready"]
]

const storeThatIs = (failing: Effect.Effect<never, typeof unavailable>) =>
  storeWith({
    page: () => failing,
    samples: () => Stream.fromEffect(failing),
    windows: () => Stream.fromEffect(failing),
    gpus: () => failing,
    gpu: () => failing,
    metricNames: () => failing,
    stats: failing,
    ready: failing
  })

it.live("a store that can't be reached is a 503 that names it, wherever it is asked", () =>
  Effect.gen(function* () {
    for (const path of storePaths) {
      const answer = yield* send(path)
      expectProblem(answer, Unavailable, path)
      expect(answer.json.detail).toBe("teststore: connection refused")
    }
    expect((yield* send("/health")).status).toBe(200)
  }).pipe(Effect.provide(gatewayOver(storeThatIs(Effect.fail(unavailable)))))
)

const secret = () => new Error("password=hunter2")
const throwing = () => {
  throw secret()
}

for (const [how, store] of [
  ["dies", storeThatIs(Effect.die(secret()))],
  [
    "throws",
    storeWith({
      page: throwing,
      samples: throwing,
      windows: throwing,
      gpus: throwing,
      gpu: throwing,
      metricNames: throwing,
      stats: Effect.suspend(throwing),
      ready: Effect.suspend(throwing)
    } satisfies Partial<TelemetryStore["Type"]>)
  ]
] as const) {
  it.live(`a store that ${how} is a 500 that tells nothing of it, and is logged`, () =>
    Effect.gen(function* () {
      for (const path of storePaths) {
        const answer = yield* send(path)
        expectProblem(answer, InternalError, path)
        expect(answer.text).not.toMatch(/hunter2|\bat .*:\d+|node_modules|\.ts/)
      }
      expect((yield* send("/health")).status).toBe(200)
    }).pipe(
      Effect.provide(gatewayOver(store)),
      logged,
      Effect.map((log) => expect(log.match(/hunter2/g)?.length).toBeGreaterThanOrEqual(storePaths.length))
    )
  )
}

it.live("a page in front of the router is what the router would answer", () =>
  Effect.gen(function* () {
    const { next_cursor: cursor } = (yield* send(`${telemetry}?limit=1`)).json
    for (const query of [
      ...["", "?", "?limit=2", "?limit=2&order=asc", "?offset=1", "?hostname=host+1", "?hostname=host%201"],
      ...["?limit=0", "?limit=1&limit=2", "?order=", "?start_time=x", "?hostname=%E0%A4%A", "?&&=&limit=1"],
      ...["?window=1m&aggregate=mean", "?window=1m", "?aggregate=mean", "?window=x&aggregate=mean"],
      ...[`?cursor=${cursor}`, "?cursor=x", "?start_time=2025-07-18T20:42:35Z&end_time=2025-07-18T20:42:34Z"]
    ]) {
      const inFront = yield* send(telemetry + query)
      // An escape in the id is left to the router.
      const routed = yield* send(telemetry.replace("GPU-1", "GPU%2D1") + query)
      expect([inFront.status, inFront.text], query).toEqual([routed.status, routed.text])
      expect(inFront.headers.get("content-type")).toBe(routed.headers.get("content-type"))
    }
  }).pipe(
    Effect.provide(
      gatewayOver(storeOf([sampleAt(0), sampleAt(1, { hostname: "host 1" }), sampleAt(2, { hostname: "é" })]))
    )
  )
)
