/** What the Broker lets its log drop, as stories. */
import { describe, it } from "@effect/vitest"
import { expect } from "vitest"
import type { BrokerPolicy } from "../../src/actors/broker/State.ts"
import { offsetOf } from "../../src/protocol/Log.ts"
import {
  appended,
  broker,
  collector,
  committed,
  logOf,
  publish,
  run,
  segment,
  startMs,
  tick,
  ttlMs
} from "./BrokerStory.ts"

const minuteMs = 60_000
/** Three segments, the newest record of each a minute after that of the one before. */
const log = logOf(
  segment(30, 300, startMs),
  segment(60, 300, startMs + minuteMs),
  segment(95, 350, startMs + 2 * minuteMs)
)
const subscribed = {
  type: "Subscribe" as const,
  replyTo: 1,
  subscription: 1,
  subscriberId: collector,
  from: offsetOf(0),
  resume: "always" as const
}

type BrokerStory = ReturnType<typeof broker>

/** A broker over that log, whose collector has committed some of it. */
const over = (policy: Partial<BrokerPolicy>, checkpoint?: number): BrokerStory => {
  const story = broker(policy).given(appended(0, 95))
  return checkpoint === undefined ? story : story.given(committed(checkpoint))
}

/** Where it has the log cut when it looks at it; `undefined` where it leaves the log as it is. */
const cutOf = (story: BrokerStory): number | undefined => {
  const commands = story.commandsOf({ type: "LogMeasured", bounds: log })
  // Who published what is dropped must stand in a snapshot before: one command has both done.
  const save = commands.find(({ type }) => type === "saveSnapshot")
  return (save?.params as { readonly dropBefore: number | null } | undefined)?.dropBefore ?? undefined
}

describe("age", () => {
  const policy = { retentionMs: 10 * minuteMs }
  it("drops the segments whose newest record is too old, the active one too", () => {
    expect(cutOf(over(policy).given(tick(10 * minuteMs)))).toBe(undefined)
    expect(cutOf(over(policy).given(tick(10 * minuteMs + 1)))).toBe(30)
    expect(cutOf(over(policy).given(tick(11 * minuteMs + 1)))).toBe(60)
    expect(cutOf(over(policy).given(tick(60 * minuteMs)))).toBe(95)
  })

  it("drops nothing where there is no limit to it", () => {
    expect(cutOf(over({}).given(tick(10_000 * minuteMs)))).toBe(undefined)
  })

  it("drops nothing, where a full log blocks, that a subscriber who is there has not committed", () => {
    const story = over(policy, 40).given(subscribed, tick(60 * minuteMs))
    expect(cutOf(story)).toBe(30)
    expect(cutOf(story.given(committed(60)))).toBe(60)
    expect(
      cutOf(over({ ...policy, whenFull: "drop_oldest" }, 40).given(subscribed, tick(60 * minuteMs)))
    ).toBe(95)
  })
})

describe("size", () => {
  const waiting = publish(run(10))
  it("drops nothing while there is room, and no more than it takes", () => {
    expect(cutOf(over({}, 95))).toBe(undefined)
    expect(cutOf(over({}, 95).given(waiting))).toBe(30)
    expect(cutOf(over({}, 95).given(publish(run(40))))).toBe(60)
    expect(cutOf(over({}, 95).given(publish(run(100))))).toBe(95)
  })

  it("waits for whoever has a checkpoint, or drops the oldest, committed or not", () => {
    expect(cutOf(over({}, 10).given(waiting))).toBe(undefined)
    expect(cutOf(over({ whenFull: "drop_oldest" }, 10).given(waiting))).toBe(30)
  })

  it("makes the log smaller where it is larger than it may be", () => {
    expect(cutOf(over({ retentionBytes: 700 }))).toBe(30)
    expect(cutOf(over({ retentionBytes: 300 }))).toBe(95)
    expect(cutOf(over({ retentionBytes: 300 }, 59))).toBe(30)
  })
})

describe("a segment that is closed", () => {
  const saves = (story: BrokerStory, bounds = log) =>
    story.commandsOf({ type: "LogMeasured", bounds }).some(({ type }) => type === "saveSnapshot")
  it("is covered by a snapshot once, so that recovery goes through the last segment at most", () => {
    const story = over({})
    expect(saves(story, logOf(segment(95, 950, startMs)))).toBe(false)
    expect(saves(story)).toBe(true)
    expect(saves(story.given({ type: "LogMeasured", bounds: log }))).toBe(false)
    expect(saves(story.given({ type: "SaveFailed" }))).toBe(true)
  })
})

describe("a subscriber that is not there", () => {
  const waiting = publish(run(10))
  it("holds the log back for its time to live and no longer", () => {
    expect(cutOf(over({}, 10).given(waiting, tick(ttlMs - 1)))).toBe(undefined)
    expect(cutOf(over({}, 10).given(waiting, tick(ttlMs)))).toBe(30)
  })

  it("holds it back for as long as it is there, and counts its time from when it leaves", () => {
    const leave = { type: "Leave" as const, subscription: 1, subscriberId: collector }
    const seen = {
      type: "SubscribersSeen" as const,
      subscriberIds: [collector] as const,
      atMs: startMs + 9 * ttlMs
    }
    const staying = over({}, 10).given(subscribed, waiting, tick(9 * ttlMs))
    expect(cutOf(staying)).toBe(undefined)
    staying.given(leave, seen, tick(10 * ttlMs - 1))
    expect(cutOf(staying)).toBe(undefined)
    expect(cutOf(staying.given(tick(10 * ttlMs)))).toBe(30)
  })
})
