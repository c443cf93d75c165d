/** One collector: its machine, interpreted over a broker and a store. */
import { Deferred, Effect, ExecutionStrategy, Exit, Scope } from "effect"
import {
  type CollectorRequest,
  type CollectorSnapshot,
  type CollectorTimer,
  collectorStepper
} from "../../actors/Collector.ts"
import type { CollectorFact } from "../../protocol/CollectorFact.ts"
import {
  collectorCreditBytes,
  collectorCreditMessages,
  collectorWritesMax,
  retryDelayMsMax,
  retryDelayMsMin,
  writeSamplesMax
} from "../../protocol/Limits.ts"
import { type Offset, offsetOf, type StartFrom, type SubscriberId } from "../../protocol/Log.ts"
import { encodeSample } from "../../protocol/Sample.ts"
import { Broker, type Delivery, type Subscription } from "../Broker.ts"
import { CollectorFailed, type CollectorProgress } from "../Collectors.ts"
import { type Actor, type Handlers, noEvents, onStop, spawn } from "../Interpreter.ts"
import { OutageLog } from "../OutageLog.ts"
import { Rejects } from "../Rejects.ts"
import { StoreUnavailable, TelemetryStore } from "../TelemetryStore.ts"
import * as Timers from "../Timers.ts"
import * as Trace from "../Trace.ts"
import { Inbox } from "./Inbox.ts"
import { makeSeriesInterner } from "./SeriesInterner.ts"

export interface CollectorOptions {
  readonly collectorId: SubscriberId
  /** Where to start where there is no checkpoint. */
  readonly from: StartFrom
  /** The shortest and the longest pause before what failed is tried again, in milliseconds. */
  readonly retryDelayMsMin?: number
  readonly retryDelayMsMax?: number
}

/** The longest that a store may ask to be left alone for. */
const retryAfterMsMax = 3_600_000

export interface Collector {
  readonly progress: Effect.Effect<CollectorProgress>
  /** Completes when its checkpoint has reached an offset; it collects no further. */
  readonly drainTo: (offset: Offset) => Effect.Effect<void, CollectorFailed>
  readonly failed: Effect.Effect<never, CollectorFailed>
  /** Completes when its subscription has been opened for the first time. */
  readonly subscribed: Effect.Effect<void, CollectorFailed>
  /** Its last facts. */
  readonly trace: Effect.Effect<ReadonlyArray<CollectorFact>>
  readonly snapshot: () => CollectorSnapshot
}

type Event = CollectorRequest | CollectorFact
type CollectorCommand = ReturnType<typeof collectorStepper.initial>[1][number]
type Self = Actor<CollectorSnapshot, Event>

const isFact = (event: Event): event is CollectorFact =>
  event.type === "SubscriptionStarted" ||
  event.type === "BatchPersisted" ||
  event.type === "GapNoted" ||
  event.type === "CheckpointCommitted"

interface Resources {
  readonly options: CollectorOptions
  readonly broker: Broker["Type"]
  readonly store: TelemetryStore["Type"]
  readonly storing: OutageLog
  /** What is told of a broker that is away. */
  readonly connecting: OutageLog
  readonly rejects: Rejects["Type"]
  readonly scope: Scope.Scope
  readonly inbox: Inbox
  readonly done: Deferred.Deferred<void, CollectorFailed>
  readonly subscribed: Deferred.Deferred<void>
  readonly timers: (fired: (timer: CollectorTimer) => void) => Timers.Timers<CollectorTimer>
  readonly progress: {
    messagesReceived: number
    samplesStored: number
    samplesRefused: number
    messagesMissed: number
  }
}

/** Payload that is decoded before others get a turn: decoding is the work here, and the machine steps once for all of it. */
const bytesPerTurn = 256 * 1024

/** Takes in one delivery, some messages at a time. */
const receive = (
  { inbox, progress }: Resources,
  self: Self,
  attempt: number,
  delivery: Delivery
): Effect.Effect<void> => {
  if (delivery._tag === "Gap") {
    return Effect.sync(() => {
      progress.messagesMissed += delivery.to - delivery.from
      self.send({ type: "GapTold", attempt, from: delivery.from, to: delivery.to })
    })
  }
  const { firstOffset, payloads } = delivery
  let next = 0
  const receiveSome = () => {
    const first = next
    let samples = 0
    for (let bytes = 0; next < payloads.length && bytes < bytesPerTurn; next++) {
      const payload = payloads[next]!
      samples += inbox.add(firstOffset + next, payload)
      bytes += payload.length
    }
    progress.messagesReceived += next - first
    const range = { from: offsetOf(firstOffset + first), to: offsetOf(firstOffset + next) }
    self.send({ type: "MessagesReceived", attempt, ...range, samples })
  }
  return Effect.whileLoop({
    while: () => next < payloads.length,
    body: () => Effect.map(Effect.yieldNow(), receiveSome),
    step: () => {}
  })
}

