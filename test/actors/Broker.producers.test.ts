/** What the Broker decides about producers and their sessions, as stories. */
import { describe, it } from "@effect/vitest"
import type { PublishOutcome } from "../../src/actors/broker/Admission.ts"
import type { BrokerFact } from "../../src/protocol/BrokerFact.ts"
import { producersMax, producersPrunedAt } from "../../src/protocol/Limits.ts"
import { offsetOf, ProducerId, type SourcePosition, sequenceOf } from "../../src/protocol/Log.ts"
import {
  accepted,
  append,
  appended,
  broker,
  committed,
  fresh,
  group,
  logOf,
  measure,
  numbered,
  publish,
  run,
  segment,
  settle,
  startMs,
  streamer,
  wake
} from "./BrokerStory.ts"

describe("of a producer that the log does not know, what comes behind a publish", () => {
  const gap = { _tag: "Refused" as const, reason: "sequence_gap" as const, expected: 0 }
  const other = { name: "another group" }
  const settleOther = (outcome: PublishOutcome) => ({
    type: "settlePublishes" as const,
    params: { settlements: [{ group: other, index: 0, outcome }] }
  })

  it("that could not be appended is refused until that comes again, or a new session says hello", () => {
    const failed = broker()
      .given(publish(numbered(0, 2)), publish(numbered(2, 2, { group: other })))
      .when({ type: "AppendFailed", problem: "disk full" })
      .then(settle({ _tag: "Refused", reason: "log_failed", problem: "disk full" }), measure)
      .when({ type: "LogMeasured", bounds: logOf(segment(0, 0, startMs)) })
      .then(settleOther(gap))
    failed.when(publish(numbered(0, 4))).then(append(0))
    broker()
      .given(publish(numbered(0, 2)), { type: "AppendFailed", problem: "disk full" })
      .given({ type: "Hello", replyTo: 3, session: 2, producerId: streamer })
      .when(publish(numbered(2, 2, { session: 2 })))
      .then(append(0))
  })

  it("that nobody waits for any more is refused", () => {
    const first = { name: "an append under way" }
    const story = broker()
      .given(publish(run(1, { group: first })))
      .given(publish(numbered(0, 2)), publish(numbered(2, 2, { group: other })))
      .when({ type: "Withdraw", group })
      .then()
      .when(appended(0, 1))
    story
      .then(
        {
          type: "settlePublishes",
          params: { settlements: [{ group: first, index: 0, outcome: accepted(fresh(1, 0)) }] }
        },
        wake(1),
        measure
      )
      .when({ type: "LogMeasured", bounds: logOf(segment(1, 10, startMs)) })
      .then(settleOther(gap))
  })
})

describe("of a producer that the log does not know, what comes behind a publish that was refused", () => {
  const gap = { _tag: "Refused" as const, reason: "sequence_gap" as const, expected: 0 }
  const next = { name: "what comes behind" }
  const settleNext = (outcome: PublishOutcome) => ({
    type: "settlePublishes" as const,
    params: { settlements: [{ group: next, index: 0, outcome }] }
  })

  it("for want of room, or for its size, is refused as well", () => {
    const small = numbered(10, 1, { group: next, whenFull: "refuse" })
    const noRoom = broker().given(
      appended(0, 95),
      committed(20),
      publish(numbered(0, 10, { whenFull: "refuse" }))
    )
    noRoom
      .when({ type: "LogMeasured", bounds: logOf(segment(95, 950, startMs)) })
      .then(settle({ _tag: "Refused", reason: "log_full" }))
    noRoom.when(publish(small)).then(settleNext(gap))
    broker()
      .given(publish(numbered(0, 101)))
      .when(publish(small))
      .then(settleNext(gap))
    broker()
      .when(publish(numbered(0, 101), small))
      .then({
        type: "settlePublishes",
        params: {
          settlements: [
            { group, index: 0, outcome: { _tag: "Refused", reason: "too_large" } },
            { group: next, index: 0, outcome: gap }
          ]
        }
      })
  })
})

