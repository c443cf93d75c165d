/** Publishing: producers say hello, what fits is appended, what does not waits. */
import { HashMap, Option } from "effect"
import { enqueueActions } from "xstate"
import { producersMax, producersPrunedAt } from "../../protocol/Limits.ts"
import { offsetOf, type ProducerId } from "../../protocol/Log.ts"
import {
  admit,
  type Publisher,
  type PublishOutcome,
  type PublishRun,
  type Settlement,
  withMissing
} from "./Admission.ts"
import { appendedAll, type Producers } from "./Producers.ts"
import { pruned } from "./Pruning.ts"
import { handling, setupBroker } from "./Setup.ts"
import type { BrokerContext, Volatile } from "./State.ts"

/** One append at a time: what comes meanwhile waits, and is appended as one group when it has ended. */
export const isAppending = ({ settlements }: Volatile): boolean => settlements.length > 0

/** Publishers, cut down to as many as there may be; the sessions of those that are forgotten stay fenced. */
const bounded = (
  publishers: Volatile["publishers"],
  { forgottenSession }: Volatile
): Pick<Volatile, "publishers" | "forgottenSession"> => {
  const sessionOf = ({ session }: Publisher) => session ?? -1
  const [rest, forgotten] = pruned(publishers, { max: producersMax, prunedAt: producersPrunedAt }, sessionOf)
  const last = forgotten.at(-1)
  return {
    publishers: rest,
    forgottenSession:
      last === undefined
        ? forgottenSession
        : Math.max(forgottenSession, sessionOf(HashMap.unsafeGet(publishers, last)))
  }
}

/** Admits what fits, in order. Whether the log `isFull` is known only when it was measured. */
const admission = (isFull: boolean) =>
  setupBroker.enqueueActions(({ context, enqueue }) => {
    const { recoverable, volatile } = context
    if (isAppending(volatile)) return
    const { takes, taken, missed, settlements, waiting } = admit(
      {
        nextOffset: recoverable.nextOffset,
        producers: recoverable.producers,
        publishers: volatile.publishers,
        forgottenSession: volatile.forgottenSession,
        bytesFree: volatile.policy.retentionBytes - volatile.logBytes,
        bytesMax: volatile.policy.retentionBytes,
        isFull
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
        settlements: appends ? settlements : [],
        taken,
        ...bounded(withMissing(volatile.publishers, recoverable.producers, missed), volatile)
      }
    })
    if (appends) enqueue({ type: "appendBatches", params: { takes } })
    else if (settlements.length > 0) enqueue({ type: "settlePublishes", params: { settlements } })
  })

export const admitWaiting = admission(false)
/** The same when nothing can be dropped: what does not wait is refused. */
export const admitLast = admission(true)

/** What waits on when some of it, and perhaps of what was taken, does not come: nothing may pass for it. */
const withoutWaiting = (
  { recoverable, volatile }: BrokerContext,
  goes: (run: PublishRun) => boolean,
  taken: ReadonlyArray<PublishRun> = []
): Pick<Volatile, "waiting" | "publishers" | "forgottenSession"> => {
  const gone = volatile.waiting.filter(goes)
  const publishers = withMissing(volatile.publishers, recoverable.producers, [...taken, ...gone])
  return { waiting: volatile.waiting.filter((run) => !goes(run)), ...bounded(publishers, volatile) }
}

/** What a producer is told that says hello. */
const answerTo = (
  producers: Producers,
  { replyTo, producerId }: { readonly replyTo: number; readonly producerId: ProducerId }
) => {
  const known = Option.getOrUndefined(HashMap.get(producers, producerId))
  const { lastSequence = null, lastPosition = null } = known ?? {}
  return { type: "answerHello", params: { replyTo, lastSequence, lastPosition } } as const
}

