/** A log that is far too small for what goes through it: publishing waits, nobody waits for ever, nothing is lost unseen. */
import { expect, it } from "@effect/vitest"
import { Context, Effect, FastCheck, Layer } from "effect"
import { Broker, type Subscription } from "../../src/layers/Broker.ts"
import { BrokerConfig, layerEmbedded } from "../../src/layers/broker/embedded.ts"
import * as MemoryJournal from "../../src/layers/journal/memory.ts"
import { OffsetLog } from "../../src/layers/OffsetLog.ts"
import * as MemoryLog from "../../src/layers/offset-log/memory.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import {
  commit,
  endOf,
  hello,
  messages,
  numbered,
  publish,
  type Received,
  receive,
  subscribe,
  textOf,
  turn
} from "../contracts/Broker.messages.ts"
import { scheduled, turns } from "./Turns.ts"

const numRuns = 50
/** Turns of the event loop in which nothing was appended, delivered or committed: nobody can go on any more. */
const idleTurnsMax = 300
/** A small record with what the log keeps beside it. */
const recordBytes = 200
/** What surrounds a payload at most: header, bookkeeping, position. */
const aroundBytes = 160

const sizing = FastCheck.record({
  retentionRecords: FastCheck.integer({ min: 4, max: 16 }),
  /** Up to one segment that is the whole log. */
  segmentRecords: FastCheck.integer({ min: 1, max: 16 })
})

const size = FastCheck.oneof(
  { weight: 12, arbitrary: FastCheck.constant("small" as const) },
  { weight: 2, arbitrary: FastCheck.constant("half" as const) },
  { weight: 2, arbitrary: FastCheck.constant("whole" as const) },
  { weight: 1, arbitrary: FastCheck.constant("too large" as const) }
)
type Size = typeof size extends FastCheck.Arbitrary<infer A> ? A : never

const publisher = FastCheck.record({
  isProducer: FastCheck.boolean(),
  pauseTurns: FastCheck.nat(3),
  groups: FastCheck.array(FastCheck.array(size, { minLength: 1, maxLength: 6 }), {
    minLength: 1,
    maxLength: 6
  })
})
type Publisher = typeof publisher extends FastCheck.Arbitrary<infer A> ? A : never

/** How a subscriber with a checkpoint goes about it; in the end it commits all that it got. */
const committer = FastCheck.record({
  joinsAfterTurns: FastCheck.nat(10),
  creditMessages: FastCheck.integer({ min: 1, max: 12 }),
  /** Turns that it does nothing for, between one delivery and the next. */
  pauseTurns: FastCheck.nat(4),
  /** How many of its last messages it holds back, one entry per delivery, over and over. */
  heldBack: FastCheck.array(FastCheck.nat(3), { minLength: 1, maxLength: 6 }),
  /** Deliveries after which it leaves, to come back for what it has not committed. */
  leavesAfter: FastCheck.constantFrom(1, 3, 1_000)
})
type Committer = typeof committer extends FastCheck.Arbitrary<infer A> ? A : never

/** One without a checkpoint that never commits, or only after it was stalled for long: then it has one from there on. */
const onlooker = FastCheck.record({
  joinsAfterTurns: FastCheck.nat(10),
  creditMessages: FastCheck.option(FastCheck.integer({ min: 1, max: 3 })),
  stalledTurns: FastCheck.nat(40)
})
type Onlooker = typeof onlooker extends FastCheck.Arbitrary<infer A> ? A : never

/** All that was ever appended, and signs of life. */
interface Witness {
  readonly retentionBytes: number
  readonly appended: Array<string>
  bytesMax: number
  steps: number
}

/** A log that tells a witness what it was given, and how large it has been. */
const witnessed = (log: OffsetLog["Type"], witness: Witness): OffsetLog["Type"] => ({
  ...log,
  append: (runs) =>
    Effect.zipRight(
      log.append(runs),
      Effect.map(log.bounds, ({ bytes }) => {
        witness.appended.push(...runs.flatMap(({ payloads }) => payloads.map(textOf)))
        witness.bytesMax = Math.max(witness.bytesMax, bytes)
        witness.steps++
      })
    )
})

