/** What brokers of a test stand on: a log and a journal in memory that outlive any broker over them. */
import { Context, Effect, Layer, type Scope } from "effect"
import { Broker } from "../../../src/layers/Broker.ts"
import { BrokerConfig, layerEmbedded } from "../../../src/layers/broker/embedded.ts"
import { Journal, type JournalFailed } from "../../../src/layers/Journal.ts"
import * as MemoryJournal from "../../../src/layers/journal/memory.ts"
import { OffsetLog, type ReadFailed } from "../../../src/layers/OffsetLog.ts"
import * as MemoryLog from "../../../src/layers/offset-log/memory.ts"
import * as Rejects from "../../../src/layers/Rejects.ts"
import { segmentsPerRetention } from "../../../src/protocol/Limits.ts"

export interface Ground {
  readonly log: OffsetLog["Type"]
  readonly journal: Journal["Type"]
  readonly rejects: Rejects.Rejects["Type"]
  /** A broker over it, recovered from what it holds. Closing the scope ends it where it is, as a kill would. */
  readonly openBroker: Effect.Effect<Broker["Type"], JournalFailed | ReadFailed, Scope.Scope>
}

export interface GroundOptions extends Partial<BrokerConfig["Type"]> {
  /** A sixteenth of the retention where none is given. */
  readonly segmentBytes?: number
  /** What stands between the log, or the journal, and the broker. */
  readonly wrapLog?: (log: OffsetLog["Type"]) => OffsetLog["Type"]
  readonly wrapJournal?: (journal: Journal["Type"]) => Journal["Type"]
}

export const makeGround = ({
  retentionBytes = BrokerConfig.defaults.retentionBytes,
  segmentBytes = Math.ceil(retentionBytes / segmentsPerRetention),
  wrapLog = (log) => log,
  wrapJournal = (journal) => journal,
  ...policy
}: GroundOptions = {}): Effect.Effect<Ground, never, Scope.Scope> =>
  Effect.gen(function* () {
    const built = yield* Layer.build(
      Layer.mergeAll(
        MemoryLog.layerMemory.pipe(Layer.provide(MemoryLog.MemoryLogConfig.layer({ segmentBytes }))),
        MemoryJournal.layerMemory,
        Rejects.layer
      )
    )
    const log = wrapLog(Context.get(built, OffsetLog))
    const rejects = Context.get(built, Rejects.Rejects)
    const journal = wrapJournal(Context.get(built, Journal))
    const broker = layerEmbedded.pipe(
      Layer.provide(
        Layer.mergeAll(
          Layer.succeed(OffsetLog, log),
          Layer.succeed(Journal, journal),
          Layer.succeed(Rejects.Rejects, rejects),
          BrokerConfig.layer({ retentionBytes, ...policy })
        )
      )
    )
    return {
      log,
      journal,
      rejects,
      openBroker: Effect.map(Layer.build(Layer.fresh(broker)), Context.get(Broker))
    }
  })

/** A fresh broker each time it is built. */
export const layerOnMemory = (options: GroundOptions): Layer.Layer<Broker, JournalFailed | ReadFailed> =>
  Layer.scoped(
    Broker,
    Effect.flatMap(makeGround(options), ({ openBroker }) => openBroker)
  )
