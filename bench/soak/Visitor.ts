/** A subscriber without a checkpoint that comes, reads on from anywhere, and goes; the log waits for it never. */
import { Effect } from "effect"
import type { BrokerUnavailable, SubscribeRefused, SubscriptionTakenOver } from "../../src/layers/Broker.ts"
import { offsetOf, type StartFrom, SubscriberId } from "../../src/protocol/Log.ts"
import { Reader } from "./Reader.ts"
import { turns, type World } from "./World.ts"

const deliveriesPerVisitMax = 50
const turnsAwayMax = 10

export interface Visitor {
  /** Comes and goes until the end of everything. */
  readonly run: Effect.Effect<void, SubscribeRefused | SubscriptionTakenOver | BrokerUnavailable>
}

export const makeVisitor = (world: World, name: string): Visitor => {
  const random = world.random(name)

  const anywhere = Effect.map(world.broker.stats, ({ oldestOffset, nextOffset }): StartFrom => {
    const offset = offsetOf(oldestOffset + random.below(nextOffset - oldestOffset + 1))
    return random.pick(["earliest", "latest", offset])
  })

  const visit = Effect.scoped(
    Effect.gen(function* () {
      const from = yield* anywhere
      const { start, clamped, deliveries } = yield* world.broker.subscribe({
        subscriberId: SubscriberId.make(name),
        from,
        resume: "never",
        // Its credit never comes back: it commits nothing.
        creditMessages: Number.POSITIVE_INFINITY,
        creditBytes: Number.POSITIVE_INFINITY
      })
      world.figures.subscriptions++
      const reader = new Reader(world, name, true)
      reader.begin(start)
      if (typeof from === "number" && clamped !== (start !== from)) {
        reader.complain(`asked for ${from}, got ${start}, clamped: ${clamped}`)
      }
      for (let left = 1 + random.below(deliveriesPerVisitMax); left > 0 && !world.isEnding(); left--) {
        for (const delivery of yield* deliveries) reader.take(delivery)
      }
    })
  )

  const run = Effect.gen(function* () {
    while (!world.isEnding()) {
      yield* visit
      yield* turns(random.below(turnsAwayMax))
    }
  })
  return { run }
}
