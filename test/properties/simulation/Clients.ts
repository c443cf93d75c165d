/** Who uses the broker of a simulation, each in its own way, and holds it to what it promises. */
import { Effect } from "effect"
import { expect } from "vitest"
import type { BrokerUnavailable, PublishRefused, SubscribeOptions } from "../../../src/layers/Broker.ts"
import { offsetOf, SubscriberId } from "../../../src/protocol/Log.ts"
import { numbered, producerId, type Received, receive } from "../../contracts/Broker.messages.ts"
import { pause, type World } from "./World.ts"

/** A text that says whose it is and which, long enough to count. */
export const textOf = (producer: string, sequence: number): string =>
  `${producer}:${sequence}`.padEnd(40, ".")

const chance = ({ random }: World, share: number): boolean => random() < share
const upTo = ({ random }: World, max: number): number => 1 + Math.floor(random() * max)

/** A broker that is gone is waited for; what was on its way is asked for. */
const untilThere = <A, E, R>(world: World, attempt: Effect.Effect<A, E | BrokerUnavailable, R>) =>
  attempt.pipe(
    Effect.tapError(() => pause(world, 300)),
    Effect.retry({
      while: (error: E | BrokerUnavailable) =>
        (error as { readonly _tag?: string })._tag === "BrokerUnavailable"
    })
  )

/** Publishes texts 0 to `count` under sequences of the same number, whatever happens to the broker meanwhile. */
export const producer = (world: World, name: string, count: number) => {
  let acknowledged = 0
  const sitting = Effect.gen(function* () {
    const session = yield* world.broker().hello(producerId(name))
    let next = (session.lastSequence ?? -1) + 1
    expect(next, "what was acknowledged is in the log").toBeGreaterThanOrEqual(acknowledged)
    while (next < count) {
      // Now and then what is in the log already is sent again.
      const first = chance(world, 0.2) ? Math.max(0, next - upTo(world, 3)) : next
      const to = Math.min(count, next + upTo(world, 5))
      const texts = Array.from({ length: to - first }, (_, index) => textOf(name, first + index))
      const { duplicates, firstOffset } = yield* session.publish(numbered(first, texts))
      expect(duplicates).toBe(next - first)
      if (firstOffset !== null) expect(world.appended[firstOffset]).toBe(texts[0])
      acknowledged = next = to
      yield* pause(world)
    }
  })
  return untilThere(world, sitting as Effect.Effect<void, PublishRefused | BrokerUnavailable>)
}

/** How a reader goes about it. */
export interface Manner {
  readonly acks: "below" | "each"
  readonly creditMessages: number
  readonly leavesShare: number
  readonly nackShare: number
}

/** What a reader knows of the messages it was given, over all its sittings. */
interface Memory {
  firstStart: number | undefined
  /** The checkpoint that it was answered last. */
  checkpoint: number
  readonly done: Set<number>
  readonly missed: Set<number>
}

/** A reader with a checkpoint: everything from its start on is done once or told as a gap, however often it is torn away. */
export const reader = (world: World, name: string, manner: Manner, end: number) =>
  Effect.gen(function* () {
    const memory: Memory = { firstStart: undefined, checkpoint: 0, done: new Set(), missed: new Set() }
    while (memory.checkpoint < end) {
      yield* Effect.scoped(sitting(world, name, manner, memory, end)).pipe(
        Effect.catchAll((error) =>
          (error as { readonly _tag: string })._tag === "SubscriptionTakenOver"
            ? pause(world)
            : Effect.fail(error)
        ),
        (sat) => untilThere(world, sat)
      )
      yield* pause(world, 200)
    }
    const { done, missed } = memory
    // A gap that was told to a subscription which ended before it took that is not told again; what it was of is gone.
    const oldest = world.settings.whenFull === "block" ? 0 : yield* world.oldest
    for (let offset = memory.firstStart!; offset < end; offset++) {
      const isKnown = done.has(offset) || missed.has(offset) || offset < oldest
      expect(isKnown, `offset ${offset} was done, quarantined, or told as a gap`).toBe(true)
    }
    if (world.settings.whenFull === "block")
      expect([...missed], "nobody with a checkpoint misses any").toEqual([])
  })

const options = (
  name: string,
  rest: Pick<SubscribeOptions, "resume" | "creditMessages">
): SubscribeOptions => ({
  subscriberId: SubscriberId.make(name),
  from: "earliest",
  creditBytes: 1_000_000,
  ...rest
})

