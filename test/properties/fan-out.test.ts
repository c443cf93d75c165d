/** Every subscriber sees every message from its start on, whatever the others do; a slow one slows no one. */
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, FastCheck, Fiber, Scope } from "effect"
import { Broker, type Subscription } from "../../src/layers/Broker.ts"
import { offsetOf, type StartFrom } from "../../src/protocol/Log.ts"
import {
  commit,
  endOf,
  eventually,
  messages,
  publish,
  type Received,
  receive,
  receiveUntil,
  subscribe
} from "../contracts/Broker.messages.ts"
import { layerOnMemory } from "../layers/broker/Ground.ts"
import { layerServed } from "../layers/broker/tcp/Served.ts"
import { type Drawn, scheduled, turns } from "./Turns.ts"

const numRuns = 30

const operation = FastCheck.oneof(
  {
    weight: 4,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("publish" as const),
      count: FastCheck.integer({ min: 1, max: 8 })
    })
  },
  {
    weight: 3,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("join" as const),
      from: FastCheck.oneof(
        FastCheck.constantFrom<StartFrom>("earliest", "latest"),
        FastCheck.nat(30).map((offset): StartFrom => offsetOf(offset))
      ),
      resume: FastCheck.constantFrom("never" as const, "if_known" as const, "always" as const),
      /** Slow ones take nothing until all is over. */
      isSlow: FastCheck.boolean(),
      creditMessages: FastCheck.integer({ min: 1, max: 10 })
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({ type: FastCheck.constant("leave" as const), whom: FastCheck.nat(9) })
  },
  {
    weight: 2,
    arbitrary: FastCheck.record({ type: FastCheck.constant("turns" as const), count: FastCheck.nat(10) })
  }
)
type Operation = Drawn<typeof operation>
type Join = Extract<Operation, { isSlow: boolean }>

interface Reading {
  readonly subscription: Subscription
  readonly scope: Scope.CloseableScope
  readonly received: Array<Received>
  readonly isSlow: boolean
}

/** Takes and commits whatever comes, until the scope closes. */
const follow = ({ subscription, received }: Reading) =>
  Effect.forever(
    Effect.gen(function* () {
      received.push(...(yield* receive(subscription)))
      yield* commit(subscription, endOf(received, subscription.start))
    })
  )

const join = ({ isSlow, from, resume, creditMessages }: Join, name: string) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const subscription = yield* Scope.extend(subscribe(name, { from, resume, creditMessages }), scope)
    const reading: Reading = { subscription, scope, received: [], isSlow }
    if (!isSlow) yield* Effect.forkIn(follow(reading), scope)
    return reading
  })

const places = [
  ["in this process", layerOnMemory],
  ["behind a connection", layerServed]
] as const

for (const [where, layer] of places) {
  it.scoped.prop(
    `every subscriber sees every message from its start on, whatever others do, and a slow one stalls nobody, ${where}`,
    [FastCheck.array(operation, { maxLength: 30, size: "max" })],
    ([operations]) =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const open: Array<Reading> = []
        const left: Array<Reading> = []
        for (const [index, operation] of operations.entries()) {
          switch (operation.type) {
            case "publish": {
              const texts = Array.from({ length: operation.count }, (_, n) => `${log.length + n}`)
              yield* publish(...texts)
              log.push(...texts)
              break
            }
            case "join":
              open.push(yield* join(operation, `s${index}`))
              break
            case "leave": {
              const [reading] = open.splice(operation.whom, 1)
              if (reading === undefined) break
              yield* Scope.close(reading.scope, Exit.void)
              left.push(reading)
              break
            }
            case "turns":
              yield* turns(operation.count)
          }
        }
        const isThere = ({ subscription, received }: Reading) =>
          endOf(received, subscription.start) >= log.length
        // The fast ones get there while the slow ones have not taken anything.
        yield* eventually(Effect.sync(() => open.every((reading) => reading.isSlow || isThere(reading))))
        for (const reading of open.filter(({ isSlow }) => isSlow)) {
          yield* Effect.forkIn(follow(reading), reading.scope)
        }
        yield* eventually(Effect.sync(() => open.every(isThere)))
        for (const { subscription, received } of open) {
          expect(received).toEqual(messages(subscription.start, ...log.slice(subscription.start)))
        }
        for (const { subscription, received } of left) {
          const { start } = subscription
          expect(received).toEqual(messages(start, ...log.slice(start, endOf(received, start))))
        }
        const { stats } = yield* Broker
        // Who left is forgotten.
        yield* eventually(Effect.map(stats, ({ subscribers }) => subscribers.length === open.length))
        for (const { scope } of open) yield* Scope.close(scope, Exit.void)
      }).pipe(Effect.provide(layer({})), scheduled),
    { fastCheck: { numRuns } }
  )
}

it.scoped(
  "of a thousand messages published at once nothing passes anybody by, with any number of readers",
  () =>
    Effect.gen(function* () {
      const texts = Array.from({ length: 1_000 }, (_, n) => `${n}`)
      const started = yield* Deferred.make<void>()
      const readers = yield* Effect.forEach(
        Array.from({ length: 16 }, (_, n) => `s${n}`),
        (name) =>
          Effect.fork(
            Effect.zipRight(
              Deferred.await(started),
              Effect.flatMap(subscribe(name), (subscription) => receiveUntil(subscription, texts.length))
            )
          )
      )
      yield* Deferred.succeed(started, undefined)
      yield* Effect.forEach(texts, (text) => publish(text), { concurrency: "unbounded" })
      for (const reader of readers) {
        const received = yield* Fiber.join(reader)
        expect(received.map((message) => "offset" in message && message.offset)).toEqual(
          texts.map((_, n) => n)
        )
      }
    }).pipe(Effect.provide(layerOnMemory({})), scheduled)
)
