/** The broker's HTTP API before its log has been read back, and while nothing can be appended to it. */
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { BrokerHttpConfig, layer as brokerHttp } from "../../src/http/BrokerHttp.ts"
import { Unavailable } from "../../src/http/Problem.ts"
import * as BrokerFront from "../../src/layers/BrokerFront.ts"
import { BrokerServer } from "../../src/layers/BrokerServer.ts"
import { MetricSources } from "../../src/layers/MetricSources.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import { expectProblem } from "./Answer.ts"
import { valueOf } from "./PrometheusText.ts"
import { brokerHttpOver, brokerThatTells, send, statsWith } from "./TestBroker.ts"

const front = brokerHttp.pipe(
  Layer.orDie,
  Layer.provide(BrokerFront.layerBroker),
  Layer.provide(BrokerHttpConfig.layer({ port: 0 })),
  Layer.provideMerge(Layer.merge(BrokerFront.layer, Rejects.layer))
)

it.live(
  "a broker that reads its log back is alive and says so; it is ready once it has, and not before",
  () =>
    Effect.gen(function* () {
      for (const path of ["/ready", "/stats"]) {
        const answer = yield* send(path)
        expectProblem(answer, Unavailable, path)
        expect(answer.json.detail).toBe("broker: recovering: its log is being read")
      }
      const health = yield* send("/health")
      expect([health.status, health.json]).toEqual([
        200,
        { status: "recovering", reason: "recovering: its log is being read" }
      ])
      expect((yield* send("/metrics")).status).toBe(200)
      const opened = BrokerFront.openFor(brokerThatTells(Effect.succeed(statsWith({}))))
      yield* Layer.build(opened)
      expect((yield* send("/ready")).status).toBe(200)
      expect((yield* send("/health")).json).toEqual({ status: "healthy" })
    }).pipe(Effect.scoped, Effect.provide(front))
)

const full = statsWith({
  log: {
    problem: "ENOSPC: no space left on device",
    ...{ appends: 7, appendedBytes: 700, syncs: 3 },
    recovery: { records: 5, bytes: 500, tornBytes: 12, durationMs: 250 }
  }
})

it.live("a log that can't append is told where it is asked for, and is no reason to end the process", () =>
  Effect.gen(function* () {
    const ready = yield* send("/ready")
    expectProblem(ready, Unavailable)
    expect(ready.json.detail).toBe("nothing can be appended: ENOSPC: no space left on device")
    const health = yield* send("/health")
    expect([health.status, health.json]).toEqual([200, { status: "degraded", reason: ready.json.detail }])
    expect((yield* send("/stats")).json.log.problem).toBe("ENOSPC: no space left on device")
  }).pipe(Effect.provide(brokerHttpOver(brokerThatTells(Effect.succeed(full)))))
)

const server = Layer.succeed(
  BrokerServer,
  BrokerServer.of({
    address: { host: "127.0.0.1", port: 1 },
    figures: Effect.succeed({
      ...{ connections: 2, subscriptions: 1, pendingBytes: 64, accepted: 9 },
      ...{ bytesRead: 1_000, bytesWritten: 2_000, framesRead: 30 },
      errors: { unauthorized: 4 }
    })
  })
)

it.live("metrics have what the log did, how it came back, and what its server counts", () =>
  Effect.gen(function* () {
    const { text } = yield* send("/metrics")
    const value = (name: string, labels = {}) => valueOf(text, `telemetry_broker_${name}`, labels)
    expect(value("log_problem")).toBe(1)
    expect([value("appends_total"), value("appended_bytes_total"), value("syncs_total")]).toEqual([7, 700, 3])
    expect([value("recovered_records"), value("recovered_bytes")]).toEqual([5, 500])
    expect([value("recovery_torn_bytes"), value("recovery_seconds")]).toEqual([12, 0.25])
    expect([value("connections"), value("pending_bytes")]).toEqual([2, 64])
    expect(value("errors_total", { error: "unauthorized" })).toBe(4)
  }).pipe(
    Effect.provide(
      Layer.merge(Metrics.layerBroker, Metrics.layerBrokerServer).pipe(
        Layer.provideMerge(brokerHttpOver(brokerThatTells(Effect.succeed(full)))),
        Layer.provide(server),
        Layer.provideMerge(MetricSources.layer)
      )
    )
  )
)
