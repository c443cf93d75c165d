/** Collectors that run in this process: each reads everything, all write to one store. */
import { Context, Effect, Layer } from "effect"
import { offsetOf, type StartFrom, SubscriberId } from "../../protocol/Log.ts"
import { Broker } from "../Broker.ts"
import { type CollectorFailed, Collectors } from "../Collectors.ts"
import { drainAll, drainedOnClose } from "../Drain.ts"
import { instanceIds } from "../InstanceIds.ts"
import type { Rejects } from "../Rejects.ts"
import type { TelemetryStore } from "../TelemetryStore.ts"
import { type Collector, makeCollector } from "./collector.ts"
import { makeSeriesInterner } from "./SeriesInterner.ts"

export interface CollectorsOptions {
  /** The id of one; of several, what their ids begin with. */
  readonly collectorId: SubscriberId
  readonly collectors: number
  /** Where each starts where it has no checkpoint. */
  readonly from: StartFrom
  /**
   * How far they collect when they end: all that is in the log then, where nobody else would store it, or what each has
   * received, where the log keeps the rest for whoever comes next.
   */
  readonly drainTo: "log_end" | "received"
}

export class CollectorConfig extends Context.Tag("telemetry/CollectorConfig")<
  CollectorConfig,
  CollectorsOptions
>() {
  static readonly defaults: CollectorsOptions = {
    collectorId: SubscriberId.make("collector-1"),
    collectors: 1,
    from: "earliest",
    drainTo: "log_end"
  }
  static readonly layer = (config: Partial<CollectorsOptions> = {}): Layer.Layer<CollectorConfig> =>
    Layer.succeed(CollectorConfig, { ...CollectorConfig.defaults, ...config })
}

const make = Effect.gen(function* () {
  const { collectorId, collectors, from } = yield* CollectorConfig
  const intern = makeSeriesInterner()
  return yield* Effect.forEach(instanceIds(collectorId, collectors), (id) =>
    makeCollector({ collectorId: SubscriberId.make(id), from }, intern)
  )
})

/** Stores and commits what a collector has received. Without a subscription it can't commit; all of it is delivered again. */
const drainReceived = ({ snapshot, drainTo }: Collector): Effect.Effect<void, CollectorFailed> =>
  Effect.suspend(() => {
    const { value, context } = snapshot()
    const { received, writes } = context.volatile
    const ends = [context.recoverable.persisted, ...[...received, ...writes].map(({ to }) => to)]
    return value === "collecting" || value === "backingOff"
      ? drainTo(offsetOf(Math.max(...ends)))
      : Effect.void
  })

/** Runs collectors until the layer is closed, which drains them first. */
export const layer: Layer.Layer<Collectors, never, CollectorConfig | Broker | TelemetryStore | Rejects> =
  Layer.scoped(
    Collectors,
    Effect.gen(function* () {
      const broker = yield* Broker
      const { drainTo: goal } = yield* CollectorConfig
      const drain = (collectors: ReadonlyArray<Collector>) =>
        goal === "received"
          ? drainAll(collectors.map(drainReceived))
          : Effect.flatMap(broker.stats, ({ nextOffset }) =>
              drainAll(collectors.map(({ drainTo }) => drainTo(nextOffset)))
            )
      const collectors = yield* drainedOnClose(make, drain)
      const forEach = (wait: (collector: Collector) => Effect.Effect<void, CollectorFailed>) =>
        Effect.forEach(collectors, wait, { concurrency: "unbounded", discard: true })
      return Collectors.of({
        progress: Effect.all(collectors.map(({ progress }) => progress)),
        drain: drain(collectors),
        failed: Effect.zipRight(
          forEach(({ failed }) => failed),
          Effect.never
        ),
        subscribed: forEach(({ subscribed }) => subscribed)
      })
    })
  )
