/** What `run` does about checkpoints that an earlier run has left in a log on disk, before its collectors subscribe. */
import { Effect, Layer } from "effect"
import { type CollectorSettings, startOf } from "../compose/instances.ts"
import { Broker, type BrokerUnavailable } from "../layers/Broker.ts"
import { instanceIds } from "../layers/InstanceIds.ts"
import type { RunSettings } from "../layers/settings/commands.ts"
import { SubscriberId } from "../protocol/Log.ts"

/** Whether an id is of one of several collectors, or of the only one. */
const isOfFamily = (id: string, family: string): boolean =>
  id === family || (id.startsWith(`${family}-`) && /^\d+$/.test(id.slice(family.length + 1)))

/** Ends the subscriptions of collectors that an earlier run had more: nobody goes on with them, and they hold the log back. */
const forgetOthers = (collectorId: string, ids: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const broker = yield* Broker
    const { checkpoints } = yield* broker.stats
    const others = checkpoints.filter(
      ({ subscriberId: id, isConnected }) => isOfFamily(id, collectorId) && !ids.includes(id) && !isConnected
    )
    for (const { subscriberId } of others) {
      yield* Effect.logInfo(`${subscriberId} is no collector any more: its checkpoint is forgotten`)
      const subscribe = broker.subscribe({
        ...{ subscriberId, from: "latest", resume: "never", creditMessages: 1, creditBytes: 1 }
      })
      yield* Effect.scoped(Effect.flatMap(subscribe, ({ unsubscribe }) => unsubscribe))
    }
  })

/** A store that did not survive has nothing of what is committed: what the log still holds is stored again. */
const startOver = (settings: CollectorSettings, ids: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const broker = yield* Broker
    const from = startOf(settings)
    yield* Effect.forEach(ids, (id) =>
      Effect.catchTag(
        broker.setCheckpoint(SubscriberId.make(id), from),
        "SetCheckpointRefused",
        () => Effect.void
      )
    )
  })

/** Has checkpoints as the collectors of this run and its store need them. */
export const fitCheckpoints = ({
  collector,
  broker,
  store
}: RunSettings): Layer.Layer<never, BrokerUnavailable, Broker> => {
  if (broker.log.kind === "memory") return Layer.empty
  const ids = instanceIds(collector.collectorId, collector.collectors)
  return Layer.effectDiscard(
    Effect.gen(function* () {
      yield* Effect.ignore(forgetOthers(collector.collectorId, ids))
      if (store.kind === "memory") yield* startOver(collector, ids)
    })
  )
}
