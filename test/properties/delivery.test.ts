/** No message is lost, and one comes again only from the last commit on, over any crashes of the broker and its readers. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, FastCheck, Fiber, Scope } from "effect"
import { Broker, type Subscription } from "../../src/layers/Broker.ts"
import {
  commit,
  endOf,
  messages,
  publish,
  type Received,
  receive,
  subscribe
} from "../contracts/Broker.messages.ts"
import { makeGround } from "../layers/broker/Ground.ts"
import { behindTcp, inProcess } from "../layers/broker/tcp/Served.ts"
import { type Drawn, scheduled, turns } from "./Turns.ts"

const numRuns = 25
const readersMax = 3

const whom = FastCheck.nat(readersMax - 1)
const operation = FastCheck.oneof(
  {
    weight: 3,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("publish" as const),
      count: FastCheck.integer({ min: 1, max: 6 })
    })
  },
  { weight: 4, arbitrary: FastCheck.record({ type: FastCheck.constant("take" as const), whom }) },
  {
    weight: 3,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("commit" as const),
      whom,
      share: FastCheck.double({ min: 0, max: 1, noNaN: true })
    })
  },
  { weight: 1, arbitrary: FastCheck.record({ type: FastCheck.constant("crashReader" as const), whom }) },
  /** The broker ends so many turns after a publish and commits were begun. */
  {
    weight: 1,
    arbitrary: FastCheck.record({
      type: FastCheck.constant("crashBroker" as const),
      afterTurns: FastCheck.nat(12)
    })
  }
)
type Operation = Drawn<typeof operation>

/** What a reader has to be able to rely on. */
class Reader {
  subscription: Subscription | undefined
  scope: Scope.CloseableScope | undefined
  received: Array<Received> = []
  /** Checkpoints that were acknowledged, or asked for when the broker ended. */
  committedMin = 0
  committedMax = 0
  /** Everything below was delivered at some time. */
  seen = 0
  constructor(readonly name: string) {}

  get end(): number {
    return endOf(this.received, this.subscription!.start)
  }
}

class World {
  readonly log: Array<string> = []
  readonly readers = Array.from({ length: readersMax }, (_, n) => new Reader(`s${n}`))
  broker: Broker["Type"] | undefined
  brokerScope: Scope.CloseableScope | undefined
  private nextText = 0

  constructor(private readonly open: Effect.Effect<Broker["Type"], unknown, Scope.Scope>) {}

  readonly restart = Effect.gen(this, function* () {
    for (const reader of this.readers) yield* this.crash(reader)
    if (this.brokerScope !== undefined) yield* Scope.close(this.brokerScope, Exit.void)
    this.brokerScope = yield* Scope.make()
    this.broker = yield* Scope.extend(this.open, this.brokerScope)
  })

  texts(count: number): ReadonlyArray<string> {
    return Array.from({ length: count }, () => `${this.nextText++}`)
  }

  crash(reader: Reader) {
    return Effect.suspend(() => {
      const { scope } = reader
      if (scope === undefined) return Effect.void
      reader.scope = reader.subscription = undefined
      reader.received = []
      return Scope.close(scope, Exit.void)
    })
  }

  /** The reader's subscription; opened where it has none, and then it must start at the last commit. */
  subscribed(reader: Reader) {
    return Effect.gen(this, function* () {
      if (reader.subscription !== undefined) return reader.subscription
      const scope = yield* Scope.make()
      const opened = yield* Scope.extend(
        Effect.provideService(subscribe(reader.name, { resume: "always" }), Broker, this.broker!),
        scope
      )
      expect(opened.start, "a commit that was acknowledged is never lost").toBeGreaterThanOrEqual(
        reader.committedMin
      )
      expect(opened.start, "nothing is skipped that was not committed").toBeLessThanOrEqual(
        reader.committedMax
      )
      reader.committedMin = reader.committedMax = opened.start
      reader.scope = scope
      reader.subscription = opened
      return opened
    })
  }

  take(reader: Reader) {
    return Effect.gen(this, function* () {
      const subscription = yield* this.subscribed(reader)
      if (reader.end >= this.log.length) return
      const before = reader.end
      const received = yield* receive(subscription)
      expect(received).toEqual(messages(before, ...this.log.slice(before, before + received.length)))
      reader.received.push(...received)
      reader.seen = Math.max(reader.seen, reader.end)
    })
  }

  /** Publishes and commits, and the broker ends in the middle of it. */
  crashBroker(afterTurns: number) {
    return Effect.gen(this, function* () {
      const texts = this.texts(3)
      const publishing = yield* Effect.fork(
        Effect.either(Effect.provideService(publish(...texts), Broker, this.broker!))
      )
      const committing = yield* Effect.forEach(this.readers, (reader) =>
        Effect.fork(
          Effect.suspend(() =>
            reader.subscription === undefined ? Effect.succeed(0) : commit(reader.subscription, reader.end)
          ).pipe(Effect.option)
        )
      )
      const ends = this.readers.map((reader) => (reader.subscription === undefined ? 0 : reader.end))
      yield* turns(afterTurns)
      const scope = this.brokerScope!
      yield* Scope.close(scope, Exit.void)
      const published = yield* Fiber.join(publishing)
      for (const [index, fiber] of committing.entries()) {
        const committed = yield* Fiber.join(fiber)
        const reader = this.readers[index]!
        reader.committedMax = Math.max(reader.committedMax, ends[index]!)
        if (committed._tag === "Some") reader.committedMin = Math.max(reader.committedMin, committed.value)
      }
      yield* this.restart
      const { nextOffset } = yield* this.broker!.stats
      // What was not answered may be in the log or not, as a whole.
      if (published._tag === "Right" || nextOffset > this.log.length) this.log.push(...texts)
      expect(nextOffset).toBe(this.log.length)
    })
  }
}

const apply = (world: World, operation: Operation) =>
  Effect.gen(function* () {
    switch (operation.type) {
      case "publish": {
        const texts = world.texts(operation.count)
        yield* Effect.provideService(publish(...texts), Broker, world.broker!)
        world.log.push(...texts)
        break
      }
      case "take":
        yield* world.take(world.readers[operation.whom]!)
        break
      case "commit": {
        const reader = world.readers[operation.whom]!
        if (reader.subscription === undefined) break
        const { start } = reader.subscription
        const offset = start + Math.floor((reader.end - start) * operation.share)
        const committed = yield* commit(reader.subscription, offset)
        expect(committed).toBe(Math.max(offset, reader.committedMin))
        reader.committedMin = reader.committedMax = committed
        break
      }
      case "crashReader":
        yield* world.crash(world.readers[operation.whom]!)
        break
      case "crashBroker":
        yield* world.crashBroker(operation.afterTurns)
    }
  })

const places = [
  ["in this process", inProcess],
  ["behind a connection", behindTcp]
] as const

for (const [where, open] of places) {
  it.scoped.prop(
    `no message is lost, and one is delivered again only from the last commit on, over any crashes, ${where}`,
    [FastCheck.array(operation, { maxLength: 40, size: "max" })],
    ([operations]) =>
      Effect.gen(function* () {
        const world = new World(open((yield* makeGround()).openBroker))
        yield* world.restart
        // Everybody has a checkpoint from the beginning, so that everything is to be seen.
        for (const reader of world.readers) yield* world.subscribed(reader)
        for (const operation of operations) yield* apply(world, operation)
        for (const reader of world.readers) {
          do yield* world.take(reader)
          while (reader.end < world.log.length)
          expect(reader.seen).toBe(world.log.length)
        }
        yield* world.restart
      }).pipe(scheduled),
    { fastCheck: { numRuns } }
  )
}
