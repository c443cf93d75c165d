/** The same producer and sequence is appended once, whoever sends it how often, over sessions, restarts and races. */
import { expect, it } from "@effect/vitest"
import { Effect, Either, Exit, FastCheck, Fiber, Scope } from "effect"
import { Broker, type ProducerSession, type PublishReceipt } from "../../src/layers/Broker.ts"
import { rememberedSequencesMin } from "../../src/protocol/Limits.ts"
import { hello, numbered, publish, receiveUntil, subscribe } from "../contracts/Broker.messages.ts"
import { makeGround } from "../layers/broker/Ground.ts"
import { behindTcp, inProcess } from "../layers/broker/tcp/Served.ts"
import { type Drawn, scheduled, turns } from "./Turns.ts"

const numRuns = 25
const producersMax = 2

/** What is sent at once: ranges of sequences of a producer, over its newest session or an older one. */
const send = FastCheck.record({
  producer: FastCheck.nat(producersMax - 1),
  /** Behind where the producer stands (a duplicate, or next) or beyond it (a gap). */
  ahead: FastCheck.integer({ min: -6, max: 1 }),
  count: FastCheck.integer({ min: 1, max: 8 }),
  sessionBack: FastCheck.constantFrom(0, 0, 0, 1)
})
type Send = Drawn<typeof send>

const step = FastCheck.record({
  sends: FastCheck.array(send, { minLength: 1, maxLength: 5 }),
  /** Another session for this producer, while what was sent is on its way. */
  helloAgain: FastCheck.option(FastCheck.nat(producersMax - 1)),
  /** The broker ends, so many turns after all was sent. */
  crashAfterTurns: FastCheck.option(FastCheck.nat(15), { freq: 4 }),
  anonymous: FastCheck.boolean()
})
type Step = Drawn<typeof step>

const nameOf = (producer: number): string => `p${producer}`
const textOf = (producer: number, sequence: number): string => `${nameOf(producer)} ${sequence}`

interface Answered {
  readonly producer: number
  readonly first: number
  readonly count: number
  readonly receipt: PublishReceipt
}

class Sessions {
  private readonly byProducer: Array<Array<ProducerSession>> = Array.from({ length: producersMax }, () => [])
  open(producer: number) {
    return Effect.map(hello(nameOf(producer)), (session) => {
      this.byProducer[producer]!.push(session)
      return session
    })
  }
  back(producer: number, back: number): ProducerSession {
    const sessions = this.byProducer[producer]!
    return sessions[Math.max(0, sessions.length - 1 - back)]!
  }
}

/** Sends all of a step at once; answers what was accepted. */
const sendAll = (sessions: Sessions, { sends, anonymous, helloAgain }: Step, next: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const calls = sends.map(({ producer, ahead, count, sessionBack }: Send) => {
      const first = Math.max(0, next[producer]! + ahead)
      const texts = Array.from({ length: count }, (_, index) => textOf(producer, first + index))
      const sent = sessions.back(producer, sessionBack).publish(numbered(first, texts))
      return Effect.map(Effect.either(sent), (result) => ({ producer, first, count, result }))
    })
    const fibers = yield* Effect.forEach(calls, (call) => Effect.fork(call))
    if (anonymous) yield* Effect.fork(Effect.ignore(publish("x")))
    if (helloAgain !== null) yield* Effect.ignore(sessions.open(helloAgain))
    return fibers
  })

/** The newest session knows how far its producer is. */
const whereAll = (sessions: Sessions) =>
  Effect.forEach(
    Array.from({ length: producersMax }, (_, n) => n),
    (producer) => Effect.map(sessions.open(producer), ({ lastSequence }) => (lastSequence ?? -1) + 1)
  )

const check = (answered: ReadonlyArray<Answered>) =>
  Effect.gen(function* () {
    const { nextOffset } = yield* (yield* Broker).stats
    const received = yield* receiveUntil(yield* subscribe("reader"), nextOffset)
    const log = received.map((message) => ("text" in message ? message.text : "gap"))
    for (let producer = 0; producer < producersMax; producer++) {
      const own = log.filter((text) => text.startsWith(nameOf(producer)))
      expect(own, "once each, in order").toEqual(own.map((_, sequence) => textOf(producer, sequence)))
      const { lastSequence } = yield* hello(nameOf(producer))
      expect(lastSequence).toBe(own.length === 0 ? null : own.length - 1)
    }
    for (const { producer, first, count, receipt } of answered) {
      expect(log, "what was acknowledged is in the log").toContain(textOf(producer, first + count - 1))
      if (receipt.firstOffset !== null) expect(log[receipt.firstOffset]).toBe(textOf(producer, first))
      else expect(receipt.duplicates).toBeGreaterThan(0)
      expect(receipt.firstOffset !== null || log.length > rememberedSequencesMin).toBe(true)
    }
  })

const places = [
  ["in this process", inProcess],
  ["behind a connection", behindTcp]
] as const

for (const [where, open] of places) {
  it.scoped.prop(
    `the same producer and sequence is appended once, over sessions, restarts and races, ${where}`,
    [FastCheck.array(step, { maxLength: 10 })],
    ([steps]) =>
      Effect.gen(function* () {
        const openBroker = open((yield* makeGround()).openBroker)
        const answered: Array<Answered> = []
        let scope = yield* Scope.make()
        let broker = yield* Scope.extend(openBroker, scope)
        let sessions = new Sessions()
        const inBroker = <A, E, R>(body: Effect.Effect<A, E, R>) =>
          Effect.provideService(body, Broker, broker)
        // A producer that is new may start anywhere; from then on nothing may be left out.
        for (let producer = 0; producer < producersMax; producer++) {
          const session = yield* inBroker(sessions.open(producer))
          yield* session.publish(numbered(0, [textOf(producer, 0)]))
        }
        for (const each of steps) {
          const next = yield* inBroker(whereAll(sessions))
          const fibers = yield* inBroker(sendAll(sessions, each, next))
          if (each.crashAfterTurns !== null) {
            yield* turns(each.crashAfterTurns)
            yield* Scope.close(scope, Exit.void)
            scope = yield* Scope.make()
            broker = yield* Scope.extend(openBroker, scope)
            sessions = new Sessions()
          }
          for (const fiber of fibers) {
            const { result, ...sent } = yield* Fiber.join(fiber)
            if (Either.isRight(result)) answered.push({ ...sent, receipt: result.right })
          }
        }
        yield* inBroker(check(answered))
        yield* Scope.close(scope, Exit.void)
      }).pipe(scheduled),
    { fastCheck: { numRuns } }
  )
}
