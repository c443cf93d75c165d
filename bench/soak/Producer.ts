/**
 * A producer at full speed that starts again and again: it says hello, sends some of what is in the log once more, and
 * goes on, with many publishes under way; sometimes it leaves them unanswered.
 */
import { Cause, Effect, Exit, Fiber, Option } from "effect"
import { type BrokerUnavailable, type ProducerSession, PublishRefused } from "../../src/layers/Broker.ts"
import { rememberedSequencesMin } from "../../src/protocol/Limits.ts"
import { ProducerId, SourcePosition, sequenceOf } from "../../src/protocol/Log.ts"
import { idOf, payloadsOf } from "./Payload.ts"
import type { World } from "./World.ts"

const batchSizes = [1, 1, 10, 100, 100, 500]
const windowMax = 16
const batchesPerSessionMax = 200
const resentMax = 400

export interface Producer {
  readonly producerId: ProducerId
  /** Publishes until the soak is ending, and all of it is acknowledged. */
  readonly run: Effect.Effect<void, BrokerUnavailable | PublishRefused>
  /** The last sequence that was acknowledged. */
  readonly acknowledged: () => number
}

interface Sent {
  readonly first: number
  readonly count: number
  /** How far the first is behind what was in the log when the session began; 0 where it is not. */
  readonly behind: number
}

export const make = (world: World, producer: number): Producer => {
  const name = `producer ${producer}`
  const producerId = ProducerId.make(name)
  const random = world.random(name)
  const complain = (problem: string) => world.complain(`${name} ${problem}`)
  let acknowledged = -1
  let sentTo = -1

  const send = (session: ProducerSession, { first, count }: Sent) =>
    session.publish({
      firstSequence: sequenceOf(first),
      payloads: payloadsOf(producer, first, count),
      positions: Array.from({ length: count }, (_, index) => SourcePosition.make(`at ${first + index}`))
    })

  /** Publishes and holds the receipt against what it has to be. */
  const publish = (session: ProducerSession, sent: Sent) =>
    Effect.map(send(session, sent), ({ duplicates, firstOffset }) => {
      const { first, count, behind } = sent
      const known = Math.min(count, behind)
      if (duplicates !== known) complain(`sent ${first}+${count}: ${duplicates} duplicates, not ${known}`)
      if (firstOffset === null) {
        if (behind <= rememberedSequencesMin) complain(`sent ${first}+${count}: got no offset`)
      } else {
        // Behind duplicates others may stand in the log before what is new.
        const certain = known === 0 ? count : 1
        for (let index = 0; index < certain; index++) {
          if (!world.ledger.note(firstOffset + index, idOf(producer, first + index))) {
            complain(`sent ${first + index}, got offset ${firstOffset + index}, which holds something else`)
          }
        }
      }
      acknowledged = Math.max(acknowledged, first + count - 1)
      world.figures.published += count - duplicates
      world.figures.duplicates += duplicates
    })

  /** What a publish that must not be accepted is refused for. */
  const refusedFor = (session: ProducerSession, first: number, reason: PublishRefused["reason"]) =>
    Effect.map(Effect.exit(send(session, { first, count: 1, behind: 0 })), (exit) => {
      const isRefused = Exit.isFailure(exit) && refusalOf(exit)?.reason === reason
      if (!isRefused) complain(`sent ${first} and was not refused as ${reason}`)
    })

  const hello = Effect.map(world.broker.hello(producerId), (session) => {
    world.figures.hellos++
    const last = session.lastSequence ?? -1
    if (last < acknowledged || last > sentTo) {
      complain(`was told ${last} by hello, of ${sentTo} sent and ${acknowledged} acknowledged`)
    }
    if (last >= 0 && session.lastPosition !== `at ${last}`)
      complain(`was told position ${session.lastPosition}`)
    return { session, last }
  })

  /** Publishes for a while; answers what is left without an answer, which is nothing where it ends in order. */
  const publishSome = (session: ProducerSession, last: number) =>
    Effect.gen(function* () {
      const underWay: Array<Fiber.RuntimeFiber<void, PublishRefused | BrokerUnavailable>> = []
      let next = Math.max(0, last + 1 - random.below(resentMax))
      let batchesLeft = 1 + random.below(batchesPerSessionMax)
      const window = 1 + random.below(windowMax)
      while (batchesLeft-- > 0 && !world.isEnding()) {
        const count = random.pick(batchSizes)
        const behind = Math.max(0, last + 1 - next)
        underWay.push(yield* Effect.fork(publish(session, { first: next, count, behind })))
        next += count
        sentTo = Math.max(sentTo, next - 1)
        if (underWay.length >= window) yield* Fiber.join(underWay.shift()!)
      }
      if (!world.isEnding() && random.chance(0.5)) return underWay
      yield* Fiber.joinAll(underWay)
      return []
    })

  /** Each was in the log before another session said hello, or was refused. */
  const settled = (fiber: Fiber.RuntimeFiber<void, PublishRefused | BrokerUnavailable>) =>
    Effect.flatMap(Fiber.await(fiber), (exit) => {
      if (Exit.isSuccess(exit) || Exit.isInterrupted(exit) || refusalOf(exit)?.reason === "fenced")
        return Effect.void
      return exit
    })

  const run = Effect.gen(function* () {
    while (!world.isEnding()) {
      const { session, last } = yield* hello
      if (last >= 0 && random.chance(0.2)) yield* refusedFor(session, last + 2, "sequence_gap")
      const unanswered = yield* publishSome(session, last)
      if (unanswered.length === 0) continue
      if (random.chance(0.5)) yield* Fiber.interruptAll(unanswered)
      const twin = yield* hello
      yield* refusedFor(session, twin.last + 1, "fenced")
      yield* Effect.forEach(unanswered, settled, { discard: true })
      if (acknowledged > twin.last)
        complain(`got an answer for ${acknowledged} behind the ${twin.last} of hello`)
    }
    // What was left unanswered may be in the log all the same.
    acknowledged = (yield* hello).last
  }).pipe(Effect.scoped)

  return { producerId, run, acknowledged: () => acknowledged }
}

const refusalOf = (exit: Exit.Failure<unknown, unknown>): PublishRefused | undefined => {
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  return error instanceof PublishRefused ? error : undefined
}