describe("sessions that were forgotten, of too many,", () => {
  it("stay fenced", () => {
    const hellos = Array.from({ length: producersPrunedAt }, (_, n) => ({
      type: "Hello" as const,
      replyTo: n,
      session: n + 10,
      producerId: ProducerId.make(`producer-${n}`)
    }))
    const producer = { id: ProducerId.make("producer-0"), firstSequence: 0 }
    const story = broker().given(...hellos)
    story
      .when(publish(run(1, { session: 10, producer })))
      .then(settle({ _tag: "Refused", reason: "fenced" }))
      .when(publish(run(1, { session: producersPrunedAt + 10, producer })))
      .then(append(0))
    // The latest are those that are kept.
    const latest = { id: ProducerId.make(`producer-${producersPrunedAt - 1}`), firstSequence: 0 }
    story.when(publish(run(1, { session: producersPrunedAt + 8, producer: latest, index: 1 }))).then()
  })
})

describe("a producer that says hello", () => {
  it("is told its last sequence and position", () => {
    broker()
      .given(appended(0, 3, 7))
      .when({ type: "Hello", replyTo: 3, session: 2, producerId: streamer })
      .then({
        type: "answerHello",
        params: { replyTo: 3, lastSequence: sequenceOf(9), lastPosition: "row 9" as SourcePosition }
      })
  })
})

describe("a producer that says hello while records of it are being appended", () => {
  const greeting = { type: "Hello" as const, replyTo: 3, session: 2, producerId: streamer }
  const answered = (lastSequence: number | null, lastPosition: string | null) => ({
    type: "answerHello" as const,
    params: {
      replyTo: 3,
      lastSequence: lastSequence === null ? null : sequenceOf(lastSequence),
      lastPosition: lastPosition as SourcePosition | null
    }
  })
  const appending = () => broker().given(publish(numbered(0, 2)))

  it("is told what the log has when that has ended, and fences its earlier session at once", () => {
    appending()
      .when(greeting)
      .then()
      .when(appended(0, 2, 0))
      .then(settle(accepted(fresh(2, 0))), answered(1, "row 1"), wake(2))
    appending()
      .given(greeting)
      .when({ type: "AppendFailed", problem: "disk full" })
      .then(settle({ _tag: "Refused", reason: "log_failed", problem: "disk full" }), answered(null, null))
    appending()
      .given(greeting, publish(numbered(2, 1, { group: { name: "of the earlier session" } })))
      .when(appended(0, 2, 0))
      .then(settle(accepted(fresh(2, 0))), answered(1, "row 1"), wake(2), measure)
  })
})

describe("a session that did not say hello", () => {
  it("fences nobody, whatever becomes of what it publishes", () => {
    broker()
      .given({ type: "Hello", replyTo: 0, session: 1, producerId: streamer })
      .given(publish(numbered(5, 101, { session: 9, whenFull: "refuse" })))
      .when(publish(numbered(0, 1, { session: 1 })))
      .then(append(0))
    broker()
      .given(publish(numbered(5, 101, { session: 9 })))
      .when(publish(numbered(0, 1, { session: 1 })))
      .then(append(0))
  })
})

describe("as many producers as are remembered", () => {
  const numberedBy = (n: number): BrokerFact => ({
    type: "BatchesAppended",
    runs: [
      {
        firstOffset: offsetOf(n),
        count: 1,
        bytes: 10,
        producer: { id: ProducerId.make(`producer-${n}`), firstSequence: sequenceOf(0), lastPosition: null }
      }
    ]
  })
  it("lose those that were idle for longest to new ones, many at a time, and it is logged", () => {
    const story = broker().given(...Array.from({ length: producersPrunedAt - 1 }, (_, n) => numberedBy(n)))
    const gone = Array.from({ length: producersPrunedAt - producersMax }, (_, n) => {
      // The first one has published since.
      return ProducerId.make(`producer-${n + 1}`)
    })
    const again: BrokerFact = {
      type: "BatchesAppended",
      runs: [
        {
          firstOffset: offsetOf(producersPrunedAt - 1),
          count: 1,
          bytes: 10,
          producer: { id: ProducerId.make("producer-0"), firstSequence: sequenceOf(1), lastPosition: null }
        }
      ]
    }
    story
      .when(again)
      .then(settle(), wake(producersPrunedAt))
      .when(numberedBy(producersPrunedAt))
      .then(settle(), wake(producersPrunedAt + 1), {
        type: "tellForgotten",
        params: { producerIds: gone }
      })
  })
})
