/** One streamer: its machine, interpreted over a source and a broker. */
import { Clock, Deferred, Effect, ExecutionStrategy, Exit, Option, Scope } from "effect"
import {
  type StreamerRequest,
  type StreamerSnapshot,
  type StreamerTimer,
  streamerStepper
} from "../../actors/Streamer.ts"
import {
  retryDelayMsMax,
  retryDelayMsMin,
  streamerReadRowsMin,
  streamerWindowBatches
} from "../../protocol/Limits.ts"
import { type ProducerId, sequenceOf } from "../../protocol/Log.ts"
import { ownsEverything, type Shard } from "../../protocol/Shard.ts"
import type { StreamerFact } from "../../protocol/StreamerFact.ts"
import { Broker, type ProducerSession } from "../Broker.ts"
import { type Actor, type Handlers, noEvents, onStop, spawn } from "../Interpreter.ts"
import { OutageLog } from "../OutageLog.ts"
import { StreamerFailed, type StreamerProgress } from "../Streamers.ts"
import { type SourceReader, TelemetrySource } from "../TelemetrySource.ts"
import * as Timers from "../Timers.ts"
import * as Trace from "../Trace.ts"
import { Outbox } from "./Outbox.ts"
import * as Pace from "./Pace.ts"

export interface StreamerOptions {
  readonly streamerId: ProducerId
  /** Which rows of the source it reads. */
  readonly shard: Shard
  /** Samples in a full batch. */
  readonly batchSize: number
  /** How long a batch collects unless it is full. */
  readonly collectIntervalMs: number
  /** Rows that it goes through per second, its own and those it passes over. */
  readonly rowsPerSecond: number | "max"
  /** Bytes of batches that are sealed and not acknowledged. */
  readonly windowBytes: number
}

export interface Streamer {
  readonly progress: Effect.Effect<StreamerProgress>
  readonly done: Effect.Effect<void, StreamerFailed>
  readonly drain: Effect.Effect<void, StreamerFailed>
  /** Its last facts. */
  readonly trace: Effect.Effect<ReadonlyArray<StreamerFact>>
  readonly snapshot: () => StreamerSnapshot
}

type Event = StreamerRequest | StreamerFact
type StreamerCommand = ReturnType<typeof streamerStepper.initial>[1][number]

const isFact = (event: Event): event is StreamerFact =>
  event.type === "ProducerResumed" ||
  event.type === "BatchesSealed" ||
  event.type === "BatchesAcknowledged" ||
  event.type === "SourceEnded"

/** What is shared by the handlers of one streamer. */
interface Resources {
  readonly options: StreamerOptions
  readonly broker: Broker["Type"]
  readonly source: TelemetrySource["Type"]
  readonly scope: Scope.Scope
  readonly pace: Pace.Pace
  readonly outbox: Outbox
  readonly done: Deferred.Deferred<void, StreamerFailed>
  readonly stopReading: Deferred.Deferred<void>
  readonly timers: (fired: (timer: StreamerTimer) => void) => Timers.Timers<StreamerTimer>
  readonly progress: { rowsRead: number; samplesRead: number; batchesPublished: number }
  /** What is told of a broker that is away, and of one that takes no batches. */
  readonly connecting: OutageLog
  readonly publishing: OutageLog
}

/** Starts work whose outcome comes back as a request. */
const inBackground =
  (self: Actor<StreamerSnapshot, Event>, scope: Scope.Scope) => (work: Effect.Effect<StreamerRequest>) =>
    Effect.as(Effect.forkIn(Effect.map(work, self.send), scope), noEvents)

/** Only what the race lets through is counted and kept: of a read that ended as it was stopped, all or nothing. */
const readFrom = (
  reader: SourceReader,
  { pace, outbox, progress, stopReading }: Resources,
  rowsMax: number
): Effect.Effect<StreamerRequest> =>
  pace.due(rowsMax).pipe(
    Effect.flatMap(reader.read),
    Effect.raceFirst(Effect.as(Deferred.await(stopReading), "stopped" as const)),
    Effect.map((read): StreamerRequest => {
      if (read === "stopped") return { type: "RowsRead", samples: 0 }
      if (Option.isNone(read)) return { type: "SourceExhausted" }
      const { rowsRead, rowsPassed, samples } = read.value
      pace.spend(rowsRead + rowsPassed)
      progress.rowsRead += rowsRead
      progress.samplesRead += samples.length
      outbox.add(read.value)
      return { type: "RowsRead", samples: samples.length }
    }),
    Effect.catchTag("SourceError", ({ message }) =>
      Effect.succeed<StreamerRequest>({ type: "SourceFailed", problem: message })
    )
  )