/** Subscribes, and takes in what is delivered until the subscription ends or the scope closes. */
const collect = (
  resources: Resources,
  self: Self,
  attempt: number,
  subscribed: (subscription: Subscription) => void
) => {
  const { broker, options, connecting } = resources
  const subscribe = broker.subscribe({
    subscriberId: options.collectorId,
    from: options.from,
    resume: "always",
    creditMessages: collectorCreditMessages,
    creditBytes: collectorCreditBytes
  })
  const takeIn = (subscription: Subscription) =>
    Effect.forever(
      Effect.flatMap(subscription.deliveries, (deliveries) =>
        Effect.forEach(deliveries, (delivery) => receive(resources, self, attempt, delivery), {
          discard: true
        })
      )
    )
  return subscribe.pipe(
    Effect.tap((subscription) => {
      subscribed(subscription)
      self.send({ type: "SubscribeAnswered", attempt, start: subscription.start })
      return Effect.zipRight(connecting.succeeded(), Deferred.succeed(resources.subscribed, undefined))
    }),
    Effect.matchEffect({
      onFailure: ({ message }) =>
        Effect.map(connecting.failed(message), () => self.send({ type: "SubscribeFailed", attempt })),
      onSuccess: (subscription) =>
        Effect.catchTags(takeIn(subscription), {
          SubscriptionTakenOver: () =>
            Effect.sync(() => self.send({ type: "SubscriptionTakenOver", attempt })),
          BrokerUnavailable: ({ message }) =>
            Effect.map(connecting.failed(message), () => self.send({ type: "SubscriptionLost", attempt }))
        })
    })
  )
}

type Persist = Extract<CollectorCommand, { readonly type: "persistBatch" }>["params"]

const persist = (
  { store, storing, rejects, inbox, progress }: Resources,
  params: Persist
): Effect.Effect<CollectorRequest> => {
  const { write, from, to, firstSample, samples: count } = params
  const samples = inbox.samples(from, to, firstSample, count)
  return store.write(samples).pipe(
    // Whatever goes wrong in a store, the write is waited for, and has to be tried again.
    Effect.catchAllDefect((cause) =>
      Effect.fail(
        new StoreUnavailable({ store: store.description, problem: `failed unexpectedly: ${cause}`, cause })
      )
    ),
    Effect.tap(() => storing.succeeded()),
    Effect.map(({ stored, olderThanRetention, refused = [] }): CollectorRequest => {
      progress.samplesStored += stored
      progress.samplesRefused += olderThanRetention.length + refused.length
      for (const index of olderThanRetention) {
        rejects.add("older_than_retention", () => ({
          origin: `offsets ${from} to ${to - 1}`,
          input: encodeSample(samples[index]!)
        }))
      }
      for (const { index, problem } of refused) {
        rejects.add("refused_by_store", () => ({
          origin: `offsets ${from} to ${to - 1}: ${problem}`,
          input: encodeSample(samples[index]!)
        }))
      }
      return { type: "PersistSucceeded", write }
    }),
    Effect.catchTags({
      StoreUnavailable: (failure) =>
        Effect.as(storing.failed(failure.message), {
          type: "PersistFailed",
          write,
          ...(failure.retryAfterMs === undefined
            ? {}
            : { retryAfterMs: Math.min(failure.retryAfterMs, retryAfterMsMax) })
        } as const),
      WriteRefused: ({ problem }) =>
        Effect.succeed<CollectorRequest>({ type: "PersistRefused", write, problem })
    })
  )
}

const commit = (
  { number: attempt, subscription }: Attempt,
  offset: Offset,
  { connecting }: Resources
): Effect.Effect<CollectorRequest> => {
  const lost = ({ message }: { readonly message: string }): Effect.Effect<CollectorRequest> =>
    Effect.as(connecting.failed(message), { type: "SubscriptionLost", attempt })
  return subscription!.commit(offset).pipe(
    Effect.map((committed): CollectorRequest => ({ type: "CommitAnswered", attempt, offset: committed })),
    Effect.catchTags({
      SubscriptionTakenOver: () =>
        Effect.succeed<CollectorRequest>({ type: "SubscriptionTakenOver", attempt }),
      AcknowledgeRefused: lost,
      BrokerUnavailable: lost
    })
  )
}

/** An attempt to subscribe, and the subscription that came of it. */
interface Attempt {
  readonly number: number
  readonly scope: Scope.CloseableScope
  subscription?: Subscription
}