const layerOver = (witness: Witness, segmentBytes: number) => {
  const memoryLog = MemoryLog.layerMemory.pipe(
    Layer.provide(MemoryLog.MemoryLogConfig.layer({ segmentBytes }))
  )
  const log = Layer.map(memoryLog, (built) =>
    Context.make(OffsetLog, witnessed(Context.get(built, OffsetLog), witness))
  )
  const config = BrokerConfig.layer({ retentionBytes: witness.retentionBytes })
  return Layer.provide(layerEmbedded, Layer.mergeAll(log, MemoryJournal.layerMemory, config, Rejects.layer))
}

const bytesOf = (size: Size, { retentionBytes }: Witness): number =>
  ({
    small: 1,
    half: Math.floor(retentionBytes / 2) - aroundBytes,
    whole: retentionBytes - aroundBytes,
    "too large": retentionBytes + 1
  })[size]

/** What of a group is appended: all before the first record that no log could hold. */
const fitting = <A>(group: ReadonlyArray<A>, sizeOf: (record: A) => Size): ReadonlyArray<A> => {
  const first = group.findIndex((record) => sizeOf(record) === "too large")
  return first === -1 ? group : group.slice(0, first)
}

/** Publishes its groups one after the other; answers the texts that must be in the log, as its receipts say where. */
const run = ({ isProducer, pauseTurns, groups }: Publisher, name: string, witness: Witness) =>
  Effect.gen(function* () {
    const session = isProducer ? yield* hello(name) : undefined
    const texts: Array<string> = []
    let count = 0
    for (const group of groups) {
      const records = group.map((size) => ({
        size,
        text: `${name} ${count++} `.padEnd(bytesOf(size, witness), ".")
      }))
      const all = records.map(({ text }) => text)
      const taken = fitting(records, ({ size }) => size).map(({ text }) => text)
      const publishing = session?.publish(numbered(texts.length, all)) ?? publish(...all)
      if (taken.length < all.length) {
        expect(yield* Effect.flip(publishing)).toMatchObject({ reason: "too_large" })
      } else {
        const { duplicates, firstOffset } = yield* publishing
        expect([duplicates, witness.appended[firstOffset!]], "a receipt says where").toEqual([0, taken[0]])
      }
      texts.push(...taken)
      yield* turns(pauseTurns)
    }
    return texts
  })

/** Reads to the end in as many sittings as it takes, and commits all of it. */
const followWithCheckpoint = (behaviour: Committer, name: string, end: number, witness: Witness) =>
  Effect.gen(function* () {
    const { joinsAfterTurns, creditMessages, pauseTurns, heldBack, leavesAfter } = behaviour
    yield* turns(joinsAfterTurns)
    let deliveries = 0
    let committed = -1
    /** It holds something back from here once; the next time it commits all. */
    let heldFrom = -1
    const sitting = Effect.gen(function* () {
      const subscription = yield* subscribe(name, { resume: "always", creditMessages })
      if (committed === -1) committed = subscription.start
      expect(subscription.start, "it goes on where it committed").toBe(committed)
      const received: Array<Received> = []
      while (committed < end) {
        if (committed === endOf(received, subscription.start))
          received.push(...(yield* receive(subscription)))
        // What is there is shown before it is committed: only then may it be dropped.
        expectContiguous(received, subscription.start, witness)
        yield* turns(pauseTurns)
        const back = heldBack[deliveries++ % heldBack.length]!
        const reached = endOf(received, subscription.start)
        const below = yield* commit(
          subscription,
          reached > heldFrom ? Math.max(committed, reached - back) : reached
        )
        heldFrom = reached
        if (below > committed) witness.steps++
        committed = below
        if (deliveries % leavesAfter === 0) return
      }
    })
    do yield* Effect.scoped(sitting)
    while (committed < end)
  })

const expectContiguous = (received: ReadonlyArray<Received>, start: number, { appended }: Witness) =>
  expect(received, "contiguous, and no gap").toEqual(
    messages(start, ...appended.slice(start, endOf(received, start)))
  )