export const publishing = handling({
  on: {
    Publish: {
      actions: [
        enqueueActions(({ context: { volatile }, event, enqueue }) =>
          enqueue.assign({ volatile: { ...volatile, waiting: [...volatile.waiting, ...event.runs] } })
        ),
        admitWaiting,
        enqueueActions(({ context: { volatile }, event, enqueue }) => {
          // Whether it has to be refused shows when the log was measured, which may be a tick away.
          const mayBeRefused = event.runs[0]?.whenFull === "refuse" && volatile.waiting.length > 0
          if (mayBeRefused && !isAppending(volatile)) enqueue({ type: "measureLog", params: undefined })
        })
      ]
    },
    Withdraw: {
      actions: [
        enqueueActions(({ context, event, enqueue }) => {
          const rest = withoutWaiting(context, ({ group }) => group === event.group)
          enqueue.assign({ volatile: { ...context.volatile, ...rest } })
        }),
        admitWaiting
      ]
    },
    Hello: {
      // Whoever said hello for this producer before is fenced from here on, what it has waiting included.
      actions: [
        enqueueActions(({ context: { recoverable, volatile }, event, enqueue }) => {
          const { producerId, replyTo, session } = event
          const publishers = HashMap.set(volatile.publishers, producerId, { session, missing: null })
          const isOnItsWay = volatile.taken.some(({ producer }) => producer?.id === producerId)
          const greetings = isOnItsWay ? [...volatile.greetings, { replyTo, producerId }] : volatile.greetings
          enqueue.assign({ volatile: { ...volatile, greetings, ...bounded(publishers, volatile) } })
          if (!isOnItsWay) enqueue(answerTo(recoverable.producers, { replyTo, producerId }))
        }),
        admitWaiting
      ]
    },
    AppendFailed: {
      actions: enqueueActions(({ context, event, enqueue }) => {
        const { recoverable, volatile } = context
        const outcome: PublishOutcome = { _tag: "Refused", reason: "log_failed", problem: event.problem }
        const settlements = volatile.settlements.map(
          (settlement): Settlement =>
            settlement.outcome._tag === "Accepted" ? { ...settlement, outcome } : settlement
        )
        // Nothing overtakes what was refused of its group.
        const failed = new Set(
          settlements.flatMap(({ group, outcome }) => (outcome._tag === "Refused" ? [group] : []))
        )
        const behind = volatile.waiting.filter(({ group }) => failed.has(group))
        const rest = withoutWaiting(context, ({ group }) => failed.has(group), volatile.taken)
        enqueue.assign({ volatile: { ...volatile, ...rest, settlements: [], taken: [], greetings: [] } })
        enqueue({
          type: "settlePublishes",
          params: {
            settlements: [...settlements, ...behind.map(({ group, index }) => ({ group, index, outcome }))]
          }
        })
        for (const greeting of volatile.greetings) enqueue(answerTo(recoverable.producers, greeting))
        if (rest.waiting.length > 0) enqueue({ type: "measureLog", params: undefined })
      })
    },
    Appended: {
      actions: enqueueActions(({ event: { runs }, enqueue }) =>
        enqueue({ type: "record", params: { fact: { type: "BatchesAppended", runs } } })
      )
    },
    BatchesAppended: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event: { runs }, enqueue }) => {
        const last = runs[runs.length - 1]!
        const nextOffset = offsetOf(last.firstOffset + last.count)
        const { settlements, measuredEnd } = volatile
        const { producers, forgotten } = appendedAll(recoverable.producers, runs)
        const bytes = runs.reduce(
          (sum, run) => (run.firstOffset < measuredEnd ? sum : sum + run.bytes),
          volatile.logBytes
        )
        enqueue.assign({
          recoverable: { ...recoverable, nextOffset, producers },
          volatile: { ...volatile, logBytes: bytes, settlements: [], taken: [], greetings: [] }
        })
        enqueue({ type: "settlePublishes", params: { settlements } })
        for (const greeting of volatile.greetings) enqueue(answerTo(producers, greeting))
        enqueue({ type: "wakeSubscriptions", params: { end: nextOffset } })
        if (forgotten.length > 0) enqueue({ type: "tellForgotten", params: { producerIds: forgotten } })
        if (volatile.waiting.length > 0) enqueue({ type: "measureLog", params: undefined })
      })
    }
  }
})
