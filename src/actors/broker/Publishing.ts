/** Publishing: producers say hello, what fits is appended, what does not waits. */
import { HashMap, Option } from "effect"
import { enqueueActions } from "xstate"
import { producersMax, producersPrunedAt } from "../../protocol/Limits.ts"
import { offsetOf } from "../../protocol/Log.ts"
import { admit, type Settlement } from "./Admission.ts"
import { appendedAll } from "./Producers.ts"
import { pruned } from "./Pruning.ts"
import { handling, setupBroker } from "./Setup.ts"

/** Admits what fits, in order. One append at a time: what it leaves waiting is looked at again when it has ended. */
export const admitWaiting = setupBroker.enqueueActions(({ context, enqueue }) => {
  const { recoverable, volatile } = context
  if (volatile.settlements.length > 0) return
  const { takes, settlements, waiting } = admit(
    {
      nextOffset: recoverable.nextOffset,
      producers: recoverable.producers,
      sessions: volatile.sessions,
      bytesFree: volatile.policy.retentionBytes - volatile.logBytes,
      bytesMax: volatile.policy.retentionBytes
    },
    volatile.waiting
  )
  const appends = takes.length > 0
  const goesOn = waiting.length === 0 ? null : volatile.nowMs
  enqueue.assign({
    volatile: {
      ...volatile,
      waiting,
      fullSinceMs: waiting[0] === volatile.waiting[0] ? (volatile.fullSinceMs ?? goesOn) : goesOn,
      settlements: appends ? settlements : []
    }
  })
  if (appends) enqueue({ type: "appendBatches", params: { takes } })
  else if (settlements.length > 0) enqueue({ type: "settlePublishes", params: { settlements } })
})

export const publishing = handling({
  on: {
    Publish: {
      actions: [
        enqueueActions(({ context: { volatile }, event, enqueue }) =>
          enqueue.assign({ volatile: { ...volatile, waiting: [...volatile.waiting, ...event.runs] } })
        ),
        admitWaiting
      ]
    },
    Hello: {
      // Whoever said hello for this producer before is fenced from here on, what it has waiting included.
      actions: [
        enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
          const known = Option.getOrUndefined(HashMap.get(recoverable.producers, event.producerId))
          const [sessions] = pruned(
            HashMap.set(volatile.sessions, event.producerId, event.session),
            { max: producersMax, prunedAt: producersPrunedAt },
            (session) => session
          )
          enqueue.assign({ volatile: { ...volatile, sessions } })
          enqueue({
            type: "answerHello",
            params: {
              replyTo: event.replyTo,
              lastSequence: known?.lastSequence ?? null,
              lastPosition: known?.lastPosition ?? null
            }
          })
        }),
        admitWaiting
      ]
    },
    AppendFailed: {
      actions: enqueueActions(({ context: { volatile }, event, enqueue }) => {
        const settlements = volatile.settlements.map(
          (settlement): Settlement =>
            settlement.outcome._tag === "Accepted"
              ? { ...settlement, outcome: { _tag: "Refused", reason: "log_failed", problem: event.problem } }
              : settlement
        )
        // Nothing overtakes what was refused of its group.
        const failed = new Set(
          settlements.flatMap(({ group, outcome }) => (outcome._tag === "Refused" ? [group] : []))
        )
        const behind = volatile.waiting.filter(({ group }) => failed.has(group))
        const waiting = volatile.waiting.filter(({ group }) => !failed.has(group))
        const outcome = { _tag: "Refused" as const, reason: "log_failed" as const, problem: event.problem }
        enqueue.assign({ volatile: { ...volatile, waiting, settlements: [] } })
        enqueue({
          type: "settlePublishes",
          params: {
            settlements: [...settlements, ...behind.map(({ group, index }) => ({ group, index, outcome }))]
          }
        })
        if (waiting.length > 0) enqueue({ type: "measureLog", params: undefined })
      })
    },
    BatchesAppended: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event: { runs }, enqueue }) => {
        const last = runs[runs.length - 1]!
        const nextOffset = offsetOf(last.firstOffset + last.count)
        const { settlements } = volatile
        const { producers, forgotten } = appendedAll(recoverable.producers, runs)
        enqueue.assign({
          recoverable: { ...recoverable, nextOffset, producers },
          volatile: {
            ...volatile,
            logBytes: volatile.logBytes + runs.reduce((bytes, run) => bytes + run.bytes, 0),
            settlements: []
          }
        })
        enqueue({ type: "settlePublishes", params: { settlements } })
        enqueue({ type: "wakeSubscriptions", params: { end: nextOffset } })
        if (forgotten.length > 0) enqueue({ type: "tellForgotten", params: { producerIds: forgotten } })
        if (volatile.waiting.length > 0) enqueue({ type: "measureLog", params: undefined })
      })
    }
  }
})
