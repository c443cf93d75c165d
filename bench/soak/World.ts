/** One broker of a soak, and what everyone around it shares: what is published, seen, counted and found wrong. */
import { Context, Effect, Layer, type Scope } from "effect"
import { Broker } from "../../src/layers/Broker.ts"
import { BrokerConfig, layerEmbedded } from "../../src/layers/broker/embedded.ts"
import type { JournalFailed } from "../../src/layers/Journal.ts"
import * as Journal from "../../src/layers/journal/memory.ts"
import { OffsetLog, type ReadFailed } from "../../src/layers/OffsetLog.ts"
import { layerMemory, MemoryLogConfig } from "../../src/layers/offset-log/memory.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import { segmentsPerRetention } from "../../src/protocol/Limits.ts"
import * as Ledger from "./Ledger.ts"
import * as Random from "./Random.ts"

/** What happened since the start. */
export interface Figures {
  /** Records that the broker acknowledged, without those that were there already. */
  published: number
  /** Records that were sent again and found to be there. */
  duplicates: number
  /** First deliveries, and first deliveries again after a subscription ended before it had committed them. */
  delivered: number
  redelivered: number
  quarantined: number
  gaps: number
  missed: number
  /** Sessions of producers, and subscriptions. */
  hellos: number
  subscriptions: number
  takeovers: number
  /** How often a subscriber that had stayed away found publishes waiting for room. */
  foundFull: number
}

const noFigures = (): Figures => ({
  published: 0,
  duplicates: 0,
  delivered: 0,
  redelivered: 0,
  quarantined: 0,
  gaps: 0,
  missed: 0,
  hellos: 0,
  subscriptions: 0,
  takeovers: 0,
  foundFull: 0
})

export type WhenFull = BrokerConfig["Type"]["whenFull"]

export interface World {
  readonly whenFull: WhenFull
  readonly broker: Broker["Type"]
  readonly rejects: Rejects.Rejects["Type"]
  readonly ledger: Ledger.Ledger
  readonly figures: Figures
  readonly retentionBytes: number
  /** Messages of this one tell that it is over. */
  readonly endingProducer: number
  readonly isEnding: () => boolean
  readonly random: (name: string) => Random.Random
  /** Tells what is wrong; the soak ends with the first. */
  readonly complain: (problem: string) => void
}

export interface WorldOptions {
  readonly whenFull: WhenFull
  readonly retentionBytes: number
  readonly seed: number
  readonly isEnding: () => boolean
  readonly complain: (problem: string) => void
  /** What stands between the log and the broker. */
  readonly wrapLog: (log: OffsetLog["Type"]) => OffsetLog["Type"]
}

/** How often acknowledging subscribers get what they refuse again, and how soon. */
export const redeliveriesMax = 2
const redeliveryDelayMs = 20

export const make = ({
  whenFull,
  retentionBytes,
  seed,
  isEnding,
  complain,
  wrapLog
}: WorldOptions): Effect.Effect<World, JournalFailed | ReadFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const memoryLog = layerMemory.pipe(
      Layer.provide(MemoryLogConfig.layer({ segmentBytes: Math.ceil(retentionBytes / segmentsPerRetention) }))
    )
    const log = Layer.effect(OffsetLog, Effect.map(OffsetLog, wrapLog)).pipe(Layer.provide(memoryLog))
    const config = BrokerConfig.layer({ whenFull, retentionBytes, redeliveriesMax, redeliveryDelayMs })
    const embedded = layerEmbedded.pipe(
      Layer.provide([log, Journal.layerMemory, config]),
      Layer.provideMerge(Rejects.layer)
    )
    const built = yield* Layer.build(Layer.fresh(embedded))
    return {
      whenFull,
      broker: Context.get(built, Broker),
      rejects: Context.get(built, Rejects.Rejects),
      ledger: Ledger.make(),
      figures: noFigures(),
      retentionBytes,
      endingProducer: 1_000,
      isEnding,
      random: (name) => Random.make(seed, `${whenFull} ${name}`),
      complain: (problem) => complain(`${whenFull}: ${problem}`)
    }
  })

/** Lets the event loop turn so often. */
export const turns = (count: number): Effect.Effect<void> =>
  count <= 0 ? Effect.void : Effect.repeatN(turn, count - 1)

const turn: Effect.Effect<void> = Effect.async((resume) => {
  const pending = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(pending))
})
