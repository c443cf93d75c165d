/**
 * A subscriber that acknowledges in groups and one by one, out of order, and refuses some messages: most of them once,
 * some each time they come, until they are quarantined. It holds every answer against what it knows is not done.
 */
import { Effect } from "effect"
import type { Subscription } from "../../src/layers/Broker.ts"
import { offsetOf } from "../../src/protocol/Log.ts"
import { comeAndGo, type Subscriber } from "./Follower.ts"
import { isPoison, type MessageId } from "./Payload.ts"
import { Reader } from "./Reader.ts"
import { redeliveriesMax, turns, type World } from "./World.ts"

export interface Acknowledger extends Subscriber {
  /** Messages whose last refusal was answered, and those for which it was only asked: it may have been cut off. */
  readonly quarantined: () => { readonly least: number; readonly most: number }
}

const refusedShare = 1 / 300
/** Of what was taken, the share that is left for the next time, and how much that is at most: it takes credit. */
const heldShare = 1 / 20
const heldMax = 16
const creditMessagesMin = 2 * heldMax
/** Of what it acknowledges at a time, so that whoever does so one by one comes to an end of what it was given. */
const creditGroups = 40

export const makeAcknowledger = (
  world: World,
  name: string,
  { groupMax, pauseTurnsMax }: { readonly groupMax: number; readonly pauseTurnsMax: number }
): Acknowledger => {
  const random = world.random(name)
  const mayMiss = world.whenFull === "drop_oldest"
  const reader = new Reader(world, name, mayMiss)
  const quarantined = { least: 0, most: 0 }
  /** What it was given and is not done, wherever it is. */
  const outstanding = new Set<number>()
  const refusals = new Map<number, number>()
  /** What is here to be dealt with. */
  let here: Array<{ readonly offset: number; readonly id: MessageId }> = []

  /** The offset below which all is done. It may be further where a gap is told that has not been taken yet. */
  const doneBelow = (): number => {
    let least = reader.cursor
    for (const offset of outstanding) if (offset < least) least = offset
    return least
  }
  const listener = {
    onMessage: (offset: number, id: MessageId) => {
      outstanding.add(offset)
      here.push({ offset, id })
    },
    onMissing: (offset: number) => outstanding.delete(offset)
  }

  const committing = (): number => {
    const expected = doneBelow()
    reader.committing(mayMiss ? Number.POSITIVE_INFINITY : expected)
    return expected
  }

  const acknowledge = (subscription: Subscription, offsets: ReadonlyArray<number>) => {
    for (const offset of offsets) outstanding.delete(offset)
    const expected = committing()
    return Effect.map(subscription.ack(offsets.map(offsetOf)), (checkpoint) => {
      if (mayMiss ? checkpoint < expected : checkpoint !== expected) {
        reader.complain(`acknowledged all below ${expected}, the checkpoint became ${checkpoint}`)
      }
      reader.committed(checkpoint)
    })
  }

  const refuse = (subscription: Subscription, offset: number) => {
    const refusedBefore = refusals.get(offset) ?? 0
    const isLast = refusedBefore >= redeliveriesMax
    if (isLast) {
      outstanding.delete(offset)
      refusals.delete(offset)
      quarantined.most++
    } else {
      refusals.set(offset, refusedBefore + 1)
      reader.awaited.add(offset)
    }
    const expected = committing()
    return Effect.map(subscription.nack(offsetOf(offset)), () => {
      if (!mayMiss) reader.committed(expected)
      if (!isLast) return
      quarantined.least++
      world.figures.quarantined++
    })
  }

  const isRefused = (offset: number, id: MessageId): boolean =>
    isPoison(id) || (!refusals.has(offset) && !world.isEnding() && random.chance(refusedShare))

  const dealWith = (subscription: Subscription) =>
    Effect.gen(function* () {
      const held: typeof here = []
      // Only where there certainly is a next time: a full log waits for what is held.
      const { nextOffset } = yield* world.broker.stats
      const mayHold = !world.isEnding() && nextOffset > reader.cursor
      let group: Array<number> = []
      let groupSize = 1 + random.below(groupMax)
      for (const message of random.shuffle(here)) {
        if (mayHold && held.length < heldMax && random.chance(heldShare)) held.push(message)
        else if (isRefused(message.offset, message.id)) yield* refuse(subscription, message.offset)
        else {
          refusals.delete(message.offset)
          group.push(message.offset)
        }
        if (group.length < groupSize) continue
        yield* acknowledge(subscription, group)
        group = []
        groupSize = 1 + random.below(groupMax)
      }
      if (group.length > 0) yield* acknowledge(subscription, group)
      here = held
    })

  // What is held keeps the bytes of all it came with.
  const credit = () => ({
    creditMessages: creditMessagesMin + random.below(creditGroups * groupMax),
    creditBytes: Number.POSITIVE_INFINITY
  })
  const stay = (subscription: Subscription, deliveries: number) =>
    Effect.gen(function* () {
      outstanding.clear()
      refusals.clear()
      here = []
      for (let left = deliveries; left > 0 || world.isEnding(); left--) {
        for (const delivery of yield* subscription.deliveries) reader.take(delivery, listener)
        if (pauseTurnsMax > 0) yield* turns(random.below(pauseTurnsMax))
        yield* dealWith(subscription)
        if (reader.sawEnd && outstanding.size === 0) return true
      }
      return false
    })
  const run = comeAndGo(world, reader, { turnsAwayMax: 0, credit, stay })

  return { reader, run, quarantined: () => quarantined }
}
