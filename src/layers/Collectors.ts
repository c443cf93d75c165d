/** The collectors of this process: they read the log and persist what they read. */
import { Context, Effect, Layer, Schema } from "effect"
import type { Offset } from "../protocol/Log.ts"
import type { BrokerUnavailable } from "./Broker.ts"

/** A collector can't go on: another one took its id, or it broke. */
export class CollectorFailed extends Schema.TaggedError<CollectorFailed>()("CollectorFailed", {
  collectorId: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.collectorId}: ${this.problem}`
  }
}

/** What a collector has done since the process started. */
export interface CollectorProgress {
  readonly collectorId: string
  readonly messagesReceived: number
  /** Samples that the store acknowledged; one that is stored again after a redelivery counts again. */
  readonly samplesStored: number
  /** Samples that the store refused, too old ones included. */
  readonly samplesRefused: number
  /** Messages that retention dropped before this collector read them. */
  readonly messagesMissed: number
  readonly checkpoint: Offset
}

export class Collectors extends Context.Tag("telemetry/Collectors")<
  Collectors,
  {
    readonly progress: Effect.Effect<ReadonlyArray<CollectorProgress>>
    /**
     * Completes when every collector's checkpoint has reached the end that the log has now, or, where so configured, of what
     * it has received. They collect no further.
     */
    readonly drain: Effect.Effect<void, CollectorFailed | BrokerUnavailable>
    /** Completes when a collector has failed. */
    readonly failed: Effect.Effect<never, CollectorFailed>
    /** Completes when the subscription of every collector has been opened: nothing published from now on is missed. */
    readonly subscribed: Effect.Effect<void, CollectorFailed>
  }
>() {}

/** Builds a layer once every collector has subscribed. */
export const afterSubscribing = <A, E, R>(
  layer: Layer.Layer<A, E, R>
): Layer.Layer<A, E | CollectorFailed, R | Collectors> =>
  Layer.unwrapEffect(Effect.flatMap(Collectors, ({ subscribed }) => Effect.as(subscribed, layer)))
