/** The running broker against a model of it: any history of calls has the same answers, also over restarts. */
import { expect, it } from "@effect/vitest"
import { Effect, Either, Exit, FastCheck, Scope } from "effect"
import { Broker, type ProducerSession, type Subscription } from "../../src/layers/Broker.ts"
import { offsetOf, type StartFrom } from "../../src/protocol/Log.ts"
import {
  commit,
  eventually,
  hello,
  messages,
  numbered,
  publish,
  receiveUntil,
  subscribe
} from "../contracts/Broker.messages.ts"
import { type Ground, makeDurableGround, makeGround } from "../layers/broker/Ground.ts"
import { behindTcp } from "../layers/broker/tcp/Served.ts"
import { BrokerModel } from "./BrokerModel.ts"
import { type Drawn, scheduled } from "./Turns.ts"

const numRuns = 60

const name = FastCheck.constantFrom("a", "b", "c")
const operation = FastCheck.oneof(
  FastCheck.record({ type: FastCheck.constant("publish" as const), count: FastCheck.nat(5) }),
  FastCheck.record({ type: FastCheck.constant("hello" as const), name }),
  FastCheck.record({
    type: FastCheck.constant("send" as const),
    name,
    session: FastCheck.constantFrom(0, 0, 0, 1),
    ahead: FastCheck.integer({ min: -5, max: 1 }),
    count: FastCheck.integer({ min: 1, max: 6 })
  }),
  FastCheck.record({
    type: FastCheck.constant("subscribe" as const),
    name,
    from: FastCheck.oneof(
      FastCheck.constantFrom<StartFrom>("earliest", "latest"),
      FastCheck.nat(40).map((offset): StartFrom => offsetOf(offset))
    ),
    resume: FastCheck.constantFrom("never" as const, "if_known" as const, "always" as const)
  }),
  FastCheck.record({ type: FastCheck.constant("take" as const), name }),
  FastCheck.record({
    type: FastCheck.constant("commit" as const),
    name,
    back: FastCheck.integer({ min: -1, max: 8 })
  }),
  FastCheck.record({ type: FastCheck.constant("leave" as const), name }),
  FastCheck.record({ type: FastCheck.constant("restart" as const) })
)
type Operation = Drawn<typeof operation>

/** What of the real broker stands beside the model. */
class Real {
  readonly model = new BrokerModel()
  broker: Broker["Type"] | undefined
  scope: Scope.CloseableScope | undefined
  readonly sessions = new Map<string, Array<readonly [number, ProducerSession]>>()
  readonly subscriptions = new Map<string, readonly [Subscription, Scope.CloseableScope]>()
  private next = 0

  constructor(private readonly open: Effect.Effect<Broker["Type"], unknown, Scope.Scope>) {}

  texts(count: number): ReadonlyArray<string> {
    return Array.from({ length: count }, () => `${this.next++}`)
  }

  restart() {
    return Effect.gen(this, function* () {
      if (this.scope !== undefined) yield* Scope.close(this.scope, Exit.void)
      for (const [, scope] of this.subscriptions.values()) yield* Scope.close(scope, Exit.void)
      this.sessions.clear()
      this.subscriptions.clear()
      this.model.restart()
      this.scope = yield* Scope.make()
      this.broker = yield* Scope.extend(this.open, this.scope)
    })
  }

  hello(name: string) {
    return Effect.gen(this, function* () {
      const session = yield* hello(name)
      const known = this.model.producers.get(name)
      expect([session.lastSequence, session.lastPosition]).toEqual(
        known === undefined ? [null, null] : [known.last, `at ${known.last}`]
      )
      const id = this.next++
      this.model.sessions.set(name, id)
      this.sessions.set(name, [[id, session], ...(this.sessions.get(name) ?? [])])
    })
  }

  send({ name, session, ahead, count }: Extract<Operation, { type: "send" }>) {
    return Effect.gen(this, function* () {
      const sessions = this.sessions.get(name)
      if (sessions === undefined) return
      const [id, real] = sessions[Math.min(session, sessions.length - 1)]!
      const first = Math.max(0, (this.model.producers.get(name)?.last ?? -1) + 1 + ahead)
      const texts = Array.from({ length: count }, (_, index) => `${name} ${first + index}`)
      const answer = yield* Effect.either(real.publish(numbered(first, texts)))
      const said = Either.isRight(answer) ? answer.right : "reason" in answer.left && answer.left.reason
      const expected = this.model.send(name, id, first, texts)
      if (typeof expected === "string") expect(said).toBe(expected)
      else expect(said).toMatchObject(expected)
    })
  }