const publish = (
  session: ProducerSession,
  batches: Parameters<ProducerSession["publish"]>[0],
  connection: number,
  { options: { streamerId }, connecting, publishing }: Resources
): Effect.Effect<StreamerRequest> => {
  // It is sent again, for as long as it takes: whoever wonders why nothing moves must find a reason.
  const failed = (outage: OutageLog, message: string) =>
    Effect.as(outage.failed(message), { type: "PublishFailed", connection } as const)
  const refused = (problem: string) =>
    Effect.succeed<StreamerRequest>({ type: "PublishRefused", connection, problem })
  return session.publish(batches).pipe(
    Effect.tap(() => publishing.succeeded()),
    Effect.as<StreamerRequest>({
      type: "PublishAnswered",
      next: sequenceOf(batches.firstSequence + batches.payloads.length)
    }),
    Effect.catchTags({
      BrokerUnavailable: ({ message }) => failed(connecting, message),
      PublishRefused: ({ reason, message, problem }) => {
        if (reason === "fenced") return refused(twinOf(streamerId))
        if (reason === "too_large") return refused(problem)
        // What was sent behind a batch that is refused is out of sequence: that batch was told of.
        const isFollowing = reason === "sequence_gap" && publishing.problem !== null
        return failed(publishing, isFollowing ? publishing.problem : message)
      }
    })
  )
}

/** Why a streamer that was fenced ends. */
const twinOf = (streamerId: ProducerId): string =>
  `another streamer connected under the id ${streamerId}; each needs an id of its own`

/** The session of the latest hello, or the attempt at it. It ends when the next hello is said, and with the streamer. */
interface Connection {
  readonly scope: Scope.CloseableScope
  session?: ProducerSession
}

const sayHello = (
  { broker, options, connecting }: Resources,
  own: Connection,
  connection: number
): Effect.Effect<StreamerRequest> =>
  broker.hello(options.streamerId).pipe(
    Scope.extend(own.scope),
    Effect.tap(() => connecting.succeeded()),
    Effect.map((session): StreamerRequest => {
      own.session = session
      const { lastSequence, lastPosition } = session
      return { type: "HelloAnswered", connection, lastSequence, lastPosition }
    }),
    Effect.catchTag("BrokerUnavailable", ({ message }) =>
      Effect.as(connecting.failed(message), { type: "HelloFailed", connection } as const)
    )
  )

