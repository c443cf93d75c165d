/** A collector over any history: what it is is the fold of its facts, and it never commits what the store has not. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { collectorMachine, collectorStepper } from "../../src/actors/Collector.ts"
import { fold } from "../../src/actors/Step.ts"
import type { CollectorFact } from "../../src/protocol/CollectorFact.ts"
import { offsetOf } from "../../src/protocol/Log.ts"
import { CollectorWorld, collectorHistory, isCollectorFact } from "./worlds/collector.ts"

const [initial] = collectorStepper.initial({
  writesMax: 2,
  writeSamplesMax: 5,
  retryDelayMsMin: 100,
  retryDelayMsMax: 1_000
})
const recoverableOf = (facts: ReadonlyArray<CollectorFact>, from = initial) =>
  fold(collectorStepper, from, facts).context.recoverable

const options = { fastCheck: { numRuns: 400 } }

describe("the Collector, over any history,", () => {
  it.prop(
    "is the fold of its facts, resumes from any stored prefix, and commits nothing before the store has it",
    { history: collectorHistory, share: FastCheck.double({ min: 0, max: 1, noNaN: true }) },
    ({ history, share }) => {
      const { play } = new CollectorWorld(history).run(history.ops)
      const facts = play.facts.filter(isCollectorFact)
      const live = play.snapshot.context.recoverable
      expect(recoverableOf(facts)).toEqual(live)
      const cut = Math.round(facts.length * share)
      const stored = JSON.parse(JSON.stringify(recoverableOf(facts.slice(0, cut))))
      const resumed = collectorMachine.resolveState({
        value: initial.value,
        context: { ...initial.context, recoverable: stored }
      })
      expect(recoverableOf(facts.slice(cut), resumed)).toEqual(live)
    },
    options
  )

  it.prop(
    "is the same where a range was persisted in parts",
    { history: collectorHistory, backwards: FastCheck.boolean() },
    ({ history, backwards }) => {
      const { play } = new CollectorWorld(history).run(history.ops)
      const inParts = play.facts.filter(isCollectorFact).flatMap((fact): ReadonlyArray<CollectorFact> => {
        if (fact.type !== "BatchPersisted" && fact.type !== "GapNoted") return [fact]
        const parts = Array.from({ length: fact.to - fact.from }, (_, index) => ({
          ...fact,
          from: offsetOf(fact.from + index),
          to: offsetOf(fact.from + index + 1)
        }))
        return backwards ? parts.reverse() : parts
      })
      expect(recoverableOf(inParts)).toEqual(play.snapshot.context.recoverable)
    },
    options
  )

  it.prop(
    "in the end stores every sample, but for what the store refuses and what retention dropped, and commits all of it",
    { history: collectorHistory },
    ({ history }) => {
      const world = new CollectorWorld(history).run(history.ops).settle()
      expect(world.checkpoint).toBe(history.messages.length)
      expect(world.unaccounted(history.messages.length)).toEqual([])
      expect(world.play.snapshot.context.recoverable.checkpoint).toBe(history.messages.length)
    },
    options
  )
})
