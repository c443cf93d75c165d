/** A broker's figures as the object of `/stats`, and back. */
import type { BrokerStatistics } from "../protocol/BrokerStatistics.ts"
import { type LogId, offsetOf, type ProducerId, type SubscriberId, sequenceOf } from "../protocol/Log.ts"
import { formatTime, parseTime } from "../protocol/Time.ts"
import type { BrokerStats, CheckpointStats } from "./Broker.ts"
import type { LogStats } from "./OffsetLog.ts"

const nanosPerMs = 1_000_000n

const logStatistics = ({
  problem,
  recovery,
  appends,
  appendedBytes,
  syncs
}: LogStats): BrokerStatistics["log"] => ({
  ...(problem === null ? {} : { problem }),
  appends,
  appended_bytes: appendedBytes,
  syncs,
  ...(recovery === null
    ? {}
    : {
        recovery: {
          records: recovery.records,
          bytes: recovery.bytes,
          torn_bytes: recovery.tornBytes,
          duration_ms: recovery.durationMs
        }
      })
})

const checkpointStatistics = (
  { subscriberId, offset, isConnected, seenMs, holdsBackForMs }: CheckpointStats,
  nextOffset: number
): BrokerStatistics["checkpoints"][number] => ({
  id: subscriberId,
  offset,
  lag: Math.max(0, nextOffset - offset),
  connected: isConnected,
  last_seen: formatTime(BigInt(Math.trunc(seenMs)) * nanosPerMs),
  holds_back: holdsBackForMs !== null,
  ...(holdsBackForMs === null || holdsBackForMs === Number.POSITIVE_INFINITY
    ? {}
    : { holds_back_seconds: holdsBackForMs / 1_000 })
})

/** What of a broker is shown, beside what its process rejected. */
export const statisticsOf = (stats: BrokerStats): Omit<BrokerStatistics, "rejects"> => ({
  total_messages: stats.nextOffset,
  oldest_offset: stats.oldestOffset,
  latest_offset: Math.max(0, stats.nextOffset - 1),
  subscriber_count: stats.subscribers.length,
  subscribers: stats.subscribers.map(({ subscriberId, currentOffset, messagesMissed, checkpoint }) => ({
    id: subscriberId,
    current_offset: currentOffset,
    lag: Math.max(0, stats.nextOffset - currentOffset),
    missed: messagesMissed,
    ...(checkpoint === null ? {} : { checkpoint })
  })),
  next_offset: stats.nextOffset,
  log_id: stats.logId,
  log_bytes: stats.logBytes,
  log: logStatistics(stats.log),
  waiting_messages: stats.waitingRecords,
  ...(stats.fullForMs === null ? {} : { full_for_seconds: stats.fullForMs / 1_000 }),
  producers: stats.producers.map(({ producerId, lastSequence }) => ({
    id: producerId,
    last_sequence: lastSequence
  })),
  checkpoints: stats.checkpoints.map((one) => checkpointStatistics(one, stats.nextOffset)),
  gaps: stats.gaps
})

const msOf = (seconds: number): number => Math.round(seconds * 1_000)

const logStats = ({
  problem,
  recovery,
  appends,
  appended_bytes,
  syncs
}: BrokerStatistics["log"]): LogStats => ({
  problem: problem ?? null,
  appends,
  appendedBytes: appended_bytes,
  syncs,
  recovery:
    recovery === undefined
      ? null
      : {
          records: recovery.records,
          bytes: recovery.bytes,
          tornBytes: recovery.torn_bytes,
          durationMs: recovery.duration_ms
        }
})

const holdsBackFor = (checkpoint: BrokerStatistics["checkpoints"][number]): number | null => {
  if (!checkpoint.holds_back) return null
  const { holds_back_seconds: seconds } = checkpoint
  return seconds === undefined ? Number.POSITIVE_INFINITY : msOf(seconds)
}

/** The figures that an object of `/stats` was made of. */
export const statsOf = (shown: Omit<BrokerStatistics, "rejects">): BrokerStats => ({
  logId: shown.log_id as LogId,
  log: logStats(shown.log),
  oldestOffset: offsetOf(shown.oldest_offset),
  nextOffset: offsetOf(shown.next_offset),
  logBytes: shown.log_bytes,
  waitingRecords: shown.waiting_messages,
  fullForMs: shown.full_for_seconds === undefined ? null : msOf(shown.full_for_seconds),
  producers: shown.producers.map(({ id, last_sequence }) => ({
    producerId: id as ProducerId,
    lastSequence: sequenceOf(last_sequence)
  })),
  subscribers: shown.subscribers.map(({ id, current_offset, missed, checkpoint }) => ({
    subscriberId: id as SubscriberId,
    currentOffset: offsetOf(current_offset),
    checkpoint: checkpoint === undefined ? null : offsetOf(checkpoint),
    messagesMissed: missed
  })),
  checkpoints: shown.checkpoints.map((checkpoint) => ({
    subscriberId: checkpoint.id as SubscriberId,
    offset: offsetOf(checkpoint.offset),
    isConnected: checkpoint.connected,
    seenMs: Number((parseTime(checkpoint.last_seen) ?? 0n) / nanosPerMs),
    holdsBackForMs: holdsBackFor(checkpoint)
  })),
  gaps: shown.gaps
})
