import { expect, it } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import { sampleAt } from "../Samples.ts"
import { gatewayOver, send, storeOf } from "./TestGateway.ts"

/** A gateway whose clock stands at an instant, over one GPU whose newest sample is of 2025-07-18T20:43:04.000000001Z. */
const gatewayAt = (now: string, expectedIntervalMs = 60_000) => {
  const newest = sampleAt(30)
  const store = storeOf([sampleAt(0), { ...newest, timeNs: newest.timeNs + 1n }])
  const nowMs = Date.parse(now)
  const clock: Clock.Clock = {
    ...Clock.make(),
    currentTimeMillis: Effect.succeed(nowMs),
    unsafeCurrentTimeMillis: () => nowMs
  }
  return Layer.provide(gatewayOver(store, { expectedIntervalMs }), Layer.setClock(clock))
}

const gpu = Effect.map(send("/api/v1/gpus/GPU-1"), ({ json }) => json)

for (const [what, now, expectedIntervalMs, expected] of [
  ["fresh", "2025-07-18T20:43:16.500Z", 60_000, { age_seconds: 12.499, stale: false }],
  ["fresh until the interval is over", "2025-07-18T20:44:04Z", 60_000, { age_seconds: 59.999, stale: false }],
  ["stale from then on", "2025-07-18T20:44:04.001Z", 60_000, { age_seconds: 60, stale: true }],
  [
    "stale by the interval that is set",
    "2025-07-18T20:43:16.500Z",
    12_000,
    { age_seconds: 12.499, stale: true }
  ],
  [
    "fresh where its samples are ahead of the clock",
    "2025-07-18T20:42:00Z",
    60_000,
    { age_seconds: 0, stale: false }
  ]
] as const) {
  it.live(`a GPU is ${what}`, () =>
    Effect.gen(function* () {
      expect(yield* gpu).toMatchObject({ last_seen: "2025-07-18T20:43:04.000000001Z", ...expected })
    }).pipe(Effect.provide(gatewayAt(now, expectedIntervalMs)))
  )
}
