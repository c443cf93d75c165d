/** What the Broker decides about publishing, as stories. */
import { describe, expect, it } from "@effect/vitest"
import { HashMap } from "effect"
import { rememberedSequencesMin } from "../../src/protocol/Limits.ts"
import { type LogBounds, offsetOf } from "../../src/protocol/Log.ts"
import {
  accepted,
  append,
  appended,
  broker,
  collector,
  committed,
  duplicates,
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
  tick,
  wake
} from "./BrokerStory.ts"

describe("a publish", () => {
  it("gets the next offsets, and its answer when the append is a fact", () => {
    broker()
      .given(appended(0, 5))
      .when(publish(run(3)))
      .then(append(5))
      .when(appended(5, 3))
      .then(settle(accepted(fresh(3, 5))), wake(8))
  })

  it("of a sequence that is in the log is answered with its first offset, and only the rest is appended", () => {
    broker()
      .given(appended(0, 5), appended(5, 4, 100))
      .when(publish(numbered(101, 2)))
      .then(settle(accepted(duplicates(2, 6))))
      .when(publish(numbered(102, 4)))
      .then(append(9, 2))
      .when(appended(9, 2, 104))
      .then(settle(accepted(duplicates(2, 7), fresh(2, 9))), wake(11))
  })

  it("of the same sequence twice in one group is appended once", () => {
    broker()
      .when(publish(numbered(0, 2), numbered(0, 2, { index: 1 })))
      .then(append(0))
      .when(appended(0, 2, 0))
      .then(settle(accepted(fresh(2, 0)), accepted(duplicates(2, 0))), wake(2))
  })

  it("of a sequence beyond the remembered ones is a duplicate whose offset is not known any more", () => {
    const kept = broker().given(appended(0, 1, 0), appended(1, rememberedSequencesMin, 1))
    kept.when(publish(numbered(0, 1))).then(settle(accepted(duplicates(1, null))))
    kept.when(publish(numbered(1, 1))).then(settle(accepted(duplicates(1, 1))))
  })

  it("that leaves out a sequence is refused with the one that is expected", () => {
    broker()
      .given(appended(0, 3, 7))
      .when(publish(numbered(11, 1)))
      .then(settle({ _tag: "Refused", reason: "sequence_gap", expected: 10 }))
  })

  it("of a session that was taken over is fenced", () => {
    broker()
      .given({ type: "Hello", replyTo: 0, session: 2, producerId: streamer })
      .when(publish(numbered(0, 1, { session: 1 })))
      .then(settle({ _tag: "Refused", reason: "fenced" }))
      .when(publish(numbered(0, 1, { session: 2 })))
      .then(append(0))
  })

  it("larger than all that the log may hold is refused", () => {
    broker()
      .when(publish(run(101)))
      .then(settle({ _tag: "Refused", reason: "too_large" }))
  })

  it("that could not be appended is refused, and its sequences are free again", () => {
    broker()
      .given(publish(numbered(0, 2)))
      .when({ type: "AppendFailed", problem: "disk full" })
      .then(settle({ _tag: "Refused", reason: "log_failed", problem: "disk full" }))
      .when(publish(numbered(0, 2)))
      .then(append(0))
  })
})

describe("a publish that repeats one which could not be appended", () => {
  it("is refused with it", () => {
    const refused = { _tag: "Refused" as const, reason: "log_failed" as const, problem: "disk full" }
    broker()
      .given(publish(numbered(0, 2), numbered(0, 2, { index: 1 })))
      .when({ type: "AppendFailed", problem: "disk full" })
      .then(settle(refused, refused))
  })
})

describe("a publish that is not to wait", () => {
  const impatient = { whenFull: "refuse" as const }
  it("is refused only when the log was measured and has nothing to drop", () => {
    const bounds = logOf(segment(50, 500, startMs), segment(95, 450, startMs))
    const full = (checkpoint: number) => broker().given(appended(0, 95), committed(checkpoint))
    full(20)
      .when(publish(run(10, impatient)))
      .then(measure, measure)
      .given({ type: "LogMeasured", bounds: { ...bounds, segments: bounds.segments.slice(0, 1) } })
      .when(publish(run(11, impatient)))
      .then(measure, measure)
      .when({ type: "LogMeasured", bounds: { ...bounds, segments: bounds.segments.slice(0, 1) } })
      .then(settle({ _tag: "Refused", reason: "log_full" }))
    expect(
      full(50)
        .given(publish(run(10, impatient)))
        .commandsOf({ type: "LogMeasured", bounds })
    ).toMatchObject([{ type: "saveSnapshot", params: { dropBefore: 50 } }])
  })
})

