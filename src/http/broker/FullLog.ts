/** Whether the log is full, who holds it back, and who may come to. */
import { Option } from "effect"
import type { BrokerStats, CheckpointStats } from "../../layers/Broker.ts"
import { formatDuration } from "../../layers/settings/duration.ts"
import { brokerTickMs } from "../../protocol/Limits.ts"
import type { BrokerReady } from "./Answers.ts"

/** Whole seconds for which an absent subscriber still holds something back; `undefined` where none are counted. */
const secondsLeft = ({ holdsBackForMs }: CheckpointStats): number | undefined =>
  holdsBackForMs === null || holdsBackForMs === Number.POSITIVE_INFINITY
    ? undefined
    : Math.ceil(holdsBackForMs / 1_000)

/** A publish that waits for less is only waiting for its turn; more than a tick, as the time is known by ticks. */
const momentMs = 2 * brokerTickMs

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** A duration as a person would say it: hours and minutes, or minutes and seconds. */
const roughly = (ms: number): string => {
  const unitMs = ms >= hourMs ? minuteMs : 1_000
  return formatDuration(Math.max(0, Math.round(ms / unitMs) * unitMs))
}

const presence = ({ isConnected, seenMs, holdsBackForMs }: CheckpointStats, nowMs: number): string =>
  isConnected
    ? "connected"
    : `not seen for ${roughly(nowMs - seenMs)}, holds back for ${roughly(holdsBackForMs ?? 0)} more`

/** More are counted and not named. */
const namedMax = 3

/** Where publishes wait, whom for: all that stand at the offset from which nothing may be dropped. */
export const whyFull = (stats: BrokerStats, nowMs: number): Option.Option<string> => {
  if (stats.fullForMs === null || stats.fullForMs < momentMs) return Option.none()
  const holding = stats.checkpoints.filter(({ holdsBackForMs }) => holdsBackForMs !== null)
  const first = holding.filter(({ offset }) => offset === holding[0]!.offset)
  const named = first
    .slice(0, namedMax)
    .map((holder) => `${holder.subscriberId} at offset ${holder.offset} (${presence(holder, nowMs)})`)
  if (first.length > namedMax) named.push(`${first.length - namedMax} more`)
  return Option.some(
    named.length === 0 ? "the log is full" : `the log is full: held back by ${named.join(" and ")}`
  )
}

/** Subscribers that are away, and for which the log keeps something. */
export const heldBackBy = ({ checkpoints, nextOffset }: BrokerStats): BrokerReady["held_back_by"] =>
  checkpoints.flatMap((checkpoint) => {
    const seconds = secondsLeft(checkpoint)
    return seconds === undefined || checkpoint.offset === nextOffset
      ? []
      : [{ id: checkpoint.subscriberId, offset: checkpoint.offset, seconds_left: seconds }]
  })
