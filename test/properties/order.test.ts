/** Offsets are assigned once, dense and in append order, and first deliveries are a contiguous slice of the log. */
import { expect, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { Broker, type PublishReceipt } from "../../src/layers/Broker.ts"
import { offsetOf, type StartFrom } from "../../src/protocol/Log.ts"
import {
  commit,
  endOf,
  hello,
  messages,
  numbered,
  publish,
  type Received,
  receive,
  subscribe
} from "../contracts/Broker.messages.ts"
import { layerOnMemory } from "../layers/broker/Ground.ts"
import { layerServed } from "../layers/broker/tcp/Served.ts"
import { type Drawn, scheduled, turns } from "./Turns.ts"

const numRuns = 25

/** A publisher: the sizes of its groups, whether it waits for one answer before the next, and pauses in between. */
const publisher = FastCheck.record({
  isProducer: FastCheck.boolean(),
  isPipelined: FastCheck.boolean(),
  pauseTurns: FastCheck.nat(3),
  groups: FastCheck.array(FastCheck.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 })
})
type Publisher = Drawn<typeof publisher>

const reader = FastCheck.record({
  joinsAfterTurns: FastCheck.nat(20),
  from: FastCheck.constantFrom<StartFrom>("earliest", "latest", offsetOf(0), offsetOf(3), offsetOf(1_000)),
  creditMessages: FastCheck.integer({ min: 1, max: 20 }),
  creditBytes: FastCheck.constantFrom(1, 500, 1_000_000)
})
type Reader = Drawn<typeof reader>

/** The texts that publisher `name` sends, group by group, and the receipt of each group. */
const run = ({ isProducer, isPipelined, pauseTurns, groups }: Publisher, name: string) =>
  Effect.gen(function* () {
    const session = isProducer ? yield* hello(name) : undefined
    let sequence = 0
    const calls = groups.map((size) => {
      const first = sequence
      sequence += size
      const texts = Array.from({ length: size }, (_, index) => `${name} ${first + index}`)
      return { texts, call: session?.publish(numbered(first, texts)) ?? publish(...texts) }
    })
    const receipts = yield* Effect.forEach(
      calls,
      ({ call }) => Effect.zipLeft(call, isPipelined ? Effect.void : turns(pauseTurns)),
      { concurrency: isPipelined ? "unbounded" : 1 }
    )
    return calls.map(({ texts }, index) => ({ texts, receipt: receipts[index]! }))
  })

/** Reads to the end that the log will have, committing everything as it comes. */
const read = ({ joinsAfterTurns, ...options }: Reader, name: string, end: number) =>
  Effect.gen(function* () {
    yield* turns(joinsAfterTurns)
    const subscription = yield* subscribe(name, options)
    const received: Array<Received> = []
    while (endOf(received, subscription.start) < end) {
      received.push(...(yield* receive(subscription)))
      yield* commit(subscription, endOf(received, subscription.start))
    }
    return { start: subscription.start, received }
  })

/** What the log must hold, by the receipts; fails where an offset was given twice or not at all. */
const logBy = (groups: ReadonlyArray<{ texts: ReadonlyArray<string>; receipt: PublishReceipt }>) => {
  const log: Array<string> = []
  for (const { texts, receipt } of groups) {
    expect(receipt.duplicates).toBe(0)
    for (const [index, text] of texts.entries()) {
      expect(log[receipt.firstOffset! + index], "an offset is given once").toBe(undefined)
      log[receipt.firstOffset! + index] = text
    }
  }
  expect(Object.keys(log).length, "offsets are dense").toBe(log.length)
  return log
}

const places = [
  ["in this process", layerOnMemory],
  ["behind a connection", layerServed]
] as const

for (const [where, layer] of places) {
  it.scoped.prop(
    `offsets are assigned once, dense, in append order, and every subscriber reads a contiguous slice of them ${where}`,
    {
      publishers: FastCheck.array(publisher, { minLength: 1, maxLength: 4 }),
      readers: FastCheck.array(reader, { maxLength: 4 })
    },
    ({ publishers, readers }) =>
      Effect.gen(function* () {
        const total = publishers.flatMap(({ groups }) => groups).reduce((sum, size) => sum + size, 0)
        const [published, readings] = yield* Effect.all(
          [
            Effect.forEach(publishers, (one, index) => run(one, `p${index}`), { concurrency: "unbounded" }),
            Effect.forEach(readers, (one, index) => read(one, `s${index}`, total), {
              concurrency: "unbounded"
            })
          ],
          { concurrency: "unbounded" }
        )
        const log = logBy(published.flat())
        expect((yield* (yield* Broker).stats).nextOffset).toBe(total)
        for (const groups of published) {
          const firsts = groups.map(({ receipt }) => receipt.firstOffset!)
          expect(firsts, "a publisher's calls are appended in their order").toEqual(
            [...firsts].sort((a, b) => a - b)
          )
        }
        for (const { start, received } of readings) {
          expect(received).toEqual(messages(start, ...log.slice(start)))
        }
      }).pipe(Effect.provide(layer({})), scheduled),
    { fastCheck: { numRuns } }
  )
}
