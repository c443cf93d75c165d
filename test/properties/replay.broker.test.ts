/** What a broker recovers is what it was: its machine over any history of requests, refusals and appends that fail. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck, HashMap, Schema } from "effect"
import { brokerStepper } from "../../src/actors/Broker.ts"
import { holdsBackForMs } from "../../src/actors/broker/Presence.ts"
import { heldBackFrom } from "../../src/actors/broker/Retention.ts"
import { BrokerState } from "../../src/actors/broker/State.ts"
import { fold } from "../../src/actors/Step.ts"
import { checkpointUnseenMsMax, rememberedSequencesMin, seenIntervalMs } from "../../src/protocol/Limits.ts"
import { type BrokerOp, BrokerWorld, brokerHistory, cuts, regrouped } from "./worlds/broker.ts"
import { plain } from "./worlds/Play.ts"

const Stored = Schema.parseJson(BrokerState)
const throughStorage = (state: BrokerState): BrokerState =>
  Schema.decodeSync(Stored)(Schema.encodeSync(Stored)(state))

/** A broker that starts from some state, over the log that the world has. */
const startFrom = (world: BrokerWorld, recoverable?: BrokerState) =>
  brokerStepper.initial({
    policy: world.policy,
    nowMs: 0,
    bounds: world.bounds(),
    ...(recoverable === undefined ? {} : { recoverable })
  })[0]

const options = { fastCheck: { numRuns: 150 } }
const share = FastCheck.double({ min: 0, max: 1, noNaN: true })