const makeHandlers =
  (resources: Resources) =>
  (self: Actor<StreamerSnapshot, Event>): Handlers<StreamerCommand, Event> => {
    const { options, source, scope, outbox, done, stopReading, timers, progress } = resources
    const start = inBackground(self, scope)
    let current: Connection | undefined
    let reader: SourceReader | undefined
    const disconnect = Effect.suspend(() =>
      current === undefined ? Effect.void : Scope.close(current.scope, Exit.void)
    )
    return {
      ...timers((timer) => self.send({ type: "TimerFired", timer })),
      sayHello: ({ connection }) =>
        Effect.gen(function* () {
          yield* disconnect
          const own: Connection = { scope: yield* Scope.fork(scope, ExecutionStrategy.sequential) }
          current = own
          return yield* inBackground(self, own.scope)(sayHello(resources, own, connection))
        }),
      openSource: ({ position }) =>
        start(
          source.open({ resumeAt: Option.fromNullable(position), shard: options.shard }).pipe(
            Effect.provideService(Scope.Scope, scope),
            Effect.map((opened): StreamerRequest => {
              reader = opened
              return { type: "SourceOpened" }
            }),
            Effect.catchTag("SourceError", ({ message }) =>
              Effect.succeed<StreamerRequest>({ type: "SourceFailed", problem: message })
            )
          )
        ),
      readSource: ({ rowsMax }) => start(readFrom(reader!, resources, rowsMax)),
      stopReading: () => Effect.as(Deferred.succeed(stopReading, undefined), noEvents),
      sealBatches: ({ firstSequence, samples, batchSize }) =>
        Effect.map(Clock.currentTimeNanos, (nowNs) => [
          outbox.seal(firstSequence, samples, batchSize, nowNs)
        ]),
      publishBatches: ({ connection, firstSequence, next }) =>
        // With its session, so that an old one that is closed tells nothing any more.
        inBackground(
          self,
          current!.scope
        )(publish(current!.session!, outbox.batches(firstSequence, next), connection, resources)),
      forgetBatches: ({ next }) => {
        progress.batchesPublished += outbox.forget(next)
        return noEvents
      },
      record: ({ fact }) => [fact],
      finish: () => Effect.as(Effect.zipRight(disconnect, Deferred.succeed(done, undefined)), noEvents),
      fail: ({ problem }) =>
        Effect.as(
          Effect.zipRight(
            disconnect,
            Deferred.fail(done, new StreamerFailed({ streamerId: options.streamerId, problem }))
          ),
          noEvents
        )
    }
  }

/** Of how many streamers the rows are gone through in one go, at most: one may happen to own all of them. */
const readSharesMax = 8

/** The rows that it goes through in one go: where others share them, more, because fewer are its own. */
const readRowsMaxOf = ({ batchSize, shard }: StreamerOptions): number => {
  const shares = ownsEverything(shard) ? 1 : Math.min(shard.count, readSharesMax)
  return Math.max(batchSize, shares * streamerReadRowsMin)
}

/** Starts a streamer. Closing the scope ends it where it is, as a kill would; `drain` first loses nothing that was read. */
export const makeStreamer = (
  options: StreamerOptions
): Effect.Effect<Streamer, never, Broker | TelemetrySource | Scope.Scope> =>
  Effect.gen(function* () {
    const resources: Resources = {
      options,
      broker: yield* Broker,
      source: yield* TelemetrySource,
      scope: yield* Effect.scope,
      pace: yield* Pace.make(options.rowsPerSecond),
      outbox: new Outbox(options.streamerId),
      done: yield* Deferred.make<void, StreamerFailed>(),
      stopReading: yield* Deferred.make<void>(),
      timers: yield* Timers.make<StreamerTimer>(["retry"]),
      progress: { rowsRead: 0, samplesRead: 0, batchesPublished: 0 },
      connecting: new OutageLog("batches wait until the broker can be reached", "the broker is there again"),
      publishing: new OutageLog("batches wait until the broker takes them", "the broker takes batches again")
    }
    const trace = Trace.make<StreamerFact>()
    const actor = yield* spawn({
      name: `streamer ${options.streamerId}`,
      stepper: streamerStepper,
      initial: streamerStepper.initial({
        batchSize: options.batchSize,
        collectIntervalMs: options.collectIntervalMs,
        windowBatches: streamerWindowBatches,
        windowBytes: options.windowBytes,
        readRowsMax: readRowsMaxOf(options),
        retryDelayMsMin,
        retryDelayMsMax
      }),
      isFact,
      journal: (facts) => trace.keep(facts.filter(isFact)),
      handlers: makeHandlers(resources)
    })
    // An actor that ends by a defect, or is ended, must not leave anybody waiting.
    yield* onStop(actor, ({ message: problem }) =>
      Deferred.fail(resources.done, new StreamerFailed({ streamerId: options.streamerId, problem }))
    )
    const done = Deferred.await(resources.done)
    return {
      progress: Effect.sync(() => ({
        streamerId: options.streamerId,
        ...resources.progress,
        waitsBecause: resources.publishing.problem
      })),
      done,
      drain: Effect.suspend(() => {
        actor.send({ type: "Drain" })
        return done
      }),
      trace: trace.recent,
      snapshot: actor.snapshot
    }
  }).pipe(Effect.annotateLogs({ streamer: options.streamerId }))