describe("a log that is full", () => {
  const segments = [
    { next: offsetOf(50), bytes: 500, newestMs: startMs },
    { next: offsetOf(95), bytes: 450, newestMs: startMs + 10_000 }
  ]
  const bounds: LogBounds = { oldest: offsetOf(0), next: offsetOf(95), bytes: 950, segments }
  const dropped: LogBounds = { ...bounds, oldest: offsetOf(50), bytes: 450, segments: segments.slice(1) }
  const full = () => broker().given(appended(0, 95), committed(20))

  it("lets publishes wait for a commit, drops what that allows behind a snapshot, and admits in order", () => {
    const stateAt = (checkpoint: number) => ({
      nextOffset: offsetOf(95),
      producers: HashMap.empty(),
      checkpoints: HashMap.make([collector, { offset: offsetOf(checkpoint), seenMs: startMs }])
    })
    full()
      .when(publish(run(10), run(2, { index: 1 })))
      .then(measure)
      .when({ type: "LogMeasured", bounds })
      .then({ type: "saveSnapshot", params: { state: stateAt(20), dropBefore: null } })
      .when(publish(run(1, { index: 2 })))
      .then()
      .when(committed(60))
      .then(measure)
      .when({ type: "LogMeasured", bounds })
      .then({ type: "saveSnapshot", params: { state: stateAt(60), dropBefore: offsetOf(50) } })
      .when({ type: "LogMeasured", bounds: dropped })
      .then({
        type: "appendBatches",
        params: {
          takes: [
            { group, index: 0, skip: 0, firstOffset: offsetOf(95) },
            { group, index: 1, skip: 0, firstOffset: offsetOf(105) },
            { group, index: 2, skip: 0, firstOffset: offsetOf(107) }
          ]
        }
      })
  })

  it("counts since when it is full by the publish that waits first", () => {
    const story = full().given(publish(run(10), run(60, { index: 1 })), tick(60_000), committed(60))
    story.given({ type: "LogMeasured", bounds: dropped })
    expect(story.snapshot.context.volatile.fullSinceMs).toBe(startMs + 60_000)
  })

  it("is looked at again when whoever holds it back unsubscribes", () => {
    const holding = { subscription: 1, subscriberId: collector }
    full()
      .given(
        { type: "Subscribe", replyTo: 1, ...holding, from: "earliest", resume: "always" },
        publish(run(10))
      )
      .given({ type: "Unsubscribe", replyTo: 2, ...holding })
      .when({ type: "CheckpointsForgotten", subscriberIds: [collector] })
      .then({ type: "answerUnsubscribe", params: { replyTo: 2 } }, measure)
  })

  it("is measured again when an append has ended that left something waiting, but for the rest of what failed", () => {
    const diskFull = { _tag: "Refused" as const, reason: "log_failed" as const, problem: "disk full" }
    full()
      .when(publish(run(5), run(10, { index: 1 })))
      .then(append(95))
      .when({ type: "AppendFailed", problem: "disk full" })
      .then(settle(diskFull, diskFull))
    full()
      .when(publish(run(5), run(10, { group: { name: "another group" } })))
      .then(append(95))
      .when({ type: "AppendFailed", problem: "disk full" })
      .then(settle(diskFull), measure)
    full()
      .when(publish(run(5), run(10, { index: 1 })))
      .then(append(95))
      .when(appended(95, 5))
      .then(settle(accepted(fresh(5, 95))), wake(100), measure)
  })

  it("refuses what a fenced session has waiting, and lets in what waited behind it", () => {
    const behind = { name: "group of another session" }
    const take = { group: behind, index: 0, skip: 0, firstOffset: offsetOf(95) }
    full()
      .given(publish(numbered(0, 10), run(2, { group: behind })))
      .when({ type: "Hello", replyTo: 3, session: 2, producerId: streamer })
      .then(
        { type: "answerHello", params: { replyTo: 3, lastSequence: null, lastPosition: null } },
        { type: "appendBatches", params: { takes: [take] } }
      )
  })
})