describe("the Broker, over any history,", () => {
  it.prop(
    "is, in what must survive, the fold of its journalled facts; no request changes it, no step its snapshot",
    { history: brokerHistory },
    ({ history }) => {
      const world = new BrokerWorld(history).run(history.ops)
      const folded = fold(brokerStepper, startFrom(world), world.play.facts)
      expect(plain(folded.context.recoverable)).toEqual(plain(world.recoverable))
    },
    options
  )

  it.prop(
    "resumes from a stored snapshot of any prefix and the facts behind it",
    { history: brokerHistory, share },
    ({ history, share }) => {
      const world = new BrokerWorld(history).run(history.ops)
      const { facts } = world.play
      const cut = Math.round(facts.length * share)
      const prefix = fold(brokerStepper, startFrom(world), facts.slice(0, cut)).context.recoverable
      const resumed = fold(brokerStepper, startFrom(world, throughStorage(prefix)), facts.slice(cut))
      expect(plain(resumed.context.recoverable)).toEqual(plain(world.recoverable))
    },
    options
  )

  it.prop(
    "is the same however the records of its log are cut into runs and facts, and wherever its checkpoints stand between",
    { history: brokerHistory, cuts },
    ({ history, cuts }) => {
      const world = new BrokerWorld(history).run(history.ops)
      const ofLog = regrouped(world.appended, 0, cuts)
      const ofJournal = world.play.facts.filter((fact) => fact.type !== "BatchesAppended")
      for (const facts of [
        [...ofLog, ...ofJournal],
        [...ofJournal, ...ofLog]
      ]) {
        const folded = fold(brokerStepper, startFrom(world), facts)
        expect(plain(folded.context.recoverable)).toEqual(plain(world.recoverable))
      }
    },
    options
  )

  it.prop(
    "recovers from what retention left of its log, behind the snapshot that it saved before it dropped",
    { history: brokerHistory, cuts },
    ({ history, cuts }) => {
      const world = new BrokerWorld(history).run(history.ops)
      const { snapshot, entries } = world.journal
      const start = startFrom(world, snapshot && throughStorage(snapshot))
      const { nextOffset } = start.context.recoverable
      expect(nextOffset).toBeGreaterThanOrEqual(world.bounds().oldest)
      const folded = fold(brokerStepper, start, [...regrouped(world.appended, nextOffset, cuts), ...entries])
      expect(plain(folded.context.recoverable)).toEqual(plain(world.recoverable))
    },
    options
  )

  it.prop(
    "gives dense offsets, appends each sequence once and in order, and answers every run in turn or keeps it waiting",
    { history: brokerHistory },
    ({ history }) => {
      const world = new BrokerWorld(history).run(history.ops)
      let next = 0
      const last = new Map<string, number>()
      for (const fact of world.play.facts) {
        if (fact.type !== "BatchesAppended") continue
        for (const { firstOffset, count, producer } of fact.runs) {
          expect(firstOffset).toBe(next)
          next += count
          if (producer === null) continue
          const before = last.get(producer.id)
          if (before !== undefined) expect(producer.firstSequence).toBe(before + 1)
          last.set(producer.id, producer.firstSequence + count - 1)
        }
      }
      const withdrawn = new Set<object>(
        world.play.steps.flatMap(({ event }) => (event.type === "Withdraw" ? [event.group] : []))
      )
      const published = world.play.steps
        .flatMap(({ event }) => (event.type === "Publish" ? event.runs : []))
        .filter(({ group }) => !withdrawn.has(group))
      const { waiting } = world.play.snapshot.context.volatile
      // In order within a group; between groups a hello lets what it fences go before what waits on.
      const known = [...world.settled, ...waiting].filter(({ group }) => !withdrawn.has(group))
      expect(known.length).toBe(published.length)
      for (const group of new Set(published.map((run) => run.group))) {
        const indexes = (runs: ReadonlyArray<{ readonly group: object; readonly index: number }>) =>
          runs.filter((run) => run.group === group).map(({ index }) => index)
        expect(indexes(known)).toEqual(indexes(published))
      }
    },
    options
  )

  it.prop(
    "never holds more than its retention, and keeps whatever a checkpoint that holds it back has not passed",
    { history: brokerHistory },
    ({ history }) => {
      const world = new BrokerWorld(history).run(history.ops)
      expect(world.bounds().bytes).toBeLessThanOrEqual(world.policy.retentionBytes)
      for (const { before, event } of world.play.steps) {
        if (event.type !== "LogMeasured") continue
        const { recoverable, volatile } = before.context
        for (const [subscriberId, checkpoint] of recoverable.checkpoints) {
          if (holdsBackForMs(subscriberId, checkpoint, volatile) === null) continue
          // A subscription may start below the oldest only where it asked for less than there was.
          if (checkpoint.offset >= volatile.oldest) {
            expect(event.bounds.oldest).toBeLessThanOrEqual(checkpoint.offset)
          }
        }
      }
    },
    options
  )

  it.prop(
    "lets nothing wait for which there is room, or could be, and keeps nothing that is too old",
    { history: brokerHistory },
    ({ history }) => {
      const world = new BrokerWorld(history).run([...history.ops, { op: "tick", afterMs: 1_000 }])
      const { recoverable, volatile } = world.play.snapshot.context
      const { bytes, segments, next } = world.bounds()
      const from = heldBackFrom(recoverable.checkpoints, next, volatile)
      const [oldest] = segments
      if (oldest === undefined || oldest.next > from) return
      const { retentionBytes, retentionMs } = world.policy
      const first = volatile.waiting[0]
      expect(bytes + (first?.bytes ?? 0)).toBeLessThanOrEqual(retentionBytes)
      expect(first).toBe(undefined)
      if (retentionMs !== null) expect(volatile.nowMs - oldest.newestMs).toBeLessThanOrEqual(retentionMs)
    },
    { fastCheck: { numRuns: 600 } }
  )

  it.prop(
    "knows of each subscriber whose checkpoint it keeps that it was there lately",
    { history: brokerHistory },
    ({ history }) => {
      // Twice: where the journal fails at the end of the history, nothing is noted at the first.
      const tick: BrokerOp = { op: "tick", afterMs: 1_000 }
      const world = new BrokerWorld(history).run([...history.ops, tick, tick])
      const { recoverable, volatile } = world.play.snapshot.context
      for (const [subscriberId, { seenMs }] of recoverable.checkpoints) {
        const awayMs = volatile.nowMs - seenMs
        const isThere = HashMap.has(volatile.holders, subscriberId)
        expect(awayMs).toBeLessThanOrEqual(isThere ? seenIntervalMs : checkpointUnseenMsMax)
      }
    },
    options
  )

  it.prop(
    "remembers the last sequences of a producer and no more",
    { history: brokerHistory },
    ({ history }) => {
      const world = new BrokerWorld(history).run(history.ops)
      for (const { remembered, lastSequence } of HashMap.values(world.recoverable.producers)) {
        const count = remembered.reduce((sum, run) => sum + run.count, 0)
        expect(count).toBeLessThanOrEqual(rememberedSequencesMin)
        const newest = remembered.at(-1)!
        expect(newest.firstSequence + newest.count - 1).toBe(lastSequence)
      }
    },
    options
  )
})
