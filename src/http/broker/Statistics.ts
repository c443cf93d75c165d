/** The answer of `/stats`. */
import type { BrokerStats, CheckpointStats } from "../../layers/Broker.ts"
import { formatTime } from "../../protocol/Time.ts"
import type { BrokerStatistics } from "./Answers.ts"

/** Seconds for which an absent subscriber still holds something back; `undefined` where none are counted. */
export const secondsLeft = ({ holdsBackForMs }: CheckpointStats): number | undefined =>
  holdsBackForMs === null || holdsBackForMs === Number.POSITIVE_INFINITY
    ? undefined
    : Math.ceil(holdsBackForMs / 1_000)

const checkpoint = (stats: CheckpointStats, nextOffset: number): BrokerStatistics["checkpoints"][number] => {
  const seconds = secondsLeft(stats)
  return {
    id: stats.subscriberId,
    offset: stats.offset,
    lag: nextOffset - stats.offset,
    connected: stats.isConnected,
    last_seen: formatTime(BigInt(Math.trunc(stats.seenMs)) * 1_000_000n),
    holds_back: stats.holdsBackForMs !== null,
    ...(seconds === undefined ? {} : { holds_back_seconds: seconds })
  }
}

/** What of a broker is shown, beside what its process rejected. */
export const statistics = (stats: BrokerStats): Omit<BrokerStatistics, "rejects"> => ({
  total_messages: stats.nextOffset,
  oldest_offset: stats.oldestOffset,
  latest_offset: Math.max(0, stats.nextOffset - 1),
  subscriber_count: stats.subscribers.length,
  subscribers: stats.subscribers.map(({ subscriberId, currentOffset, messagesMissed }) => ({
    id: subscriberId,
    current_offset: currentOffset,
    lag: stats.nextOffset - currentOffset,
    missed: messagesMissed
  })),
  next_offset: stats.nextOffset,
  log_id: stats.logId,
  log_bytes: stats.logBytes,
  waiting_messages: stats.waitingRecords,
  ...(stats.fullForMs === null ? {} : { full_for_seconds: stats.fullForMs / 1_000 }),
  producers: stats.producers.map(({ producerId, lastSequence }) => ({
    id: producerId,
    last_sequence: lastSequence
  })),
  checkpoints: stats.checkpoints.map((one) => checkpoint(one, stats.nextOffset)),
  gaps: stats.gaps
})
