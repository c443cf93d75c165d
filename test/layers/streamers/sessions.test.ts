/** A streamer's sessions at the broker: one at a time, and none once it has ended. */
import { expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Option, Scope, TestClock } from "effect"
import {
  Broker,
  BrokerUnavailable,
  type ProducerSession,
  PublishRefused
} from "../../../src/layers/Broker.ts"
import { makeStreamer } from "../../../src/layers/streamers/streamer.ts"
import { TelemetrySource } from "../../../src/layers/TelemetrySource.ts"
import { LogId, ProducerId, SourcePosition } from "../../../src/protocol/Log.ts"
import { wholeSource } from "../../../src/protocol/Shard.ts"
import { sampleOf } from "../../Samples.ts"

const oneRow = TelemetrySource.of({
  description: "one row",
  open: () =>
    Effect.sync(() => {
      let rows = 1
      return {
        read: () =>
          Effect.sync(() =>
            rows-- > 0
              ? Option.some({
                  rowsRead: 1,
                  rowsPassed: 0,
                  samples: [sampleOf(1n, 1)],
                  positionAfter: () => SourcePosition.make("1")
                })
              : Option.none()
          )
      }
    })
})

/** A broker whose publishes end in turn as told, and that counts the sessions that are open. */
const brokerOf = (outcomes: Array<"answered" | "lost" | "fenced" | "log_failed" | "sequence_gap">) => {
  const figures = { open: 0, opened: 0, openMax: 0 }
  const session: ProducerSession = {
    logId: LogId.make("log"),
    lastSequence: null,
    lastPosition: null,
    publish: () =>
      Effect.suspend((): ReturnType<ProducerSession["publish"]> => {
        const outcome = outcomes.shift()
        switch (outcome) {
          case "answered":
            return Effect.succeed({ duplicates: 0, firstOffset: null, placed: [] })
          case "fenced":
          case "log_failed":
          case "sequence_gap":
            return Effect.fail(new PublishRefused({ reason: outcome, problem: outcome, placed: [] }))
          default:
            return Effect.fail(new BrokerUnavailable({ problem: "gone" }))
        }
      })
  }
  const opened = Effect.sync(() => {
    figures.opened++
    figures.openMax = Math.max(figures.openMax, ++figures.open)
    return session
  })
  const layer = Layer.mock(Broker, {
    hello: () => Effect.acquireRelease(opened, () => Effect.sync(() => figures.open--))
  })
  return { figures, layer }
}

const streamerOver = (layer: Layer.Layer<Broker>) =>
  makeStreamer({
    streamerId: ProducerId.make("streamer-a"),
    shard: wholeSource,
    batchSize: 1,
    collectIntervalMs: 100,
    rowsPerSecond: "max",
    windowBytes: 1_000
  }).pipe(Effect.provide(layer), Effect.provide(Context.make(TelemetrySource, oneRow)))

it.effect(
  "a streamer that says hello again has closed its session before, and its last one when it is done",
  () =>
    Effect.gen(function* () {
      const { figures, layer } = brokerOf(["lost", "lost", "answered"])
      const scope = yield* Scope.make()
      const { done } = yield* Scope.extend(streamerOver(layer), scope)
      const ending = yield* Effect.fork(done)
      yield* TestClock.adjust("1 minute")
      yield* ending
      expect(figures).toEqual({ open: 0, opened: 3, openMax: 1 })
      yield* Scope.close(scope, Exit.void)
    })
)

it.effect("a streamer whose batches are refused says why they wait, and not what follows from that", () =>
  Effect.gen(function* () {
    const { layer } = brokerOf(["log_failed", "sequence_gap", "answered"])
    const scope = yield* Scope.make()
    const { done, progress } = yield* Scope.extend(streamerOver(layer), scope)
    const ending = yield* Effect.fork(done)
    const told: Array<string | null> = []
    for (let turn = 0; turn < 10; turn++) {
      yield* TestClock.adjust("100 millis")
      told.push((yield* progress).waitsBecause)
    }
    yield* ending
    expect(new Set(told)).toEqual(new Set(["publish refused: log_failed", null]))
    expect((yield* progress).waitsBecause).toBe(null)
    yield* Scope.close(scope, Exit.void)
  })
)

it.effect("a streamer that is fenced ends with an error that names its twin", () =>
  Effect.gen(function* () {
    const { figures, layer } = brokerOf(["fenced"])
    const failure = yield* Effect.flip(Effect.scoped(Effect.flatMap(streamerOver(layer), ({ done }) => done)))
    expect(failure.message).toBe(
      "streamer-a: another streamer connected under the id streamer-a; each needs an id of its own"
    )
    expect(figures.open).toBe(0)
  })
)
