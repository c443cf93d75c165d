/** Publishing to the Broker actor in this process: groups of payloads on their way in, and their answers. */
import { Effect, Exit } from "effect"
import type {
  PublishOutcome,
  PublishRun,
  SessionId,
  Settlement,
  Take
} from "../../actors/broker/Admission.ts"
import type { BrokerRequest } from "../../actors/broker/State.ts"
import { publishPendingBytesMin, sessionPendingBytesMax } from "../../protocol/Limits.ts"
import type { PlacedRun } from "../../protocol/Log.ts"
import { BrokerUnavailable, type PublishReceipt, PublishRefused, type WhenFull } from "../Broker.ts"
import { ActorStopped } from "../Interpreter.ts"
import { type ReadFailed, type RecordRun, recordBytes, sliceRun } from "../OffsetLog.ts"
import * as SessionBudget from "./SessionBudget.ts"

/** What the machine's handle stands for: the records, by run, and the outcomes that have come. */
class PublishGroup {
  readonly outcomes: Array<PublishOutcome> = []
  constructor(
    readonly replyTo: number,
    readonly runs: ReadonlyArray<SizedRun>
  ) {}
}

/** A run with its size, which is counted once: that takes a look at every record. */
interface SizedRun {
  readonly run: RecordRun
  readonly bytes: number
}

type Ask = <A, E>(
  request: (replyTo: number) => BrokerRequest,
  options: { readonly bytes: number }
) => Effect.Effect<A, E | ActorStopped>

/** An actor of this process that has stopped is a broker that is gone. */
export const unavailable = (stopped: ActorStopped): BrokerUnavailable =>
  new BrokerUnavailable({ problem: stopped.message, cause: stopped })

/** A log that can't be read is a broker that can't do what was asked. */
export const unreadable = (failed: ReadFailed): BrokerUnavailable =>
  new BrokerUnavailable({ problem: failed.message, cause: failed })

/** What is asked of an actor of this process, with `BrokerUnavailable` in the place of `ActorStopped`. */
export const orUnavailable = <A, E, R>(
  asked: Effect.Effect<A, E | ActorStopped, R>
): Effect.Effect<A, Exclude<E, ActorStopped> | BrokerUnavailable, R> =>
  Effect.catchIf(
    asked,
    (error): error is ActorStopped => error instanceof ActorStopped,
    (stopped) => Effect.fail(unavailable(stopped))
  ) as Effect.Effect<A, Exclude<E, ActorStopped> | BrokerUnavailable, R>

/** Cuts a run into ones of at most so many bytes, or of one record: what is admitted, or has to wait, as a whole. */
const cutRun = (run: RecordRun, runBytesMax: number): ReadonlyArray<SizedRun> => {
  const cut: Array<SizedRun> = []
  let from = 0
  let bytes = 0
  for (let index = 0; index < run.payloads.length; index++) {
    const next = recordBytes(run, index)
    if (index > from && bytes + next > runBytesMax) {
      cut.push({ run: sliceRun(run, from, index), bytes })
      from = index
      bytes = 0
    }
    bytes += next
  }
  if (from < run.payloads.length) cut.push({ run: sliceRun(run, from, run.payloads.length), bytes })
  return cut
}

/** How a session publishes: in order, with a budget of bytes that have no answer yet. */
export const makePublish = (
  { ask, send }: { readonly ask: Ask; readonly send: (request: BrokerRequest) => void },
  session: SessionId,
  runBytesMax: number
) => {
  const budget = SessionBudget.make(sessionPendingBytesMax)
  return (
    records: RecordRun,
    whenFull: WhenFull = "wait"
  ): Effect.Effect<PublishReceipt, PublishRefused | BrokerUnavailable> => {
    const cut = cutRun(records, runBytesMax)
    if (cut.length === 0) return Effect.succeed({ duplicates: 0, firstOffset: null, placed: [] })
    const bytes = cut.reduce((sum, sized) => sum + sized.bytes, 0)
    let group: PublishGroup | undefined
    const requestOf = (replyTo: number): BrokerRequest => {
      const sent = new PublishGroup(replyTo, cut)
      group = sent
      const runs = cut.map(
        ({ run: { payloads, producer }, bytes }, index): PublishRun => ({
          group: sent,
          index,
          session,
          count: payloads.length,
          bytes,
          whenFull,
          producer: producer && { id: producer.id, firstSequence: producer.firstSequence }
        })
      )
      return { type: "Publish", runs }
    }
    // One that is not to wait would wait for those that are.
    if (whenFull === "refuse") return orUnavailable(ask(requestOf, { bytes }))
    return Effect.acquireUseRelease(
      // However small it is: so that there are not too many of them.
      Effect.sync(() => budget.enter(Math.max(bytes, publishPendingBytesMin))),
      ({ admitted, pass }) => {
        const published = ask<PublishReceipt, PublishRefused>(
          (replyTo) => {
            pass()
            return requestOf(replyTo)
          },
          { bytes }
        )
        return orUnavailable(Effect.zipRight(admitted, published))
      },
      ({ leave }, exit) =>
        Effect.sync(() => {
          // Nobody waits for it any more: what has no room yet must not wait on, or there would be no bound.
          if (group !== undefined && Exit.isInterrupted(exit)) send({ type: "Withdraw", group })
          leave()
        })
    )
  }
}

const groupOf = (handle: object): PublishGroup => handle as PublishGroup

/** The records that a take stands for. */
export const takenRecords = ({ group, index, skip }: Take): RecordRun => {
  const { run } = groupOf(group).runs[index]!
  return sliceRun(run, skip, run.payloads.length)
}

const problemOf = (outcome: Extract<PublishOutcome, { _tag: "Refused" }>): string => {
  switch (outcome.reason) {
    case "fenced":
      return "fenced: another one publishes under the same id"
    case "too_large":
      return "larger than all that the log may hold"
    case "log_full":
      return "log full"
    case "sequence_gap":
      return `sequence gap, expected ${outcome.expected}`
    case "log_failed":
      return outcome.problem
  }
}

/** The answer to a group whose every run has an outcome. */
const answerOf = (outcomes: ReadonlyArray<PublishOutcome>): Exit.Exit<PublishReceipt, PublishRefused> => {
  const placed: Array<PlacedRun> = []
  let duplicates = 0
  for (const outcome of outcomes) {
    if (outcome._tag === "Refused") {
      return Exit.fail(new PublishRefused({ reason: outcome.reason, problem: problemOf(outcome), placed }))
    }
    for (const run of outcome.placed) {
      placed.push(run)
      if (run.isDuplicate) duplicates += run.count
    }
  }
  return Exit.succeed({ duplicates, firstOffset: placed[0]?.firstOffset ?? null, placed })
}

/** Notes outcomes, and answers the groups that are complete with them. */
export const settle = (
  settlements: ReadonlyArray<Settlement>,
  reply: (replyTo: number, answer: Exit.Exit<PublishReceipt, PublishRefused>) => void
): void => {
  for (const { group: handle, outcome } of settlements) {
    const group = groupOf(handle)
    // Runs of a group are settled in their order.
    group.outcomes.push(outcome)
    if (group.outcomes.length === group.runs.length) reply(group.replyTo, answerOf(group.outcomes))
  }
}
