/** The broker in this process: the Broker actor over an offset log and a journal. */
import { Context, Effect, Exit, HashMap, Layer, Option } from "effect"
import { type BrokerRequest, type BrokerSnapshot, BrokerState, brokerStepper } from "../../actors/Broker.ts"
import type { BrokerFact } from "../../protocol/BrokerFact.ts"
import { JournalledBrokerFact } from "../../protocol/BrokerFact.ts"
import { journalFactsMax, segmentsPerRetention } from "../../protocol/Limits.ts"
import type { Offset, ProducerId } from "../../protocol/Log.ts"
import {
  Broker,
  type BrokerStats,
  CommitRefused,
  type ProducerSession,
  type SubscribeOptions,
  type Subscription,
  SubscriptionTakenOver
} from "../Broker.ts"
import { type Actor, type Handlers, makeLoop, noEvents, onStop } from "../Interpreter.ts"
import { Journal, type JournalFailed, type OpenJournal, typed } from "../Journal.ts"
import { describeRun, OffsetLog } from "../OffsetLog.ts"
import { makePublish, orUnavailable, settle, takenRecords, unavailable } from "./publishing.ts"
import { recover } from "./recovery.ts"
import * as Subscriptions from "./subscriptions.ts"

export class BrokerConfig extends Context.Tag("telemetry/BrokerConfig")<
  BrokerConfig,
  {
    /** The most that the log holds. Publishing waits where that would take what a checkpoint has not passed. */
    readonly retentionBytes: number
  }
>() {
  static readonly defaults = { retentionBytes: 256 * 1024 * 1024 }
  static readonly layer = (config: Partial<typeof BrokerConfig.defaults> = {}): Layer.Layer<BrokerConfig> =>
    Layer.succeed(BrokerConfig, { ...BrokerConfig.defaults, ...config })
}

type BrokerActor = Actor<BrokerSnapshot, BrokerRequest | BrokerFact>
type BrokerCommand = ReturnType<typeof brokerStepper.initial>[1][number]
type BrokerJournal = OpenJournal<BrokerState, JournalledBrokerFact>

const isFact = (event: BrokerRequest | BrokerFact): event is BrokerFact =>
  event.type === "BatchesAppended" || event.type === "SubscriptionOpened" || event.type === "OffsetCommitted"

/** Journals facts, but for those that the log's append has journalled; from time to time a snapshot takes their place. */
const journalFacts = (journal: BrokerJournal) => {
  let sinceSnapshot = 0
  return (
    facts: ReadonlyArray<BrokerRequest | BrokerFact>,
    next: BrokerSnapshot
  ): Effect.Effect<void, JournalFailed> => {
    const entries = facts.filter(isFact).filter((fact) => fact.type !== "BatchesAppended")
    if (entries.length === 0) return Effect.void
    sinceSnapshot += entries.length
    if (sinceSnapshot <= journalFactsMax) return journal.append(entries)
    sinceSnapshot = 0
    return journal.snapshot(next.context.recoverable)
  }
}

type Opened = Pick<Subscription, "start" | "clamped">
type Known = Pick<ProducerSession, "lastSequence" | "lastPosition">
type RefusedAcknowledge = "beyond_delivered" | "subscription_ended"

const makeHandlers =
  (log: OffsetLog["Type"], journal: BrokerJournal, subscriptions: Subscriptions.Subscriptions) =>
  (self: BrokerActor): Handlers<BrokerCommand, BrokerRequest | BrokerFact> => {
    const answer = (replyTo: number, exit: Exit.Exit<unknown, unknown>) => {
      self.reply(replyTo, exit)
      return noEvents
    }
    const measured = Effect.map(log.bounds, (bounds) => [{ type: "LogMeasured" as const, bounds }])
    return {
      appendBatches: ({ takes }) => {
        const runs = takes.map(takenRecords)
        const [first, ...rest] = runs.map((run, index) => describeRun(takes[index]!.firstOffset, run))
        const appended = { type: "BatchesAppended" as const, runs: [first!, ...rest] as const }
        const failed = (problem: string) => [{ type: "AppendFailed" as const, problem }]
        return Effect.match(log.append(runs), {
          onSuccess: (): ReadonlyArray<BrokerRequest | BrokerFact> => [appended],
          onFailure: (error) => failed(error.problem)
        })
      },
      settlePublishes: ({ settlements }) => {
        settle(settlements, self.reply)
        return noEvents
      },
      wakeSubscriptions: ({ end }) => {
        subscriptions.wake(end)
        return noEvents
      },
      answerHello: ({ replyTo, ...known }) => answer(replyTo, Exit.succeed(known)),
      openSubscription: ({ replyTo, subscription, start, clamped }) =>
        Effect.map(
          subscriptions.start(subscription, { start, end: self.snapshot().context.recoverable.nextOffset }),
          () => answer(replyTo, Exit.succeed<Opened>({ start, clamped }))
        ),
      endSubscription: ({ subscription }) => {
        subscriptions.end(subscription)
        return noEvents
      },
      answerCommit: ({ replyTo, offset }) => answer(replyTo, Exit.succeed(offset)),
      refuseCommit: ({ replyTo, reason }) => answer(replyTo, Exit.fail(reason)),
      record: ({ fact }) => [fact],
      measureLog: () => measured,
      saveSnapshot: ({ state }) => Effect.as(Effect.orDie(journal.snapshot(state)), noEvents),
      dropBefore: ({ offset }) =>
        Effect.map(log.dropBefore(offset), (bounds) => [{ type: "LogMeasured" as const, bounds }])
    }
  }