const sitting = (world: World, name: string, manner: Manner, memory: Memory, end: number) =>
  Effect.gen(function* () {
    const { creditMessages } = manner
    const subscription = yield* world.broker().subscribe(options(name, { resume: "always", creditMessages }))
    const { start } = subscription
    memory.firstStart ??= start
    expect(start, "it goes on where it was answered, or further").toBeGreaterThanOrEqual(memory.checkpoint)
    const follow = new Slice(world, start)
    const nacked = new Map<number, number>()
    /** With the reader and not done. */
    let held: ReadonlyArray<number> = []
    const acknowledge = (asked: Effect.Effect<number, unknown>) =>
      Effect.map(Effect.zip(asked, world.oldest), ([checkpoint, oldest]) => {
        expect(checkpoint, "a checkpoint is never lowered").toBeGreaterThanOrEqual(memory.checkpoint)
        // What is told as a gap is done, also where the reader has not come to it yet.
        const reached = Math.max(follow.next, oldest)
        expect(checkpoint, "nor ahead of what is done").toBeLessThanOrEqual(Math.min(reached, ...held))
        memory.checkpoint = checkpoint
      })
    const takeIn = Effect.gen(function* () {
      for (;;) {
        for (const one of yield* receive(subscription)) {
          if ("to" in one) for (const each of yield* follow.gap(one, nacked)) memory.missed.add(each)
          else held = [...held, follow.message(one, nacked)]
        }
        yield* pause(world)
      }
    })
    const workOff = Effect.gen(function* () {
      while (memory.checkpoint < end) {
        yield* pause(world)
        if (chance(world, manner.leavesShare)) return
        const offset = held[Math.floor(world.random() * held.length)]
        if (offset !== undefined) yield* finish(offset)
        // A gap may have been all that was missing: what is done then is committed by acknowledging nothing more.
        else if (chance(world, 0.1)) yield* acknowledge(subscription.ack([]))
      }
    })
    const finish = (offset: number) =>
      Effect.gen(function* () {
        if (manner.acks === "below") {
          const below = chance(world, 0.7) ? follow.next : offset
          for (let each: number = start; each < below; each++) memory.done.add(each)
          held = held.filter((one) => one >= below)
          yield* acknowledge(subscription.commit(offsetOf(below)))
        } else if (chance(world, manner.nackShare)) {
          held = held.filter((one) => one !== offset)
          nacked.set(offset, (nacked.get(offset) ?? 0) + 1)
          if (nacked.get(offset)! > world.settings.redeliveriesMax) memory.done.add(offset)
          yield* acknowledge(subscription.nack(offsetOf(offset)))
        } else {
          held = held.filter((one) => one !== offset)
          memory.done.add(offset)
          yield* acknowledge(subscription.ack([offsetOf(offset)]))
        }
      })
    yield* Effect.raceFirst(takeIn, workOff)
  })

/** The slice of the log that a subscription is given: contiguous but for gaps, and for what comes again. */
class Slice {
  next: number
  constructor(
    private readonly world: World,
    start: number
  ) {
    this.next = start
  }

  message(
    { offset, text }: Extract<Received, { text: string }>,
    nacked: ReadonlyMap<number, number>
  ): number {
    expect(text, "an offset holds what was appended there").toBe(this.world.appended[offset])
    if (offset === this.next) this.next++
    else {
      expect(offset, "only what came before comes again").toBeLessThan(this.next)
      const refusals = nacked.get(offset) ?? 0
      expect(refusals, "what comes again was refused").toBeGreaterThan(0)
      expect(refusals, "and not too often").toBeLessThanOrEqual(this.world.settings.redeliveriesMax)
    }
    return offset
  }

  /** The offsets that are missed. */
  gap(
    { from, to }: Extract<Received, { to: number }>,
    nacked: ReadonlyMap<number, number>
  ): Effect.Effect<ReadonlyArray<number>> {
    return Effect.map(this.world.oldest, (oldest) => {
      expect(to, "a gap is of what was dropped").toBeLessThanOrEqual(oldest)
      if (from === this.next) this.next = to
      else expect([to - from, nacked.has(from)], "or of one that was to come again").toEqual([1, true])
      return Array.from({ length: to - from }, (_, index) => from + index)
    })
  }
}

/** One without a checkpoint that reads to the end in one go, or is torn away and starts where it was. */
export const onlooker = (world: World, name: string, creditMessages: number, end: number) => {
  const sitting = Effect.gen(function* () {
    const subscription = yield* world.broker().subscribe(options(name, { resume: "never", creditMessages }))
    const follow = new Slice(world, subscription.start)
    while (follow.next < end) {
      for (const one of yield* receive(subscription)) {
        if ("to" in one) yield* follow.gap(one, new Map())
        else follow.message(one, new Map())
      }
      yield* pause(world, 100)
      // Its first commit makes it a checkpoint, as of a subscriber without one that acknowledges.
      yield* subscription.commit(offsetOf(follow.next))
    }
  })
  return untilThere(world, Effect.scoped(sitting))
}

/** Takes subscriptions over, reads a little, does nothing about it, and leaves. */
export const thief = (world: World, names: ReadonlyArray<string>, times: number) =>
  Effect.gen(function* () {
    for (let time = 0; time < times; time++) {
      yield* pause(world, 2_000)
      const name = names[Math.floor(world.random() * names.length)]!
      const theft = Effect.gen(function* () {
        yield* world.broker().subscribe(options(name, { resume: "if_known", creditMessages: 3 }))
        yield* pause(world, 100)
      })
      yield* untilThere(world, Effect.scoped(theft))
    }
  })
