/** What brokers of a test stand on: a log and a journal, in memory or in a folder, that outlive any broker over them. */
import { join } from "node:path"
import { Context, Effect, Layer, type Scope } from "effect"
import { Broker } from "../../../src/layers/Broker.ts"
import { BrokerConfig, layerEmbedded } from "../../../src/layers/broker/embedded.ts"
import * as Files from "../../../src/layers/Files.ts"
import { Journal, type JournalFailed } from "../../../src/layers/Journal.ts"
import { FileJournalConfig, layerFiles } from "../../../src/layers/journal/files.ts"
import * as MemoryJournal from "../../../src/layers/journal/memory.ts"
import { OffsetLog, type ReadFailed } from "../../../src/layers/OffsetLog.ts"
import * as MemoryLog from "../../../src/layers/offset-log/memory.ts"
import {
  type LogDamaged,
  type LogUnusable,
  layerSegments,
  SegmentLogConfig
} from "../../../src/layers/offset-log/segments.ts"
import * as Rejects from "../../../src/layers/Rejects.ts"
import { segmentsPerRetention } from "../../../src/protocol/Limits.ts"
import { temporaryDirectory } from "../Directories.ts"

export interface Ground {
  readonly log: OffsetLog["Type"]
  readonly journal: Journal["Type"]
  readonly rejects: Rejects.Rejects["Type"]
  /** A broker over it, recovered from what it holds. Closing the scope ends it where it is, as a kill would. */
  readonly openBroker: Effect.Effect<
    Broker["Type"],
    JournalFailed | ReadFailed | LogDamaged | LogUnusable,
    Scope.Scope
  >
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
export const layerOnMemory = (options: GroundOptions) =>
  Layer.scoped(
    Broker,
    Effect.flatMap(makeGround(options), ({ openBroker }) => openBroker)
  )

/** A folder in which a broker has its log and its journal, and what opens one over it, again and again. */
export const makeDurableGround = ({
  retentionBytes = BrokerConfig.defaults.retentionBytes,
  segmentBytes = Math.ceil(retentionBytes / segmentsPerRetention),
  fsync = "always",
  ...policy
}: GroundOptions & { readonly fsync?: "always" | "interval" | "never" } = {}): Effect.Effect<
  Pick<Ground, "openBroker">,
  never,
  Scope.Scope
> =>
  Effect.map(temporaryDirectory, (directory) => {
    const log = SegmentLogConfig.layer({ directory: join(directory, "log"), segmentBytes, fsync })
    const journal = FileJournalConfig.layer({ directory: join(directory, "journal"), fsync })
    const broker = layerEmbedded.pipe(
      Layer.provide([
        Layer.provide(layerSegments, log),
        Layer.provide(layerFiles, journal),
        Rejects.layer,
        BrokerConfig.layer({ retentionBytes, ...policy })
      ]),
      Layer.provide(Files.layerNode)
    )
    return { openBroker: Effect.map(Layer.build(Layer.fresh(broker)), Context.get(Broker)) }
  })

/** A fresh broker in a folder of its own each time it is built. */
export const layerOnFiles = (options: GroundOptions) =>
  Layer.scoped(
    Broker,
    Effect.flatMap(makeDurableGround(options), ({ openBroker }) => openBroker)
  )