const statsOf = (
  log: OffsetLog["Type"],
  actor: BrokerActor,
  subscriptions: Subscriptions.Subscriptions
): BrokerStats => {
  const { recoverable, volatile } = actor.snapshot().context
  return {
    logId: log.logId,
    oldestOffset: volatile.oldest,
    nextOffset: recoverable.nextOffset,
    logBytes: volatile.logBytes,
    waitingRecords: volatile.waiting.reduce((records, run) => records + run.count, 0),
    producers: HashMap.size(recoverable.producers),
    subscribers: subscriptions.cursors().map(({ options: { subscriberId }, cursor }) => ({
      subscriberId,
      currentOffset: cursor,
      checkpoint: Option.getOrNull(HashMap.get(recoverable.checkpoints, subscriberId))
    }))
  }
}

const make = Effect.gen(function* () {
  const { retentionBytes } = yield* BrokerConfig
  const log = yield* OffsetLog
  const journal = typed("broker", yield* (yield* Journal).open("broker"), BrokerState, JournalledBrokerFact)
  const recovered = yield* recover(log, journal)
  const subscriptions = Subscriptions.make(log, yield* makeLoop)
  const bounds = yield* log.bounds
  const actor = yield* (yield* makeLoop).spawn({
    name: "broker",
    stepper: brokerStepper,
    initial: brokerStepper.initial({ retentionBytes, bounds, recoverable: recovered }),
    isFact,
    journal: journalFacts(journal),
    handlers: makeHandlers(log, journal, subscriptions)
  })
  yield* onStop(actor, (stopped) => subscriptions.failAll(unavailable(stopped)))

  const runBytesMax = Math.floor(retentionBytes / segmentsPerRetention)
  let nextSession = 0

  const subscribe = (options: SubscribeOptions) =>
    Effect.gen(function* () {
      const { subscriberId, from, resume } = options
      const [subscription, entry] = yield* subscriptions.register(options)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => actor.send({ type: "Leave", subscription, subscriberId }))
      )
      const opened = yield* actor.ask<Opened, never>((replyTo) => ({
        type: "Subscribe",
        replyTo,
        subscription,
        subscriberId,
        from,
        resume
      }))
      const commit = (offset: Offset) =>
        Effect.zipRight(
          entry.actor!.ask<Offset, RefusedAcknowledge>((replyTo) => ({
            type: "Acknowledge",
            replyTo,
            below: offset
          })),
          actor.ask<Offset, "not_holder">((replyTo) => ({
            type: "Commit",
            replyTo,
            subscription,
            subscriberId,
            offset
          }))
        ).pipe(
          Effect.mapError((error) =>
            error === "beyond_delivered"
              ? new CommitRefused({ offset })
              : error === "not_holder" || error === "subscription_ended"
                ? new SubscriptionTakenOver({ subscriberId })
                : error
          ),
          orUnavailable
        )
      const deliveries = Effect.map(entry.delivered.takeAll, ([taken]) => [...taken])
      return { logId: log.logId, ...opened, deliveries, commit } satisfies Subscription
    }).pipe(orUnavailable)

  const hello = (producerId: ProducerId) =>
    Effect.suspend(() => {
      const session = nextSession++
      const publish = makePublish(actor.ask, session, runBytesMax)
      return actor
        .ask<Known, never>((replyTo) => ({ type: "Hello", replyTo, session, producerId }))
        .pipe(
          Effect.map(
            (known): ProducerSession => ({
              logId: log.logId,
              ...known,
              publish: ({ payloads, ...numbered }) =>
                publish({ payloads, producer: { id: producerId, ...numbered } })
            })
          ),
          orUnavailable
        )
    })

  const anonymous = makePublish(actor.ask, nextSession++, runBytesMax)
  return Broker.of({
    publish: (payloads) => anonymous({ payloads, producer: null }),
    hello,
    subscribe,
    stats: Effect.suspend(() => Effect.succeed(statsOf(log, actor, subscriptions)))
  })
})

/** The broker over what the log and the journal stand on; recovers from them first. */
export const layerEmbedded: Layer.Layer<Broker, JournalFailed, BrokerConfig | OffsetLog | Journal> =
  Layer.scoped(Broker, make)