/** Reads to the end, commits nothing before it was stalled, and after that everything. */
const followWithout = (behaviour: Onlooker, name: string, end: number, witness: Witness) =>
  Effect.gen(function* () {
    const { joinsAfterTurns, creditMessages, stalledTurns } = behaviour
    yield* turns(joinsAfterTurns)
    const broker = yield* Broker
    const subscription = yield* subscribe(name, creditMessages === null ? {} : { creditMessages })
    const received: Array<Received> = []
    /** Where the log began when its first commit was answered: nothing behind that is dropped any more. */
    let keptFrom: number | undefined
    while (endOf(received, subscription.start) < end) {
      received.push(...(yield* receive(subscription)))
      witness.steps++
      if (creditMessages === null) continue
      if (keptFrom === undefined) yield* turns(stalledTurns)
      yield* commit(subscription, endOf(received, subscription.start))
      keptFrom ??= (yield* broker.stats).oldestOffset
    }
    return { subscription, received, keptFrom }
  })

/** Every message in its place, and between two that are not side by side exactly one gap, of what is gone. */
const expectToldOfGaps = (
  received: ReadonlyArray<Received>,
  subscription: Subscription,
  oldest: number,
  { appended }: Witness
) => {
  let next: number = subscription.start
  for (const one of received) {
    if ("to" in one) {
      expect(one.from, "a gap begins where the last message ended").toBe(next)
      expect(one.to).toBeGreaterThan(next)
      expect(one.to, "a gap is of what was dropped").toBeLessThanOrEqual(oldest)
      next = one.to
    } else {
      expect(one).toEqual({ offset: next, text: appended[next] })
      next++
    }
  }
  expect(next).toBe(appended.length)
}

/** Notes how large the log says it is, and fails where nothing has happened for so long that nothing will. */
const watch = (witness: Witness) =>
  Effect.gen(function* () {
    const broker = yield* Broker
    let steps = -1
    for (let idleTurns = 0; idleTurns < idleTurnsMax; idleTurns++) {
      witness.bytesMax = Math.max(witness.bytesMax, (yield* broker.stats).logBytes)
      if (steps !== witness.steps) idleTurns = 0
      steps = witness.steps
      yield* turn
    }
    const stuck = yield* broker.stats
    return yield* Effect.dieMessage(`nobody can go on: ${JSON.stringify(stuck)}`)
  })

it.scoped.prop(
  "publishing waits for room and never for ever, checkpoints lose nothing, and the others are told each gap",
  {
    sizing,
    publishers: FastCheck.array(publisher, { minLength: 1, maxLength: 4 }),
    committers: FastCheck.array(committer, { maxLength: 3 }),
    onlookers: FastCheck.array(onlooker, { maxLength: 3 })
  },
  ({ sizing: { retentionRecords, segmentRecords }, publishers, committers, onlookers }) => {
    const retentionBytes = retentionRecords * recordBytes
    const witness: Witness = { retentionBytes, appended: [], bytesMax: 0, steps: 0 }
    const end = publishers
      .flatMap(({ groups }) => groups)
      .reduce((sum, group) => sum + fitting(group, (size) => size).length, 0)
    const all = { concurrency: "unbounded" } as const
    const everybody = Effect.all(
      {
        published: Effect.forEach(publishers, (one, index) => run(one, `p${index}`, witness), all),
        committed: Effect.forEach(
          committers,
          (one, index) => followWithCheckpoint(one, `c${index}`, end, witness),
          all
        ),
        watched: Effect.forEach(onlookers, (one, index) => followWithout(one, `o${index}`, end, witness), all)
      },
      all
    )
    return Effect.gen(function* () {
      const { published, watched } = yield* Effect.raceFirst(everybody, watch(witness))
      const { appended, bytesMax } = witness
      expect(bytesMax, "the log is never larger than its retention").toBeLessThanOrEqual(retentionBytes)
      expect([...appended].sort(), "each is appended once").toEqual(published.flat().sort())
      for (const [index, texts] of published.entries()) {
        const own = appended.filter((text) => text.startsWith(`p${index} `))
        expect(own, "a publisher's records are in its order").toEqual(texts)
      }
      const { oldestOffset, nextOffset, waitingRecords } = yield* (yield* Broker).stats
      expect([nextOffset, waitingRecords]).toEqual([end, 0])
      for (const { subscription, received, keptFrom } of watched) {
        expectToldOfGaps(received, subscription, keptFrom ?? oldestOffset, witness)
      }
    }).pipe(Effect.provide(layerOver(witness, segmentRecords * recordBytes)), scheduled)
  },
  { fastCheck: { numRuns } }
)
