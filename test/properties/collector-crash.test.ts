/**
 * A collector that is killed at any moment, over a store that fails in every way it may and connections to its broker that
 * break, loses no sample, and commits nothing that the store has not acknowledged.
 */
import { expect, it } from "@effect/vitest"
import { Context, Effect, Exit, FastCheck, Layer, Option, Scope, Stream } from "effect"
import { Broker, type Subscription } from "../../src/layers/Broker.ts"
import { makeCollector } from "../../src/layers/collectors/collector.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import { StoreUnavailable, TelemetryStore, WriteRefused } from "../../src/layers/TelemetryStore.ts"
import { layerMemory, MemoryStoreConfig } from "../../src/layers/telemetry-store/memory.ts"
import { encodeBatch } from "../../src/protocol/Batch.ts"
import { type Offset, SubscriberId } from "../../src/protocol/Log.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import { makeGround } from "../layers/broker/Ground.ts"
import { sampleAt } from "../Samples.ts"
import * as FaultyBroker from "./FaultyBroker.ts"
import { scheduled, timePasses, turns } from "./Turns.ts"

const numRuns = 30

/** What a write does, as long as there are faults left: nothing is stored, half of it, or all of it, and nobody is told. */
type Fault = "none" | "nothing" | "half" | "answerLost"

/** A value that the store refuses, whoever it comes with. */
const poison = -1
const isPoison = (sample: Sample): boolean => sample.value === poison

const history = FastCheck.record({
  /** Samples of each message: good, or poisonous. */
  messages: FastCheck.array(FastCheck.array(FastCheck.boolean(), { maxLength: 6 }), {
    minLength: 1,
    maxLength: 15
  }),
  faults: FastCheck.array(FastCheck.constantFrom<Fault>("none", "nothing", "half", "answerLost"), {
    maxLength: 25
  }),
  connectionFaults: FastCheck.array(
    FastCheck.constantFrom<FaultyBroker.Fault>("none", "none", "none", "lost", "answerLost", "onItsWay"),
    { maxLength: 25 }
  ),
  /** How long each collector lives that is killed. */
  lives: FastCheck.array(FastCheck.nat(120), { maxLength: 6 })
})

/** A store that adds to `acknowledged` the values of every write that it answered. */
const faultyStore = (faults: Array<Fault>, acknowledged: Set<number>) =>
  Effect.map(TelemetryStore, (store) => {
    const down = new StoreUnavailable({ store: "faulty", problem: "down" })
    return TelemetryStore.of({
      ...store,
      write: (samples) => {
        const fault = faults.shift() ?? "none"
        if (fault === "nothing") return down
        if (samples.some(isPoison)) return new WriteRefused({ store: "faulty", problem: "poison" })
        if (fault === "half") return Effect.zipRight(store.write(samples.slice(0, samples.length >> 1)), down)
        if (fault === "answerLost") return Effect.zipRight(store.write(samples), down)
        return Effect.tap(store.write(samples), () => {
          for (const { value } of samples) acknowledged.add(value)
        })
      }
    })
  })

const storedSamples = Effect.gen(function* () {
  const store = yield* TelemetryStore
  const chunks = yield* Stream.runCollect(store.samples({ order: "asc" }))
  return [...chunks].flat().map(({ value }) => value)
})

/** A broker whose every commit is checked: good samples of the messages below it that were not acknowledged are `early`. */
const checkedBroker = (
  broker: Broker["Type"],
  acknowledged: ReadonlySet<number>,
  messages: ReadonlyArray<ReadonlyArray<Sample>>,
  early: Array<string>
) => {
  const checked = (subscription: Subscription): Subscription => ({
    ...subscription,
    commit: (offset: Offset) =>
      Effect.suspend(() => {
        for (const sample of messages.slice(0, offset).flat()) {
          if (!isPoison(sample) && !acknowledged.has(sample.value)) {
            early.push(`${sample.value} below ${offset}`)
          }
        }
        return subscription.commit(offset)
      })
  })
  return Broker.of({ ...broker, subscribe: (options) => Effect.map(broker.subscribe(options), checked) })
}

const collector = makeCollector({ collectorId: SubscriberId.make("collector"), from: "earliest" })

it.scoped.prop(
  "a killed collector over a failing store and broken connections loses no sample and commits nothing that is not stored",
  [history],
  ([{ messages: shapes, faults, connectionFaults, lives }]) =>
    Effect.gen(function* () {
      let count = 0
      const messages = shapes.map((shape) =>
        shape.map((isGood) => {
          const id = count++
          return sampleAt(id, {}, isGood ? id : poison)
        })
      )
      const ground = yield* makeGround()
      const broker = yield* ground.openBroker
      yield* Effect.forEach(messages, (samples) =>
        broker.publish([encodeBatch({ batchId: "b", source: "s", collectedAtNs: 0n, samples })])
      )
      const services = yield* Layer.build(
        Layer.merge(layerMemory.pipe(Layer.provide(MemoryStoreConfig.layer())), Rejects.layer)
      )
      const early: Array<string> = []
      const acknowledged = new Set<number>()
      const store = yield* Effect.provide(faultyStore([...faults], acknowledged), services)
      const checked = checkedBroker(broker, acknowledged, messages, early)
      const scope = yield* Effect.scope
      const context = services.pipe(
        Context.add(TelemetryStore, store),
        Context.add(
          Broker,
          FaultyBroker.make(() => checked, [...connectionFaults], scope)
        )
      )
      yield* Effect.forkScoped(timePasses)
      for (const life of lives) {
        const scope = yield* Scope.make()
        yield* Effect.provide(Scope.extend(collector, scope), context)
        yield* turns(life)
        yield* Scope.close(scope, Exit.void)
      }
      const last = yield* Effect.provide(collector, context)
      const { nextOffset } = yield* broker.stats
      yield* last.drainTo(nextOffset)

      expect(early, "committed before they were stored").toEqual([])
      const good = messages.flat().filter((sample) => !isPoison(sample))
      expect(yield* Effect.provide(storedSamples, context)).toEqual(good.map(({ value }) => value))
      const refused = (yield* Context.get(context, Rejects.Rejects).byReason)[0]
      const poisonous = messages.flat().filter(isPoison).length
      // A redelivery quarantines again; what was never poisonous is in no quarantine.
      expect(refused?.count ?? 0).toBeGreaterThanOrEqual(poisonous)
      expect(refused?.recent.every(({ input }) => input.includes(`"value":${poison}`)) ?? true).toBe(true)
      expect((yield* last.progress).checkpoint).toBe(nextOffset)
      expect(Option.fromNullable((yield* broker.stats).subscribers[0]?.checkpoint)).toEqual(
        Option.some(nextOffset)
      )
    }).pipe(scheduled),
  { fastCheck: { numRuns } }
)
