/** The broker in this process: the Broker actor over an offset log and a journal. */
import { Clock, Context, Effect, Exit, Layer, Schedule, type Scope } from "effect"
import { type BrokerSnapshot, brokerStepper } from "../../actors/Broker.ts"
import type { BrokerPolicy, BrokerRequest } from "../../actors/broker/State.ts"
import { type BrokerFact, isBrokerFact } from "../../protocol/BrokerFact.ts"
import { brokerTickMs, segmentsPerRetention } from "../../protocol/Limits.ts"
import type { Offset, ProducerId } from "../../protocol/Log.ts"
import { Broker, BrokerUnavailable, type ProducerSession, SetCheckpointRefused } from "../Broker.ts"
import { type Actor, type Handlers, makeLoop, noEvents, onStop } from "../Interpreter.ts"
import { Journal, JournalFailed } from "../Journal.ts"
import { describeRun, OffsetLog, type ReadFailed } from "../OffsetLog.ts"
import { OutageLog } from "../OutageLog.ts"
import { Rejects } from "../Rejects.ts"
import { figuresOf } from "./figures.ts"
import { type BrokerJournal, journalFacts, openJournal } from "./journalling.ts"
import { makePublish, orUnavailable, settle, takenRecords, unavailable, unreadable } from "./publishing.ts"
import { recover } from "./recovery.ts"
import { makeSubscribe, type Opened } from "./subscribing.ts"
import * as Subscriptions from "./subscriptions.ts"

interface BrokerSettings extends BrokerPolicy, Subscriptions.RedeliveryOptions {}

export class BrokerConfig extends Context.Tag("telemetry/BrokerConfig")<BrokerConfig, BrokerSettings>() {
  static readonly defaults: BrokerSettings = {
    retentionBytes: 256 * 1024 * 1024,
    retentionMs: null,
    whenFull: "block",
    subscriberTtlMs: 24 * 3_600_000,
    redeliveriesMax: 3,
    redeliveryDelayMs: 1_000
  }
  static readonly layer = (config: Partial<BrokerSettings> = {}): Layer.Layer<BrokerConfig> =>
    Layer.succeed(BrokerConfig, { ...BrokerConfig.defaults, ...config })
}

type BrokerActor = Actor<BrokerSnapshot, BrokerRequest | BrokerFact>
type BrokerCommand = ReturnType<typeof brokerStepper.initial>[1][number]

type Known = Pick<ProducerSession, "lastSequence" | "lastPosition">

const makeHandlers =
  (
    log: OffsetLog["Type"],
    journal: BrokerJournal,
    subscriptions: Subscriptions.Subscriptions,
    scope: Scope.Scope
  ) =>
  (self: BrokerActor): Handlers<BrokerCommand, BrokerRequest | BrokerFact> => {
    const answer = (replyTo: number, exit: Exit.Exit<unknown, unknown>) => {
      self.reply(replyTo, exit)
      return noEvents
    }
    const refuse = ({ replyTo, reason }: { readonly replyTo: number; readonly reason: string }) =>
      answer(replyTo, Exit.fail(reason))
    const appending = new OutageLog("publishes are refused", "publishes are taken again")
    const measured = Effect.map(log.bounds, (bounds) => [{ type: "LogMeasured" as const, bounds }])
    const dropped = (offset: Offset): Effect.Effect<ReadonlyArray<BrokerRequest>> =>
      Effect.map(log.dropBefore(offset), (bounds) => [{ type: "LogMeasured", bounds }])
    const readable = (end: Offset) => (end < log.readableEnd() ? end : log.readableEnd())
    return {
      // In the background: a slow disk must not delay what frees space, and what comes meanwhile is one group.
      appendBatches: ({ takes }) => {
        const runs = takes.map(takenRecords)
        const [first, ...rest] = runs.map((run, index) => describeRun(takes[index]!.firstOffset, run))
        const append = Effect.matchEffect(log.append(runs), {
          onSuccess: () => {
            self.send({ type: "Appended", runs: [first!, ...rest] })
            return appending.succeeded()
          },
          onFailure: ({ problem }) => {
            self.send({ type: "AppendFailed", problem })
            return appending.failed(problem)
          }
        })
        // A defect must not leave publishes waiting for ever.
        const ended = Effect.catchAllDefect(append, (defect) =>
          Effect.zipRight(Effect.logError("the log has failed", defect), self.stop)
        )
        return Effect.as(Effect.forkIn(ended, scope), noEvents)
      },
      settlePublishes: ({ settlements }) => {
        settle(settlements, self.reply)
        return noEvents
      },
      wakeSubscriptions: ({ end }) => {
        subscriptions.wake(readable(end))
        return noEvents
      },
      answerHello: ({ replyTo, ...known }) => answer(replyTo, Exit.succeed(known)),
      openSubscription: ({ replyTo, subscription, start, clamped }) =>
        Effect.map(
          subscriptions.start(subscription, {
            start,
            end: readable(self.snapshot().context.recoverable.nextOffset)
          }),
          () => answer(replyTo, Exit.succeed<Opened>({ start, clamped }))
        ),
      refuseSubscribe: refuse,
      endSubscription: ({ subscription, reason }) => {
        subscriptions.end(subscription, reason)
        return noEvents
      },
      answerCommit: ({ replyTo, offset }) => answer(replyTo, Exit.succeed(offset)),
      refuseCommit: refuse,
      answerUnsubscribe: ({ replyTo }) => answer(replyTo, Exit.void),
      refuseUnsubscribe: refuse,
      answerSetCheckpoint: ({ replyTo, offset }) => answer(replyTo, Exit.succeed(offset)),
      refuseSetCheckpoint: refuse,
      record: ({ fact }) => [fact],
      measureLog: () => measured,
      saveSnapshot: ({ state, dropBefore }) =>
        journal.snapshot(state).pipe(
          Effect.zipRight(dropBefore === null ? Effect.succeed(noEvents) : dropped(dropBefore)),
          // It is told where it fails.
          Effect.orElseSucceed(() => [{ type: "SaveFailed" as const }])
        ),
      failAsked: ({ replyTos, problem }) => {
        const failure = Exit.fail(new BrokerUnavailable({ problem }))
        for (const replyTo of replyTos) self.reply(replyTo, failure)
        return noEvents
      },
      tellForgotten: (forgotten) =>
        Effect.as(
          Effect.logWarning(
            "producerIds" in forgotten
              ? `forgot producers, the longest idle of too many: ${named(forgotten.producerIds)}`
              : `forgot the checkpoints of subscribers that were away for long: ${named(forgotten.subscriberIds)}`
          ),
          noEvents
        )
    }
  }