const makeHandlers =
  (resources: Resources) =>
  (self: Self): Handlers<CollectorCommand, Event> => {
    const { options, rejects, scope, inbox, done, timers, progress } = resources
    const start = (work: Effect.Effect<CollectorRequest>) =>
      Effect.as(Effect.forkIn(Effect.map(work, self.send), scope), noEvents)
    let current: Attempt | undefined
    return {
      ...timers((timer) => self.send({ type: "TimerFired", timer })),
      subscribe: ({ attempt: number }) =>
        Effect.gen(function* () {
          if (current !== undefined) yield* Scope.close(current.scope, Exit.void)
          const attempt: Attempt = { number, scope: yield* Scope.fork(scope, ExecutionStrategy.sequential) }
          current = attempt
          const collecting = collect(resources, self, number, (subscription) => {
            attempt.subscription = subscription
          })
          yield* Effect.forkIn(Scope.extend(collecting, attempt.scope), attempt.scope)
          return noEvents
        }),
      persistBatch: (params) => start(persist(resources, params)),
      quarantineSample: ({ from, to, sample, problem }) => {
        const [refused] = inbox.samples(from, to, sample, 1)
        progress.samplesRefused++
        rejects.add("refused_by_store", () => ({
          origin: `offsets ${from} to ${to - 1}: ${problem}`,
          input: encodeSample(refused!)
        }))
        return noEvents
      },
      forgetMessages: ({ below }) => {
        inbox.forget(below)
        return noEvents
      },
      forgetAllMessages: () => {
        inbox.forgetAll()
        return noEvents
      },
      commitOffset: ({ offset }) => start(commit(current!, offset, resources)),
      record: ({ fact }) => [fact],
      finish: () => Effect.as(Deferred.succeed(done, undefined), noEvents),
      fail: ({ problem }) =>
        Effect.as(
          Deferred.fail(done, new CollectorFailed({ collectorId: options.collectorId, problem })),
          noEvents
        )
    }
  }

/**
 * Starts a collector. Closing the scope ends it where it is, as a kill would; `drainTo` first waits for its checkpoint.
 * Collectors of one process may share what they intern.
 */
export const makeCollector = (
  options: CollectorOptions,
  intern = makeSeriesInterner()
): Effect.Effect<Collector, never, Broker | TelemetryStore | Rejects | Scope.Scope> =>
  Effect.gen(function* () {
    const rejects = yield* Rejects
    const resources: Resources = {
      options,
      broker: yield* Broker,
      store: yield* TelemetryStore,
      storing: new OutageLog("nothing can be stored, samples wait in the log", "samples are stored again"),
      connecting: new OutageLog("nothing can be collected", "messages can be collected again"),
      rejects,
      scope: yield* Effect.scope,
      inbox: new Inbox(rejects, intern),
      done: yield* Deferred.make<void, CollectorFailed>(),
      subscribed: yield* Deferred.make<void>(),
      timers: yield* Timers.make<CollectorTimer>(["subscribe", "persist"]),
      progress: { messagesReceived: 0, samplesStored: 0, samplesRefused: 0, messagesMissed: 0 }
    }
    const trace = Trace.make<CollectorFact>()
    const actor = yield* spawn({
      name: `collector ${options.collectorId}`,
      stepper: collectorStepper,
      initial: collectorStepper.initial({
        writesMax: collectorWritesMax,
        writeSamplesMax,
        retryDelayMsMin: options.retryDelayMsMin ?? retryDelayMsMin,
        retryDelayMsMax: options.retryDelayMsMax ?? retryDelayMsMax
      }),
      isFact,
      journal: (facts) => trace.keep(facts.filter(isFact)),
      handlers: makeHandlers(resources)
    })
    // An actor that ends by a defect, or is ended, must not leave anybody waiting.
    yield* onStop(actor, ({ message: problem }) =>
      Deferred.fail(resources.done, new CollectorFailed({ collectorId: options.collectorId, problem }))
    )
    const done = Deferred.await(resources.done)
    const failed = Effect.zipRight(done, Effect.never)
    return {
      progress: Effect.sync(() => ({
        collectorId: options.collectorId,
        ...resources.progress,
        checkpoint: actor.snapshot().context.recoverable.checkpoint
      })),
      drainTo: (to: Offset) =>
        Effect.suspend(() => {
          actor.send({ type: "Drain", to })
          return done
        }),
      failed,
      subscribed: Effect.raceFirst(Deferred.await(resources.subscribed), failed),
      trace: trace.recent,
      snapshot: actor.snapshot
    }
  }).pipe(Effect.annotateLogs({ collector: options.collectorId }))
