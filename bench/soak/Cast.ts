/** Who is around the broker of a soak, from the first publish until everyone has read the last message. */
import { Effect, Fiber } from "effect"
import { ProducerId, sequenceOf } from "../../src/protocol/Log.ts"
import { makeAcknowledger } from "./Acknowledger.ts"
import { makeFollower, type SubscriberOptions } from "./Follower.ts"
import { payloadsOf } from "./Payload.ts"
import * as Producer from "./Producer.ts"
import { makeVisitor } from "./Visitor.ts"
import { turns, type WhenFull, type World } from "./World.ts"

const producerCount = 3
const visitorCount = 3
const turnsBetweenEndings = 20

type Pace = Omit<SubscriberOptions, "unsubscribes">

interface Subscribers {
  /** Those that unsubscribe at times come after the others. */
  readonly faithful: ReadonlyArray<Pace>
  readonly fickle: ReadonlyArray<Pace>
  /** How many messages each acknowledges together at most, and how slow it is. */
  readonly acknowledgers: ReadonlyArray<{ readonly groupMax: number; readonly pauseTurnsMax: number }>
}

/** Where the log waits nobody is slow all the time, or everyone would be; where it does not, some are overtaken. */
const subscribersOf: Readonly<Record<WhenFull, Subscribers>> = {
  block: {
    faithful: [
      { pauseTurnsMax: 0, turnsAwayMax: 0 },
      { pauseTurnsMax: 0, turnsAwayMax: 600 },
      { pauseTurnsMax: 3, turnsAwayMax: 0 }
    ],
    fickle: [{ pauseTurnsMax: 0, turnsAwayMax: 0 }],
    acknowledgers: [
      { groupMax: 64, pauseTurnsMax: 0 },
      { groupMax: 1_000, pauseTurnsMax: 2 }
    ]
  },
  drop_oldest: {
    faithful: [
      { pauseTurnsMax: 0, turnsAwayMax: 0 },
      { pauseTurnsMax: 60, turnsAwayMax: 100 }
    ],
    fickle: [{ pauseTurnsMax: 20, turnsAwayMax: 100 }],
    acknowledgers: [
      { groupMax: 1_000, pauseTurnsMax: 0 },
      { groupMax: 1, pauseTurnsMax: 0 },
      { groupMax: 64, pauseTurnsMax: 30 }
    ]
  }
}

const castOf = (world: World) => {
  const { faithful, fickle, acknowledgers } = subscribersOf[world.whenFull]
  return {
    producers: Array.from({ length: producerCount }, (_, index) => Producer.make(world, index)),
    faithful: faithful.map((pace, index) =>
      makeFollower(world, `follower ${index}`, { ...pace, unsubscribes: false })
    ),
    fickle: fickle.map((pace, index) =>
      makeFollower(world, `fickle follower ${index}`, { ...pace, unsubscribes: true })
    ),
    acknowledgers: acknowledgers.map((options, index) =>
      makeAcknowledger(world, `acknowledger ${index}`, options)
    ),
    visitors: Array.from({ length: visitorCount }, (_, index) => makeVisitor(world, `visitor ${index}`))
  }
}
type Cast = ReturnType<typeof castOf>

/** Publishes again and again that it is over: whoever waits for a message gets one. */
const tellEnd = (world: World) =>
  Effect.gen(function* () {
    const session = yield* world.broker.hello(ProducerId.make("ending"))
    for (let sequence = 0; ; sequence++) {
      yield* session.publish({
        firstSequence: sequenceOf(sequence),
        payloads: payloadsOf(world.endingProducer, sequence, 1),
        positions: [null]
      })
      yield* turns(turnsBetweenEndings)
    }
  })

/** What has to be so when all have read to the end. */
const checkEnd = (world: World, { producers, faithful, acknowledgers, fickle }: Cast) =>
  Effect.gen(function* () {
    const { whenFull, broker, rejects, complain } = world
    const readers = [...faithful, ...acknowledgers].map(({ reader }) => reader)
    for (const [index, { acknowledged }] of producers.entries()) {
      for (const reader of readers.filter(({ isWhole }) => isWhole)) {
        const last = reader.lastOf(index)
        if (last !== acknowledged())
          reader.complain(`saw ${last} last of producer ${index}, not ${acknowledged()}`)
      }
    }
    for (const reader of readers) {
      if (whenFull === "block" && !reader.isWhole) reader.complain("did not see everything")
    }
    const stats = yield* broker.stats
    for (const { reader } of [...faithful, ...fickle, ...acknowledgers]) {
      const kept = stats.checkpoints.find(({ subscriberId }) => subscriberId === reader.name)?.offset
      if (kept === undefined) reader.complain("has no checkpoint at the end")
      else if (kept < reader.checkpoint!.least || kept > reader.checkpoint!.most) {
        reader.complain(`has a checkpoint at ${kept}, which was answered as ${reader.checkpoint!.least}`)
      }
    }
    if (stats.subscribers.length > 0)
      complain(`${stats.subscribers.length} subscriptions are open, and nobody is there`)
    if (stats.waitingRecords > 0) complain(`${stats.waitingRecords} records wait, and nobody publishes`)
    if (stats.gaps.messages < world.figures.missed)
      complain(`counts ${stats.gaps.messages} missed messages, too few`)
    const counted = (yield* rejects.byReason).find(({ reason }) => reason === "nacked")?.count ?? 0
    const least = acknowledgers.reduce((sum, { quarantined }) => sum + quarantined().least, 0)
    const most = acknowledgers.reduce((sum, { quarantined }) => sum + quarantined().most, 0)
    if (counted < least || counted > most) complain(`counts ${counted} quarantined, of ${least} to ${most}`)
  })

/** Runs until it is time to end and everyone has read everything that was published. */
export const play = (world: World) =>
  Effect.scoped(
    Effect.gen(function* () {
      const cast = castOf(world)
      const { producers, faithful, fickle, acknowledgers, visitors } = cast
      const together = { concurrency: "unbounded", discard: true } as const
      const reading = yield* Effect.forkScoped(
        Effect.forEach([...faithful, ...fickle, ...acknowledgers, ...visitors], ({ run }) => run, together)
      )
      yield* Effect.forEach(producers, ({ run }) => run, together)
      const ending = yield* Effect.forkScoped(tellEnd(world))
      yield* Fiber.join(reading)
      yield* Fiber.interrupt(ending)
      yield* checkEnd(world, cast)
    })
  )
