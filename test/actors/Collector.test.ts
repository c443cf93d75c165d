/** What the Collector decides, as stories. */
import { describe, expect, it } from "@effect/vitest"
import { type CollectorRequest, collectorStepper } from "../../src/actors/Collector.ts"
import type { CollectorFact } from "../../src/protocol/CollectorFact.ts"
import { offsetOf } from "../../src/protocol/Log.ts"
import { Story } from "./Story.ts"

const collector = () =>
  new Story(
    collectorStepper,
    collectorStepper.initial({
      writesMax: 2,
      writeSamplesMax: 10,
      retryDelayMsMin: 100,
      retryDelayMsMax: 300
    })
  )

const range = (from: number, to: number) => ({ from: offsetOf(from), to: offsetOf(to) })
const started = (offset: number): CollectorFact => ({ type: "SubscriptionStarted", offset: offsetOf(offset) })
const received = (from: number, samples: number, attempt = 1): CollectorRequest => ({
  type: "MessagesReceived",
  attempt,
  ...range(from, from + 1),
  samples
})
const persisted = (from: number, to: number): CollectorFact => ({
  type: "BatchPersisted",
  ...range(from, to)
})
const checkpoint = (offset: number): CollectorFact => ({
  type: "CheckpointCommitted",
  offset: offsetOf(offset)
})
const succeeded = (write: number): CollectorRequest => ({ type: "PersistSucceeded", write })
const failed = (write: number): CollectorRequest => ({ type: "PersistFailed", write })
const refused = (write: number): CollectorRequest => ({ type: "PersistRefused", write, problem: "bad" })
const retry: CollectorRequest = { type: "TimerFired", timer: "persist" }
const lost = (attempt: number): CollectorRequest => ({ type: "SubscriptionLost", attempt })

const subscribe = (attempt: number) => ({ type: "subscribe" as const, params: { attempt } })
const record = (fact: CollectorFact) => ({ type: "record" as const, params: { fact } })
const persist = (write: number, from: number, to: number, samples: number, firstSample = 0) => ({
  type: "persistBatch" as const,
  params: { write, firstSample, ...range(from, to), samples }
})
const forget = (below: number) => ({ type: "forgetMessages" as const, params: { below: offsetOf(below) } })
const commit = (offset: number) => ({ type: "commitOffset" as const, params: { offset: offsetOf(offset) } })
const arm = (timer: "persist" | "subscribe", delayMs: number) => ({
  type: "armTimer" as const,
  params: { timer, delayMs }
})
const finish = { type: "finish" as const, params: undefined }

const collecting = () => collector().given(started(0))

