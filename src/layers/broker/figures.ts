/** What a broker in this process tells about itself. */
import { HashMap, Option, Order } from "effect"
import type { BrokerSnapshot } from "../../actors/Broker.ts"
import { holdsBackForMs } from "../../actors/broker/Presence.ts"
import type { LogId } from "../../protocol/Log.ts"
import type { BrokerStats, CheckpointStats } from "../Broker.ts"
import type { LogStats } from "../OffsetLog.ts"
import type { Subscriptions } from "./subscriptions.ts"

const byOffset = Order.mapInput(Order.number, ({ offset }: CheckpointStats) => offset)

export const figuresOf = (
  logId: LogId,
  log: LogStats,
  snapshot: BrokerSnapshot,
  subscriptions: Subscriptions
): BrokerStats => {
  const { recoverable, volatile } = snapshot.context
  const { waiting, fullSinceMs, nowMs } = volatile
  return {
    logId,
    log,
    oldestOffset: volatile.oldest,
    nextOffset: recoverable.nextOffset,
    logBytes: volatile.logBytes,
    // While nothing is full they wait for the append that is under way.
    waitingRecords: fullSinceMs === null ? 0 : waiting.reduce((records, run) => records + run.count, 0),
    fullForMs: fullSinceMs === null ? null : Math.max(0, nowMs - fullSinceMs),
    producers: HashMap.toEntries(recoverable.producers).map(([producerId, { lastSequence }]) => ({
      producerId,
      lastSequence
    })),
    subscribers: subscriptions.cursors().map(({ entry: { options, messagesMissed }, cursor }) => ({
      subscriberId: options.subscriberId,
      currentOffset: cursor,
      checkpoint: Option.match(HashMap.get(recoverable.checkpoints, options.subscriberId), {
        onNone: () => null,
        onSome: ({ offset }) => offset
      }),
      messagesMissed
    })),
    checkpoints: HashMap.toEntries(recoverable.checkpoints)
      .map(
        ([subscriberId, checkpoint]): CheckpointStats => ({
          subscriberId,
          ...checkpoint,
          isConnected: HashMap.has(volatile.holders, subscriberId),
          holdsBackForMs: holdsBackForMs(subscriberId, checkpoint, volatile)
        })
      )
      .sort(byOffset),
    gaps: subscriptions.gaps()
  }
}
