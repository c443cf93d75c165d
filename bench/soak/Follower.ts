/**
 * A subscriber that commits all it was given, and comes and goes: it leaves before it has committed, is cut off in the
 * middle of anything, is taken over, or unsubscribes; and every time it resumes where it has to.
 */
import { Effect, Either, type Scope } from "effect"
import {
  type AcknowledgeRefused,
  type BrokerUnavailable,
  type SubscribeOptions,
  type SubscribeRefused,
  type Subscription,
  SubscriptionTakenOver
} from "../../src/layers/Broker.ts"
import { offsetOf, SubscriberId } from "../../src/protocol/Log.ts"
import { Reader } from "./Reader.ts"
import { turns, type World } from "./World.ts"

export interface SubscriberOptions {
  /** Turns of the event loop that it takes for a delivery, at most. */
  readonly pauseTurnsMax: number
  /** Turns for which it stays away, at most, before it comes back. */
  readonly turnsAwayMax: number
  /** Whether it sometimes has its checkpoint forgotten, and starts anywhere then. */
  readonly unsubscribes: boolean
}

export interface Subscriber {
  readonly reader: Reader
  /** Reads until the end of everything. */
  readonly run: Effect.Effect<
    void,
    SubscribeRefused | AcknowledgeRefused | SubscriptionTakenOver | BrokerUnavailable
  >
}

const creditMessagesMax = 4_000
const deliveriesPerStayMax = 60
const turnsBeforeCutMax = 200

/** What a subscriber does while it is there, until it leaves of its own accord; true when all is over. */
type Stay = (
  subscription: Subscription,
  deliveries: number
) => Effect.Effect<
  boolean,
  SubscribeRefused | AcknowledgeRefused | SubscriptionTakenOver | BrokerUnavailable,
  Scope.Scope
>

interface ComingAndGoing {
  readonly turnsAwayMax: number
  readonly credit: () => Pick<SubscribeOptions, "creditMessages" | "creditBytes">
  readonly stay: Stay
}

/** A subscriber that resumes, does something while it is there, is cut off at times, and stays away for a while. */
export const comeAndGo = (
  world: World,
  reader: Reader,
  { turnsAwayMax, credit, stay }: ComingAndGoing
): Subscriber["run"] => {
  const random = world.random(`${reader.name} comes and goes`)
  const subscriberId = SubscriberId.make(reader.name)
  const visit = Effect.scoped(
    Effect.gen(function* () {
      const subscription = yield* world.broker.subscribe({
        subscriberId,
        from: reader.seenTo === 0 ? "earliest" : random.pick(["earliest", "latest"]),
        resume: "always",
        ...credit()
      })
      world.figures.subscriptions++
      reader.begin(subscription.start)
      reader.committed(subscription.start)
      return yield* stay(subscription, 1 + random.below(deliveriesPerStayMax))
    })
  )
  return Effect.gen(function* () {
    for (let isOver = false; !isOver; ) {
      const isCut = !world.isEnding() && random.chance(0.3)
      const cut = Effect.as(turns(1 + random.below(turnsBeforeCutMax)), false)
      isOver = yield* isCut ? Effect.raceFirst(visit, cut) : visit
      if (isOver || world.isEnding() || turnsAwayMax === 0) continue
      yield* turns(random.below(turnsAwayMax))
      if ((yield* world.broker.stats).waitingRecords > 0) world.figures.foundFull++
    }
  })
}

export const makeFollower = (
  world: World,
  name: string,
  { pauseTurnsMax, turnsAwayMax, unsubscribes }: SubscriberOptions
): Subscriber => {
  const random = world.random(name)
  const reader = new Reader(world, name, world.whenFull === "drop_oldest")

  const commit = (subscription: Subscription, offset: number) => {
    reader.committing(offset)
    return Effect.map(subscription.commit(offsetOf(offset)), (checkpoint) => {
      if (checkpoint !== offset) reader.complain(`committed ${offset}, the checkpoint became ${checkpoint}`)
      reader.committed(checkpoint)
    })
  }

  /** Somebody subscribes under the same name: from then on this subscription is given and allowed nothing. */
  const beTakenOver = (subscription: Subscription) =>
    Effect.gen(function* () {
      const { start } = yield* world.broker.subscribe({
        subscriberId: SubscriberId.make(name),
        from: "latest",
        resume: "always",
        creditMessages: 1,
        creditBytes: Number.POSITIVE_INFINITY
      })
      world.figures.takeovers++
      const { least } = reader.checkpoint!
      if (start !== least) reader.complain(`was taken over at ${start}, its checkpoint is ${least}`)
      for (const attempt of [
        Effect.forever(subscription.deliveries),
        subscription.commit(offsetOf(reader.cursor))
      ]) {
        const answer = yield* Effect.either(attempt)
        if (Either.isRight(answer) || !(answer.left instanceof SubscriptionTakenOver)) {
          reader.complain(`was taken over and told ${answer}`)
        }
      }
    })

  /** Leaves without committing what it was given last. */
  const leave = (subscription: Subscription) => {
    if (random.chance(0.3)) return beTakenOver(subscription)
    if (!unsubscribes || random.chance(0.7)) return Effect.void
    reader.checkpoint = undefined
    return subscription.unsubscribe
  }

  const stay: Stay = (subscription, deliveries) =>
    Effect.gen(function* () {
      for (let left = deliveries; ; left--) {
        for (const delivery of yield* subscription.deliveries) reader.take(delivery)
        if (pauseTurnsMax > 0) yield* turns(random.below(pauseTurnsMax))
        if (left <= 0 && !world.isEnding()) {
          yield* leave(subscription)
          return false
        }
        if (random.chance(0.2)) {
          const { least } = reader.checkpoint!
          yield* commit(subscription, least + random.below(reader.cursor - least + 1))
        }
        yield* commit(subscription, reader.cursor)
        if (reader.sawEnd) return true
      }
    })

  const credit = () => ({
    creditMessages: 1 + random.below(creditMessagesMax),
    creditBytes: random.pick([64 * 1024, 1024 * 1024, Number.POSITIVE_INFINITY])
  })
  return { reader, run: comeAndGo(world, reader, { turnsAwayMax, credit, stay }) }
}
