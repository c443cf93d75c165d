/** A streamer that restarts at any moment, over connections that break at any moment, loses, doubles and reorders no row. */
import { expect, it } from "@effect/vitest"
import { Context, Effect, Exit, FastCheck, Layer, Option, Scope } from "effect"
import { Broker } from "../../src/layers/Broker.ts"
import { layer as layerRejects } from "../../src/layers/Rejects.ts"
import { makeStreamer, type StreamerOptions } from "../../src/layers/streamers/streamer.ts"
import { TelemetrySource } from "../../src/layers/TelemetrySource.ts"
import { layerSimulated, SimulatedSourceConfig } from "../../src/layers/telemetry-source/simulated.ts"
import { decodeBatch } from "../../src/protocol/Batch.ts"
import { streamerWindowBytes } from "../../src/protocol/Limits.ts"
import { offsetOf, SourcePosition } from "../../src/protocol/Log.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import { seriesKey } from "../../src/protocol/Series.ts"
import { wholeSource } from "../../src/protocol/Shard.ts"
import {
  endOf,
  producerId,
  type Received,
  receive,
  receiveUntil,
  subscribe
} from "../contracts/Broker.messages.ts"
import { type Ground, makeGround } from "../layers/broker/Ground.ts"
import { sampleOf } from "../Samples.ts"
import * as FaultyBroker from "./FaultyBroker.ts"
import { type Drawn, scheduled, timePasses, turns } from "./Turns.ts"

const numRuns = 24
/** So little that publishing waits now and then. */
const retentionBytes = 16 * 1024

const history = FastCheck.record({
  batchSize: FastCheck.integer({ min: 1, max: 7 }),
  rowsPerSecond: FastCheck.constantFrom<number | "max">("max", 2_000),
  faults: FastCheck.array(
    FastCheck.constantFrom<FaultyBroker.Fault>("none", "none", "lost", "answerLost", "onItsWay"),
    { maxLength: 30, size: "max" }
  ),
  /** How long each streamer lives that is killed, and whether the broker ends with it. */
  lives: FastCheck.array(FastCheck.record({ turns: FastCheck.nat(80), takesBroker: FastCheck.boolean() }), {
    maxLength: 8
  })
})
type History = Drawn<typeof history>

const testSource = FastCheck.record({
  /** Rows: a good one gives a sample, a bad one is read and gives none, one of another shard is passed over. */
  rows: FastCheck.array(FastCheck.constantFrom<"good" | "bad" | "passed">("good", "good", "bad", "passed"), {
    maxLength: 120,
    size: "max"
  }),
  chunkRows: FastCheck.array(FastCheck.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 })
})

/** Row `n` is a sample of value `n`; a position is the row that comes next. */
const sourceOf = ({ rows, chunkRows }: Drawn<typeof testSource>) =>
  TelemetrySource.of({
    description: "rows of a test",
    open: ({ resumeAt }) =>
      Effect.sync(() => {
        let next = Option.match(resumeAt, { onNone: () => 0, onSome: Number })
        let reads = 0
        const readSome = (rowsMax: number) => {
          if (next >= rows.length) return Option.none()
          const first = next
          next = Math.min(rows.length, first + Math.min(rowsMax, chunkRows[reads++ % chunkRows.length]!))
          const gone = rows.slice(first, next)
          const good = gone.flatMap((row, index) => (row === "good" ? [first + index] : []))
          const rowsPassed = gone.filter((row) => row === "passed").length
          return Option.some({
            rowsRead: gone.length - rowsPassed,
            rowsPassed,
            samples: good.map((row) => sampleOf(BigInt(row), row)),
            positionAfter: (index: number) => SourcePosition.make(`${good[index]! + 1}`)
          })
        }
        return {
          read: (rowsMax) =>
            Effect.zipRight(
              Effect.yieldNow(),
              Effect.sync(() => readSome(rowsMax))
            )
        }
      })
  })

/** A batch as it was published: what is received is what its JSON says. */
const jsonOf = (message: Received): string => JSON.stringify("text" in message ? message.text : null)

/** The broker of the moment, and a reader that follows it over restarts, so that room is made. */
const openLog = ({ openBroker }: Ground) =>
  Effect.gen(function* () {
    const payloads: Array<string> = []
    let scope = yield* Scope.make()
    let broker = yield* Scope.extend(openBroker, scope)
    const restart = Effect.gen(function* () {
      yield* Scope.close(scope, Exit.void)
      scope = yield* Scope.make()
      broker = yield* Scope.extend(openBroker, scope)
    })
    const follow = Effect.gen(function* () {
      const subscription = yield* subscribe("reader", { resume: "always" })
      for (;;) {
        for (const message of yield* receive(subscription)) {
          const text = jsonOf(message)
          if (!("offset" in message)) throw new Error("a gap")
          expect(payloads[message.offset] ?? text, "an offset holds one thing").toBe(text)
          payloads[message.offset] = text
          yield* subscription.commit(offsetOf(endOf([message], 0)))
        }
      }
    })
    yield* Effect.forkScoped(
      Effect.forever(
        Effect.suspend(() => Effect.ignore(Effect.scoped(Effect.provideService(follow, Broker, broker))))
      )
    )
    return {
      current: () => broker,
      payloads,
      restart,
      close: Effect.suspend(() => Scope.close(scope, Exit.void))
    }
  })

