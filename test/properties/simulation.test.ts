/**
 * Everything at once, in any order: publishes, subscriptions, commits, acks, nacks, retention, takeovers, and a process that
 * dies and comes back, under a scheduler that a seed decides. What a failure prints (`FC_SEED=… npx vitest run …`) replays
 * it, to the last interleaving; `SIMULATIONS=2000` looks for longer.
 */
import { expect, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { turn } from "../contracts/Broker.messages.ts"
import { onlooker, producer, reader, textOf, thief } from "./simulation/Clients.ts"
import { explore, makeRandom } from "./simulation/SeededScheduler.ts"
import { makeWorld, settings } from "./simulation/World.ts"

const manner = FastCheck.record({
  acks: FastCheck.constantFrom("below" as const, "each" as const),
  creditMessages: FastCheck.constantFrom(1, 3, 30),
  leavesShare: FastCheck.constantFrom(0, 0.02),
  nackShare: FastCheck.constantFrom(0, 0.15)
})

const scenario = FastCheck.record({
  seed: FastCheck.nat(),
  settings,
  counts: FastCheck.array(FastCheck.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 3 }),
  readers: FastCheck.array(manner, { minLength: 1, maxLength: 3 }),
  onlookers: FastCheck.array(FastCheck.constantFrom(1, 5), { maxLength: 1 }),
  thefts: FastCheck.nat(2)
})

const simulations = Number(process.env.SIMULATIONS ?? 60)

it.effect.prop(
  "nothing is lost, doubled or reordered but what is told, and nobody waits for ever",
  { scenario },
  ({ scenario: { seed, settings, counts, readers, onlookers, thefts } }) => {
    const random = makeRandom(seed + 1)
    const end = counts.reduce((sum, count) => sum + count, 0)
    const all = { concurrency: "unbounded", discard: true } as const
    const program = Effect.gen(function* () {
      const world = yield* makeWorld(settings, random)
      const names = readers.map((_, index) => `reader-${index}`)
      yield* Effect.all(
        [
          ...counts.map((count, index) => producer(world, `p${index}`, count)),
          ...readers.map((manner, index) => reader(world, names[index]!, manner, end)),
          ...onlookers.map((credit, index) => onlooker(world, `onlooker-${index}`, credit, end)),
          thief(world, names, thefts)
        ],
        all
      )
      expect(world.appended.length, "each is appended once").toBe(end)
      for (const [index, count] of counts.entries()) {
        const own = world.appended.filter((text) => text.startsWith(`p${index}:`))
        expect(own, "in its producer's order").toEqual(
          Array.from({ length: count }, (_, sequence) => textOf(`p${index}`, sequence))
        )
      }
    })
    return Effect.flatMap(turn, () => explore(seed, program))
  },
  { fastCheck: { numRuns: simulations }, timeout: 60_000 + simulations * 1_000 }
)