  subscribe({ name, from, resume }: Extract<Operation, { type: "subscribe" }>) {
    return Effect.gen(this, function* () {
      const scope = yield* Scope.make()
      const subscription = yield* Scope.extend(subscribe(name, { from, resume }), scope)
      const { start, clamped } = subscription
      expect({ start, clamped }).toEqual(this.model.subscribe(name, from, resume))
      const before = this.subscriptions.get(name)
      this.subscriptions.set(name, [subscription, scope])
      if (before === undefined) return
      expect(yield* Effect.flip(Effect.forever(before[0].deliveries))).toMatchObject({
        _tag: "SubscriptionTakenOver"
      })
      yield* Scope.close(before[1], Exit.void)
    })
  }

  take(name: string) {
    return Effect.gen(this, function* () {
      const [subscription] = this.subscriptions.get(name) ?? []
      if (subscription === undefined || this.model.cursors.get(name) === this.model.log.length) return
      const { firstOffset, texts } = this.model.take(name)
      const received = yield* receiveUntil(
        { ...subscription, start: offsetOf(firstOffset) },
        this.model.log.length
      )
      expect(received).toEqual(messages(firstOffset, ...texts))
    })
  }

  commit(name: string, back: number) {
    return Effect.gen(this, function* () {
      const [subscription] = this.subscriptions.get(name) ?? []
      if (subscription === undefined) return
      yield* this.take(name)
      const offset = Math.max(0, this.model.log.length - back)
      const answer = yield* Effect.either(commit(subscription, offset))
      expect(Either.getOrElse(answer, () => "refused")).toBe(this.model.commit(name, offset))
    })
  }

  leave(name: string) {
    return Effect.gen(this, function* () {
      const [, scope] = this.subscriptions.get(name) ?? []
      if (scope === undefined) return
      yield* Scope.close(scope, Exit.void)
      this.subscriptions.delete(name)
      this.model.cursors.delete(name)
    })
  }

  apply(operation: Operation): Effect.Effect<void, unknown, Broker | Scope.Scope> {
    switch (operation.type) {
      case "publish": {
        const texts = this.texts(operation.count)
        return Effect.map(publish(...texts), (receipt) =>
          expect(receipt).toMatchObject(this.model.publish(texts))
        )
      }
      case "hello":
        return this.hello(operation.name)
      case "send":
        return this.send(operation)
      case "subscribe":
        return this.subscribe(operation)
      case "take":
        return this.take(operation.name)
      case "commit":
        return this.commit(operation.name, operation.back)
      case "leave":
        return this.leave(operation.name)
      case "restart":
        return this.restart()
    }
  }

  /** What stats say, once everything that is on its way has arrived. */
  checkStats() {
    return Effect.gen(this, function* () {
      const { log, producers, cursors, checkpoints } = this.model
      const broker = yield* Broker
      const isIdle = Effect.map(broker.stats, ({ subscribers }) =>
        subscribers.every(({ currentOffset }) => currentOffset === log.length)
      )
      yield* eventually(isIdle)
      const stats = yield* broker.stats
      expect(stats).toMatchObject({
        oldestOffset: 0,
        nextOffset: log.length,
        waitingRecords: 0,
        producers: expect.objectContaining({ length: producers.size })
      })
      const subscribers = [...stats.subscribers].sort((a, b) => (a.subscriberId < b.subscriberId ? -1 : 1))
      expect(subscribers.map(({ subscriberId, checkpoint }) => [subscriberId, checkpoint])).toEqual(
        [...cursors.keys()].sort().map((name) => [name, checkpoints.get(name) ?? null])
      )
    })
  }
}

const histories = { operations: FastCheck.array(operation, { maxLength: 60, size: "max" }) }

const answersAsItsModel = (
  { openBroker }: Pick<Ground, "openBroker">,
  operations: ReadonlyArray<Operation>
) =>
  Effect.gen(function* () {
    const real = new Real(openBroker)
    yield* real.restart()
    for (const operation of operations) {
      yield* Effect.suspend(() => Effect.provideService(real.apply(operation), Broker, real.broker!))
    }
    yield* Effect.provideService(real.checkStats(), Broker, real.broker!)
    yield* real.restart()
  }).pipe(scheduled)

it.scoped.prop(
  "a broker answers as its model does, whatever the history, also over restarts",
  histories,
  ({ operations }) => Effect.flatMap(makeGround(), (ground) => answersAsItsModel(ground, operations)),
  { fastCheck: { numRuns } }
)

it.scoped.prop(
  "so does one behind a connection",
  histories,
  ({ operations }) =>
    Effect.flatMap(makeGround(), ({ openBroker }) =>
      answersAsItsModel({ openBroker: behindTcp(openBroker) }, operations)
    ),
  { fastCheck: { numRuns: numRuns / 4 } }
)

it.scoped.prop(
  "so does one whose log and journal are files",
  histories,
  ({ operations }) =>
    Effect.flatMap(makeDurableGround({ segmentBytes: 4_096 }), (ground) =>
      answersAsItsModel(ground, operations)
    ),
  { fastCheck: { numRuns: numRuns / 4 } }
)
