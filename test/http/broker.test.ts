import { expect, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { describe } from "vitest"
import { brokerDocument } from "../../src/http/BrokerApi.ts"
import { BrokerHealth, BrokerReady } from "../../src/http/broker/Answers.ts"
import { InternalError, MethodNotAllowed, NotFound, Unavailable } from "../../src/http/Problem.ts"
import { ReadinessChecks } from "../../src/http/ReadinessChecks.ts"
import { Rejections } from "../../src/http/Rejections.ts"
import {
  Broker,
  BrokerUnavailable,
  type CheckpointStats,
  type Subscription
} from "../../src/layers/Broker.ts"
import * as Draining from "../../src/layers/Draining.ts"
import { Rejects } from "../../src/layers/Rejects.ts"
import { BrokerStatistics } from "../../src/protocol/BrokerStatistics.ts"
import { offsetOf, SubscriberId } from "../../src/protocol/Log.ts"
import { commit, hello, numbered, publish, receiveUntil, subscribe } from "../contracts/Broker.messages.ts"
import { type GroundOptions, makeGround } from "../layers/broker/Ground.ts"
import { expectProblem } from "./Answer.ts"
import { brokerHttpOver, brokerThatTells, send, statsWith } from "./TestBroker.ts"
import { logged } from "./TestGateway.ts"

/** The API over a broker in memory. */
const embedded = (options?: GroundOptions) =>
  brokerHttpOver(
    Layer.scoped(
      Broker,
      Effect.flatMap(makeGround(options), ({ openBroker }) => openBroker)
    )
  )

describe("/stats", () => {
  it.live("has the old fields to the letter, also of a log that is empty", () =>
    Effect.gen(function* () {
      const { json } = yield* send("/stats")
      expect(json).toMatchObject({
        total_messages: 0,
        oldest_offset: 0,
        latest_offset: 0,
        subscriber_count: 0,
        subscribers: []
      })
      expect(json).toMatchObject({
        next_offset: 0,
        log_bytes: 0,
        waiting_messages: 0,
        producers: [],
        checkpoints: [],
        gaps: { count: 0, messages: 0 },
        rejects: {}
      })
    }).pipe(Effect.provide(embedded()))
  )

  it.live("tells where each subscriber is and what it has yet to be delivered", () =>
    Effect.gen(function* () {
      const session = yield* hello("streamer-1")
      yield* session.publish(numbered(7, ["a", "b", "c"]))
      const subscription = yield* subscribe("collector-1", { resume: "always", creditMessages: 2 })
      yield* receiveUntil(subscription, 2)
      yield* commit(subscription, 1)
      yield* publish("d", "e")
      ;(yield* Rejects).add("bad_value", () => ({ origin: "file.csv:3", input: "a,b" }))
      const { json } = yield* send("/stats")
      expect(json).toMatchObject({
        total_messages: 5,
        oldest_offset: 0,
        latest_offset: 4,
        subscriber_count: 1,
        producers: [{ id: "streamer-1", last_sequence: 9 }],
        rejects: { bad_value: 1 }
      })
      const [subscriber] = json.subscribers
      expect(subscriber).toMatchObject({ id: "collector-1", missed: 0 })
      expect(subscriber.lag).toBe(json.next_offset - subscriber.current_offset)
      expect(json.checkpoints).toEqual([
        {
          id: "collector-1",
          offset: 1,
          lag: 4,
          connected: true,
          last_seen: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
          holds_back: true
        }
      ])
    }).pipe(Effect.scoped, Effect.provide(embedded()))
  )

  it.live(
    "counts appended messages also where retention dropped them, and shows the gaps that it tells",
    () =>
      Effect.gen(function* () {
        const subscription = yield* subscribe("collector-1", { resume: "always", creditMessages: 1 })
        for (let i = 0; i < 40; i++) yield* publish("x".repeat(4_000))
        yield* receiveUntil(subscription, 1)
        yield* commit(subscription, 1)
        yield* receiveUntil(subscription, 2)
        const { json } = yield* send("/stats")
        expect(json).toMatchObject({ total_messages: 40, next_offset: 40, latest_offset: 39 })
        expect(json.oldest_offset).toBeGreaterThan(2)
        expect(json.gaps.count).toBe(1)
        expect(json.gaps.messages).toBe(json.subscribers[0].missed)
        expect(json.subscribers[0].missed).toBeGreaterThan(0)
      }).pipe(Effect.scoped, Effect.provide(embedded({ retentionBytes: 32 * 1024, whenFull: "drop_oldest" })))
  )
})

const away = (id: string, offset: number, holdsBackForMs: number | null): CheckpointStats => ({
  subscriberId: SubscriberId.make(id),
  offset: offsetOf(offset),
  isConnected: false,
  seenMs: Date.now() - 3 * 3_600_000,
  holdsBackForMs
})

const connected = (id: string, offset: number): CheckpointStats => ({
  ...away(id, offset, Number.POSITIVE_INFINITY),
  isConnected: true,
  seenMs: Date.now()
})

const overStats = (some: Parameters<typeof statsWith>[0]) =>
  brokerHttpOver(brokerThatTells(Effect.succeed(statsWith(some))))

const hourMs = 3_600_000

const commitsAll = (subscription: Subscription): Effect.Effect<never, unknown> =>
  Effect.forever(
    Effect.flatMap(subscription.deliveries, (deliveries): Effect.Effect<void, unknown> => {
      const last = deliveries.at(-1)
      return last?._tag === "Messages"
        ? subscription.commit(offsetOf(last.firstOffset + last.payloads.length))
        : Effect.void
    })
  )

describe("/ready", () => {
  it.live("names the subscriber that holds a full log back, until that commits", () =>
    Effect.gen(function* () {
      const subscription = yield* subscribe("collector-1", { resume: "always" })
      yield* Effect.forkScoped(Effect.forever(publish("x".repeat(4_000))))
      let answer = yield* send("/ready")
      while (answer.status === 200) answer = yield* send("/ready")
      expectProblem(answer, Unavailable)
      expect(answer.json.detail).toBe("the log is full: held back by collector-1 at offset 0 (connected)")
      expect((yield* send("/health")).json).toEqual({ status: "degraded", reason: answer.json.detail })
      yield* Effect.forkScoped(commitsAll(subscription))
      while ((yield* send("/ready")).status !== 200) yield* Effect.yieldNow()
      expect((yield* send("/health")).json).toEqual({ status: "healthy" })
    }).pipe(Effect.scoped, Effect.provide(embedded({ retentionBytes: 32 * 1024 })))
  )

  it.live("names how long one that is away was not seen and goes on to hold the log back", () =>
    Effect.gen(function* () {
      const answer = yield* send("/ready")
      expectProblem(answer, Unavailable)
      expect(answer.json.detail).toBe(
        "the log is full: held back by collector-2 at offset 17 (not seen for 3h, holds back for 21h more)"
      )
    }).pipe(
      Effect.provide(
        overStats({
          nextOffset: offsetOf(99),
          fullForMs: 2_000,
          checkpoints: [
            away("gone", 3, null),
            away("collector-2", 17, 21 * hourMs),
            connected("collector-1", 18)
          ]
        })
      )
    )
  )

  it.live("names all that stand at the same offset, or how many more there are", () =>
    Effect.gen(function* () {
      expect((yield* send("/ready")).json.detail).toBe(
        "the log is full: held back by a at offset 1 (connected) and b at offset 1 (connected) and " +
          "c at offset 1 (connected) and 2 more"
      )
    }).pipe(
      Effect.provide(
        overStats({
          nextOffset: offsetOf(9),
          fullForMs: 5_000,
          checkpoints: [...["a", "b", "c", "d", "e"].map((id) => connected(id, 1)), connected("f", 2)]
        })
      )
    )
  )

  it.live(
    "is ready while publishes wait for a moment only, and lists who is away and holds something back",
    () =>
      Effect.gen(function* () {
        const { status, json } = yield* send("/ready")
        expect(status).toBe(200)
        expect(json).toEqual({
          status: "ready",
          held_back_by: [{ id: "collector-2", offset: 17, seconds_left: 75_600 }]
        })
      }).pipe(
        Effect.provide(
          overStats({
            nextOffset: offsetOf(99),
            fullForMs: 1_999,
            checkpoints: [
              away("gone", 3, null),
              away("collector-2", 17, 21 * hourMs),
              connected("collector-1", 18),
              away("done", 99, hourMs)
            ]
          })
        )
      )
  )

  it.live("is not ready while the process drains, and says so", () =>
    Effect.gen(function* () {
      expect((yield* send("/ready")).status).toBe(200)
      yield* (yield* Draining.Draining).begin
      const answer = yield* send("/ready")
      expectProblem(answer, Unavailable)
      expect(answer.json.detail).toBe("draining")
      expect((yield* send("/health")).json).toEqual({ status: "healthy" })
    }).pipe(
      Effect.provide(
        overStats({}).pipe(
          Layer.provide(
            Layer.effect(
              ReadinessChecks,
              Effect.map(Draining.Draining, ({ check }) => [check])
            )
          ),
          Layer.provideMerge(Draining.layer)
        )
      )
    )
  )
})

const stopped = brokerThatTells(Effect.fail(new BrokerUnavailable({ problem: "it has stopped" })))

it.live("a broker that has stopped is a 503 that says so; the process is alive, and degraded", () =>
  Effect.gen(function* () {
    for (const path of ["/stats", "/ready"]) {
      const answer = yield* send(path)
      expectProblem(answer, Unavailable, path)
      expect(answer.json.detail).toBe("broker: it has stopped")
    }
    const health = yield* send("/health")
    expect(health.status).toBe(200)
    expect(health.json).toEqual({ status: "degraded", reason: "broker: it has stopped" })
  }).pipe(Effect.provide(brokerHttpOver(stopped)))
)

it.live("a broker that breaks is a 500 that tells nothing of it, and is logged", () =>
  Effect.gen(function* () {
    const answer = yield* send("/stats")
    expectProblem(answer, InternalError)
    expect(answer.text).not.toContain("hunter2")
  }).pipe(
    Effect.provide(brokerHttpOver(brokerThatTells(Effect.die(new Error("password=hunter2"))))),
    logged,
    Effect.map((log) => expect(log).toContain("hunter2"))
  )
)

it.live("rejects are shown with where they came from", () =>
  Effect.gen(function* () {
    ;(yield* Rejects).add("bad_batch", () => ({ origin: "message 17", input: "{" }))
    expect((yield* send("/rejects")).json).toEqual({
      total: 1,
      reasons: { bad_batch: { count: 1, recent: [{ origin: "message 17", input: "{" }] } }
    })
  }).pipe(Effect.provide(embedded()))
)

it.live("unknown paths, also those of the gateway, and other methods are problems", () =>
  Effect.gen(function* () {
    for (const path of ["/", "/nope", "/api/v1/gpus", "/STATS", "/stats/x", "/swagger"]) {
      expectProblem(yield* send(path), NotFound, path)
    }
    const answer = yield* send("/stats", { method: "POST", body: "x" })
    expectProblem(answer, MethodNotAllowed)
    expect(answer.headers.get("allow")).toBe("GET, HEAD")
  }).pipe(Effect.provide(embedded()))
)

const documented: Record<string, Schema.Schema.AnyNoContext> = {
  "/stats": BrokerStatistics,
  "/health": BrokerHealth,
  "/ready": BrokerReady,
  "/rejects": Rejections,
  "/metrics": Schema.String
}

it.live(
  "every documented operation answers by its schema, without undeclared fields, and to HEAD without a body",
  () =>
    Effect.gen(function* () {
      expect(Object.keys(brokerDocument.paths)).toEqual(Object.keys(documented))
      yield* subscribe("collector-1", { resume: "always" })
      for (const [path, schema] of Object.entries(documented)) {
        const answer = yield* send(path)
        expect(answer.status, path).toBe(200)
        Schema.decodeUnknownSync(schema, { onExcessProperty: "error" })(answer.json ?? answer.text)
        const head = yield* send(path, { method: "HEAD" })
        expect([head.status, head.text], path).toEqual([200, ""])
        expect(head.headers.get("content-type"), path).toBe(answer.headers.get("content-type"))
      }
      expect((yield* send("/openapi.json")).json).toEqual(JSON.parse(JSON.stringify(brokerDocument)))
    }).pipe(Effect.scoped, Effect.provide(embedded()))
)