/** What a streamer is given that reads the whole source. */
const optionsOf = (
  options: Pick<StreamerOptions, "streamerId" | "batchSize" | "rowsPerSecond">
): StreamerOptions => ({
  ...options,
  shard: wholeSource,
  collectIntervalMs: 100,
  windowBytes: streamerWindowBytes
})

/** The samples of some payloads. */
const samplesIn = (payloads: ReadonlyArray<string>): ReadonlyArray<Sample> =>
  payloads.flatMap((text) => {
    const batch = decodeBatch(new TextEncoder().encode(text))
    if (typeof batch === "string") throw new Error(batch)
    return batch.samples
  })

/** Streams the source to its end through all that befalls it; answers the samples in the log. */
const samplesAfter = (
  { batchSize, rowsPerSecond, faults, lives }: History,
  source: TelemetrySource["Type"]
) =>
  Effect.gen(function* () {
    const log = yield* openLog(yield* makeGround({ retentionBytes }))
    yield* Effect.forkScoped(timePasses)
    const services = Context.make(TelemetrySource, source).pipe(
      Context.add(Broker, FaultyBroker.make(log.current, [...faults], yield* Effect.scope))
    )
    const streamerId = producerId("streamer")
    const options = optionsOf({ streamerId, batchSize, rowsPerSecond })
    const streamer = Effect.provide(makeStreamer(options), services)
    for (const life of lives) {
      const scope = yield* Scope.make()
      yield* Scope.extend(streamer, scope)
      yield* turns(life.turns)
      yield* Scope.close(scope, Exit.void)
      if (life.takesBroker) yield* log.restart
    }
    yield* (yield* streamer).done
    const { nextOffset } = yield* log.current().stats
    while (log.payloads.length < nextOffset) yield* turns(1)
    yield* log.close
    return samplesIn(log.payloads)
  })

it.scoped.prop(
  "a streamer that restarts at any moment, over a broken connection or a broker that restarts too, loses and doubles no row",
  { history, rows: testSource },
  ({ history, rows }) =>
    Effect.gen(function* () {
      const samples = yield* samplesAfter(history, sourceOf(rows))
      const good = rows.rows.flatMap((kind, row) => (kind === "good" ? [row] : []))
      expect(samples.map(({ value }) => value)).toEqual(good)
    }).pipe(scheduled),
  { fastCheck: { numRuns } }
)

it.scoped.prop(
  "a streamer that drains at any moment has published all that it has read, and nothing else",
  { rows: testSource, batchSize: FastCheck.integer({ min: 1, max: 7 }), after: FastCheck.nat(100) },
  ({ rows, batchSize, after }) =>
    Effect.gen(function* () {
      const { openBroker } = yield* makeGround()
      const broker = yield* openBroker
      const services = Context.make(TelemetrySource, sourceOf(rows)).pipe(Context.add(Broker, broker))
      yield* Effect.forkScoped(timePasses)
      const streamer = yield* Effect.provide(
        makeStreamer(optionsOf({ streamerId: producerId("streamer"), batchSize, rowsPerSecond: "max" })),
        services
      )
      yield* turns(after)
      yield* streamer.drain
      const { samplesRead } = yield* streamer.progress
      const { nextOffset } = yield* broker.stats
      const received = yield* Effect.provideService(
        Effect.flatMap(subscribe("reader"), (subscription) => receiveUntil(subscription, nextOffset)),
        Broker,
        broker
      )
      const good = rows.rows.flatMap((kind, row) => (kind === "good" ? [row] : []))
      expect(samplesIn(received.map(jsonOf)).map(({ value }) => value)).toEqual(good.slice(0, samplesRead))
    }).pipe(scheduled),
  { fastCheck: { numRuns: 2 * numRuns } }
)

const textOf = ({ series, timeNs, value }: Sample): string => `${seriesKey(series)} ${timeNs} ${value}`

it.scoped.prop(
  "a streamer of a simulated fleet does not lose or double a sample either",
  [history],
  ([history]) =>
    Effect.gen(function* () {
      const config = SimulatedSourceConfig.layer({
        hosts: 2,
        gpusPerHost: 3,
        loop: false,
        timestamps: "original"
      })
      const source = Context.get(
        yield* Layer.build(Layer.provide(layerSimulated, [config, layerRejects])),
        TelemetrySource
      )
      const whole = yield* (yield* source.open({ resumeAt: Option.none(), shard: wholeSource })).read(1_000)
      const samples = yield* samplesAfter(history, source)
      expect(samples.map(textOf)).toEqual(Option.getOrThrow(whole).samples.map(textOf))
    }).pipe(scheduled),
  { fastCheck: { numRuns: numRuns / 4 } }
)