describe("a collector", () => {
  it("subscribes, tries again after a pause that doubles, and starts where the broker says", () => {
    collector()
      .then(subscribe(1))
      .when({ type: "SubscribeFailed", attempt: 1 })
      .then(arm("subscribe", 100))
      .when({ type: "TimerFired", timer: "subscribe" })
      .then(subscribe(2))
      .when({ type: "SubscribeFailed", attempt: 2 })
      .then(arm("subscribe", 200))
      .given({ type: "TimerFired", timer: "subscribe" })
      .when({ type: "SubscribeAnswered", attempt: 3, start: offsetOf(4) })
      .then(record(started(4)))
  })

  it("persists, then commits, then has its checkpoint", () => {
    collecting()
      .when(received(0, 3))
      .then(persist(0, 0, 1, 3))
      .when(succeeded(0))
      .then(record(persisted(0, 1)))
      .when(persisted(0, 1))
      .then(forget(1), commit(1))
      .when({ type: "CommitAnswered", attempt: 1, offset: offsetOf(1) })
      .then(record(checkpoint(1)))
      .when(checkpoint(1))
      .then()
  })

  it("never commits past a gap of two writes in flight", () => {
    collecting()
      .given(received(0, 3), received(1, 3), succeeded(1))
      .when(persisted(1, 2))
      .then(forget(0))
      .given(succeeded(0))
      .when(persisted(0, 1))
      .then(forget(2), commit(2))
  })

  it("commits one offset at a time, and next what was persisted meanwhile", () => {
    collecting()
      .given(received(0, 3), received(1, 3), succeeded(0), persisted(0, 1), succeeded(1))
      .when(persisted(1, 2))
      .then(forget(2))
      .given({ type: "CommitAnswered", attempt: 1, offset: offsetOf(1) })
      .when(checkpoint(1))
      .then(commit(2))
  })

  it("has so many writes under way, and gathers in the next one what arrived meanwhile, up to its limit", () => {
    collecting()
      .given(received(0, 3), received(1, 3))
      .when(received(2, 4))
      .then()
      .given(received(3, 6), received(4, 1))
      .when(succeeded(0))
      .then(record(persisted(0, 1)), persist(2, 2, 4, 10))
      .when(persisted(0, 1))
      .then(forget(1), commit(1))
  })

  it("is done at once with a message without a sample, and with what retention dropped", () => {
    collecting()
      .when(received(0, 0))
      .then(record(persisted(0, 1)))
      .given(persisted(0, 1))
      .when({ type: "GapTold", attempt: 1, ...range(1, 5) })
      .then(record({ type: "GapNoted", ...range(1, 5) }))
      .when({ type: "GapNoted", ...range(1, 5) })
      .then()
      .when({ type: "CommitAnswered", attempt: 1, offset: offsetOf(1) })
      .then(record(checkpoint(1)))
      .when(checkpoint(1))
      .then(commit(5))
  })

  it("backs off while the store is out of reach, twice as long each time, and writes nothing new meanwhile", () => {
    const story = collecting().given(received(0, 3))
    for (const delayMs of [100, 200, 300, 300]) {
      story
        .when(failed(0))
        .then(arm("persist", delayMs))
        .when(retry)
        .then(persist(0, 0, 1, 3))
    }
    story
      .given(failed(0))
      .when(received(1, 2))
      .then()
      .when(retry)
      .then(persist(0, 0, 1, 3), persist(1, 1, 2, 2))
      .given(succeeded(0), persisted(0, 1))
      .when(failed(1))
      .then(arm("persist", 100))
  })

  it("leaves the store alone for as long as it asked, and never for less than its own pause", () => {
    const busy = (write: number, retryAfterMs: number): CollectorRequest => ({
      type: "PersistFailed",
      write,
      retryAfterMs
    })
    collecting()
      .given(received(0, 3), received(1, 3))
      .when(busy(0, 5_000))
      .then(arm("persist", 5_000))
      .when(busy(1, 7_000))
      .then(arm("persist", 7_000))
      .when(retry)
      .then(persist(0, 0, 1, 3), persist(1, 1, 2, 3))
      .when(busy(0, 10))
      .then(arm("persist", 200))
      .when(busy(1, 10))
      .then(arm("persist", 300))
      .given(retry)
      .when(failed(0))
      .then(arm("persist", 300))
  })

  it("forgets with its subscription what the store asked for", () => {
    collecting()
      .given(received(0, 3), { type: "PersistFailed", write: 0, retryAfterMs: 5_000 })
      .given(lost(1), started(0), received(0, 3, 2))
      .when(failed(1))
      .then(arm("persist", 200))
  })

  it("goes on doubling the pause while what has failed fails, whatever else succeeds", () => {
    const story = collecting().given(received(0, 3), received(1, 3), failed(0), succeeded(1), persisted(1, 2))
    for (const [write, delayMs] of [
      [2, 200],
      [3, 300],
      [4, 300]
    ] as const) {
      story
        .given(retry, received(write, 3), succeeded(write), persisted(write, write + 1))
        .when(failed(0))
        .then(arm("persist", delayMs))
    }
    story
      .given(retry, succeeded(0), persisted(0, 1), received(5, 3))
      .when(failed(5))
      .then(arm("persist", 100))
  })

  it("writes nothing new either when another write ends well while one has failed", () => {
    collecting()
      .given(received(0, 3), received(1, 3), received(2, 3), failed(1), succeeded(0))
      .when(persisted(0, 1))
      .then(forget(1), commit(1))
      .when(retry)
      .then(persist(1, 1, 2, 3), persist(2, 2, 3, 3))
  })

  it("halves what the store refuses down to the one sample, and puts that in quarantine", () => {
    const refusedProblem = { problem: "bad" }
    collecting()
      .given(received(0, 2), received(1, 2))
      .given(succeeded(0), persisted(0, 1))
      .when(refused(1))
      .then(persist(2, 1, 2, 1), persist(3, 1, 2, 1, 1))
      .when(succeeded(2))
      .then()
      .when(refused(3))
      .then(
        { type: "quarantineSample", params: { ...range(1, 2), sample: 1, ...refusedProblem } },
        record(persisted(1, 2))
      )
  })

  it("has no more writes under way while it halves, and narrows one range down before it begins the next", () => {
    collecting()
      .given(received(0, 8), received(1, 8), received(2, 8))
      .when(refused(0))
      .then(persist(2, 0, 1, 4))
      .when(refused(2))
      .then(persist(4, 0, 1, 2))
      .when(succeeded(1))
      .then(record(persisted(1, 2)), persist(5, 0, 1, 2, 2))
      .when(succeeded(4))
      .then(persist(3, 0, 1, 4, 4))
      .when(succeeded(5))
      .then(persist(6, 2, 3, 8))
      .when(succeeded(3))
      .then(record(persisted(0, 1)))
  })

  it("drops what is not committed when its subscription is lost, and ignores what that one still answers", () => {
    const story = collecting()
      .given(received(0, 3), received(1, 3), succeeded(0), persisted(0, 1))
      .when(lost(1))
      .then({ type: "forgetAllMessages", params: undefined }, subscribe(2))
    for (const late of [
      succeeded(1),
      refused(1),
      failed(1),
      lost(1),
      received(2, 1),
      { type: "CommitAnswered", attempt: 1, offset: offsetOf(1) } as const,
      { type: "GapTold", attempt: 1, ...range(2, 3) } as const,
      { type: "SubscribeAnswered", attempt: 1, start: offsetOf(0) } as const,
      { type: "SubscriptionTakenOver", attempt: 1 } as const
    ]) {
      story.when(late).then()
    }
    story
      .given(started(1))
      .when(received(1, 3, 2))
      .then(persist(2, 1, 2, 3))
      .when(succeeded(1))
      .then()
      .given(succeeded(2))
      .when(persisted(1, 2))
      .then(forget(2), commit(2))
  })

  it("counts what an earlier subscription is still writing, until the store has answered it", () => {
    for (const answer of [succeeded(0), failed(0), refused(0)]) {
      collecting()
        .given(received(0, 3), received(1, 3), lost(1), started(0))
        .when(received(0, 3, 2))
        .then()
        .when(answer)
        .then(persist(2, 0, 1, 3))
        .when(received(1, 3, 2))
        .then()
        .when(succeeded(1))
        .then(persist(3, 1, 2, 3))
    }
  })

  it("fails when it is taken over, and does not take over in turn", () => {
    const story = collecting()
      .when({ type: "SubscriptionTakenOver", attempt: 1 })
      .then({ type: "fail", params: { problem: "another collector subscribed under the same id" } })
      .when(lost(1))
      .then()
    expect(story.snapshot.value).toBe("failed")
  })

  it("that is drained is done when its checkpoint has come so far, and not before", () => {
    collecting()
      .given(received(0, 3), { type: "Drain", to: offsetOf(1) })
      .when(succeeded(0))
      .then(record(persisted(0, 1)))
      .when(persisted(0, 1))
      .then(forget(1), commit(1))
      .given({ type: "CommitAnswered", attempt: 1, offset: offsetOf(1) })
      .when(checkpoint(1))
      .then(finish)
      .when(received(1, 3))
      .then()
    collecting()
      .when({ type: "Drain", to: offsetOf(0) })
      .then(finish)
  })
})
