/** A streamer over any history: what it is is the fold of its facts, and every row that was read is in the log once. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { fold } from "../../src/actors/Step.ts"
import { streamerMachine, streamerStepper } from "../../src/actors/Streamer.ts"
import { sequenceOf } from "../../src/protocol/Log.ts"
import type { StreamerFact } from "../../src/protocol/StreamerFact.ts"
import { isStreamerFact, StreamerWorld, streamerHistory, streamerInput } from "./worlds/streamer.ts"

const [initial] = streamerStepper.initial(streamerInput)
const recoverableOf = (facts: ReadonlyArray<StreamerFact>, from = initial) =>
  fold(streamerStepper, from, facts).context.recoverable

const options = { fastCheck: { numRuns: 400 } }

describe("the Streamer, over any history,", () => {
  it.prop(
    "is the fold of its facts, and resumes from any stored prefix of them",
    { history: streamerHistory, share: FastCheck.double({ min: 0, max: 1, noNaN: true }) },
    ({ history, share }) => {
      const { play } = new StreamerWorld(history).run(history.ops)
      const facts = play.facts.filter(isStreamerFact)
      const live = play.snapshot.context.recoverable
      expect(recoverableOf(facts)).toEqual(live)
      const cut = Math.round(facts.length * share)
      const stored = JSON.parse(JSON.stringify(recoverableOf(facts.slice(0, cut))))
      const resumed = streamerMachine.resolveState({
        value: initial.value,
        context: { ...initial.context, recoverable: stored }
      })
      expect(recoverableOf(facts.slice(cut), resumed)).toEqual(live)
    },
    options
  )

  it.prop(
    "is the same where batches were sealed one by one",
    { history: streamerHistory },
    ({ history }) => {
      const { play } = new StreamerWorld(history).run(history.ops)
      const oneByOne = play.facts.filter(isStreamerFact).flatMap((fact): ReadonlyArray<StreamerFact> => {
        if (fact.type !== "BatchesSealed") return [fact]
        return Array.from({ length: fact.count }, (_, index) => ({
          ...fact,
          firstSequence: sequenceOf(fact.firstSequence + index),
          count: 1
        }))
      })
      expect(recoverableOf(oneByOne)).toEqual(play.snapshot.context.recoverable)
    },
    options
  )

  it.prop(
    "has every row that it read in the log, once and in order, when it is done",
    { history: streamerHistory },
    ({ history }) => {
      const world = new StreamerWorld(history).run(history.ops)
      if (history.drains) world.happen("drain", 0)
      world.settle()
      expect(world.finished).toBe(true)
      expect(world.log.flat()).toEqual(Array.from({ length: world.rowsRead }, (_, row) => row))
      if (!history.drains) expect(world.rowsRead).toBe(2 * history.earlier + history.rows)
    },
    options
  )
})
