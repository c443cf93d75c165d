/** The HTTP server of a process that has no other. */
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Option, Ref, TestClock } from "effect"
import { ProbeAddress, layer as probe } from "../../src/http/ProbeHttp.ts"
import { Unavailable } from "../../src/http/Problem.ts"
import { answers, ReadinessChecks } from "../../src/http/ReadinessChecks.ts"
import { BrokerUnavailable } from "../../src/layers/Broker.ts"
import { Rejects, layer as rejectsLayer } from "../../src/layers/Rejects.ts"
import { ask, expectProblem } from "./Answer.ts"

const server = (checks: ReadonlyArray<Effect.Effect<Option.Option<string>>>) =>
  probe({ host: "127.0.0.1", port: 0 }).pipe(
    Layer.orDie,
    Layer.provide(Layer.succeed(ReadinessChecks, checks)),
    Layer.provideMerge(rejectsLayer)
  )

it.live("is ready when all that it needs answers; until then it names all that is missing", () =>
  Effect.gen(function* () {
    const isThere = yield* Ref.make(false)
    const broker = Effect.flatMap(Ref.get(isThere), (there) =>
      there ? Effect.void : new BrokerUnavailable({ problem: "mq:9000 refuses connections" })
    )
    yield* Effect.gen(function* () {
      const { url } = yield* ProbeAddress
      const missing = yield* ask(`${url}/ready`)
      expectProblem(missing, Unavailable)
      expect(missing.json.detail).toBe("draining; broker: mq:9000 refuses connections")
      expect((yield* ask(`${url}/health`)).json).toEqual({ status: "healthy" })
      yield* Ref.set(isThere, true)
      expect((yield* ask(`${url}/ready`)).json.detail).toBe("draining")
    }).pipe(Effect.provide(server([Effect.succeedSome("draining"), answers("broker")(broker)])))
    yield* Effect.gen(function* () {
      const { url } = yield* ProbeAddress
      expect((yield* ask(`${url}/ready`)).json).toEqual({ status: "ready" })
    }).pipe(Effect.provide(server([answers("broker")(broker)])))
  })
)

it.effect("what does not answer in time is missing", () =>
  Effect.gen(function* () {
    const asked = yield* Effect.fork(answers("store")(Effect.never))
    yield* Effect.yieldNow()
    yield* TestClock.adjust("2 seconds")
    expect(yield* asked).toEqual(Option.some("store: no answer within 2000 ms"))
  })
)

it.live("shows what its process rejected, and metrics", () =>
  Effect.gen(function* () {
    const { url } = yield* ProbeAddress
    const rejects = yield* Rejects
    rejects.add("bad_value", () => ({ origin: "file:2", input: "x" }))
    expect((yield* ask(`${url}/rejects`)).json).toMatchObject({ total: 1 })
    expect((yield* ask(`${url}/metrics`)).status).toBe(200)
    expect((yield* ask(`${url}/openapi.json`)).json.paths).toHaveProperty("/ready")
    expect((yield* ask(`${url}/nothing`)).status).toBe(404)
  }).pipe(Effect.provide(server([])))
)
