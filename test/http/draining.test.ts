/** Readiness while the process ends. */
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { GatewayAddress } from "../../src/http/Gateway.ts"
import { ReadinessChecks } from "../../src/http/ReadinessChecks.ts"
import * as Draining from "../../src/layers/Draining.ts"
import { gatewayOver, storeOf } from "./TestGateway.ts"

const checks = Layer.effect(
  ReadinessChecks,
  Effect.map(Draining.Draining, ({ check }) => [check])
)

it.live("a process that is draining is alive and not ready, and says why", () =>
  Effect.gen(function* () {
    const { url } = yield* GatewayAddress
    const get = (path: string) => Effect.promise(() => fetch(url + path))
    expect((yield* get("/ready")).status).toBe(200)
    yield* (yield* Draining.Draining).begin
    const ready = yield* get("/ready")
    expect(ready.status).toBe(503)
    expect(yield* Effect.promise(() => ready.json())).toMatchObject({
      error: "unavailable",
      detail: "draining"
    })
    expect((yield* get("/health")).status).toBe(200)
  }).pipe(
    Effect.provide(gatewayOver(storeOf([])).pipe(Layer.provide(checks), Layer.provideMerge(Draining.layer)))
  )
)