/** Some names, the first few of many. */
const named = (ids: ReadonlyArray<string>): string =>
  ids.length <= 5 ? ids.join(", ") : `${ids.slice(0, 5).join(", ")} and ${ids.length - 5} more`

const make = Effect.gen(function* () {
  const { redeliveriesMax, redeliveryDelayMs, ...policy } = yield* BrokerConfig
  const log = yield* OffsetLog
  const journal = yield* openJournal(yield* Journal, log)
  const { state: recovered, savedEnd, entries } = yield* recover(log, journal)
  const subscriptions = Subscriptions.make({
    log,
    rejects: yield* Rejects,
    loop: yield* makeLoop,
    redelivery: { redeliveriesMax, redeliveryDelayMs }
  })
  const bounds = yield* log.bounds
  const nowMs = yield* Clock.currentTimeMillis
  const actor = yield* (yield* makeLoop).spawn({
    name: "broker",
    stepper: brokerStepper,
    initial: brokerStepper.initial({ policy, nowMs, bounds, recoverable: recovered, savedEnd }),
    isFact: isBrokerFact,
    journal: journalFacts(journal, entries),
    journalFailed: (error) => ({
      type: "JournalFailed" as const,
      problem: error instanceof JournalFailed ? error.message : String(error)
    }),
    handlers: makeHandlers(log, journal, subscriptions, yield* Effect.scope)
  })
  yield* log.onReadable(subscriptions.wake)
  yield* onStop(actor, (stopped) => Effect.sync(() => subscriptions.endAll(unavailable(stopped))))
  const tick = Effect.map(Clock.currentTimeMillis, (nowMs) => actor.sendLatest({ type: "Tick", nowMs }))
  yield* Effect.forkScoped(Effect.schedule(tick, Schedule.spaced(brokerTickMs)))

  const runBytesMax = Math.floor(policy.retentionBytes / segmentsPerRetention)
  let nextSession = 0

  const publishFor = (producerId: ProducerId, session: number): ProducerSession["publish"] => {
    const publish = makePublish(actor, session, runBytesMax)
    return ({ payloads, whenFull, ...numbered }) =>
      publish({ payloads, producer: { id: producerId, ...numbered } }, whenFull)
  }

  const hello = (producerId: ProducerId) =>
    Effect.suspend(() => {
      const session = nextSession++
      return actor
        .ask<Known, never>((replyTo) => ({ type: "Hello", replyTo, session, producerId }))
        .pipe(
          Effect.map(
            (known): ProducerSession => ({
              logId: log.logId,
              ...known,
              publish: publishFor(producerId, session)
            })
          ),
          orUnavailable
        )
    })

  const setCheckpoint: Broker["Type"]["setCheckpoint"] = (subscriberId, to) =>
    Effect.gen(function* () {
      const place = typeof to === "object" ? yield* log.offsetAt(to.atMs) : to
      return yield* actor.ask<Offset, "unknown_subscriber">((replyTo) => ({
        type: "SetCheckpoint",
        replyTo,
        subscriberId,
        to: place
      }))
    }).pipe(
      Effect.tap((offset) => Effect.logInfo(`${subscriberId} was set to offset ${offset} by an operator`)),
      Effect.mapError((error) => {
        if (error === "unknown_subscriber") return new SetCheckpointRefused({ subscriberId, reason: error })
        return error._tag === "ReadFailed" ? unreadable(error) : unavailable(error)
      })
    )

  const anonymous = makePublish(actor, nextSession++, runBytesMax)
  return Broker.of({
    publish: (payloads, whenFull) => anonymous({ payloads, producer: null }, whenFull),
    hello,
    join: (producerId) => Effect.sync(() => ({ publish: publishFor(producerId, nextSession++) })),
    subscribe: makeSubscribe(actor, subscriptions, log.logId),
    setCheckpoint,
    stats: Effect.map(log.stats, (logStats) =>
      figuresOf(
        log.logId,
        { ...logStats, problem: logStats.problem ?? journal.problem() },
        actor.snapshot(),
        subscriptions
      )
    )
  })
})

/** The broker over what the log and the journal stand on; recovers from them first. */
export const layerEmbedded: Layer.Layer<
  Broker,
  JournalFailed | ReadFailed,
  BrokerConfig | OffsetLog | Journal | Rejects
> = Layer.scoped(Broker, make)
