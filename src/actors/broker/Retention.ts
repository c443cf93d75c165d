/** What retention drops, and when it looks. */
import { Array as Arrays, HashMap } from "effect"
import { enqueueActions } from "xstate"
import { type LogBounds, type Offset, offsetOf } from "../../protocol/Log.ts"
import { awayForGood, holdsBackForMs, toBeNoted } from "./Presence.ts"
import { admitLast, admitWaiting } from "./Publishing.ts"
import { handling } from "./Setup.ts"
import type { BrokerContext, Checkpoints, Volatile } from "./State.ts"

/** The offset from which on somebody keeps the log from dropping; its end where nobody does. */
export const heldBackFrom = (
  checkpoints: Checkpoints,
  end: Offset,
  now: Pick<Volatile, "nowMs" | "startedMs" | "holders" | "policy">
): Offset =>
  HashMap.reduce(checkpoints, end, (least, checkpoint, subscriberId) =>
    checkpoint.offset < least && holdsBackForMs(subscriberId, checkpoint, now) !== null
      ? checkpoint.offset
      : least
  )

/** What of a log goes: what is too old, and what it takes to make room. */
interface Wanted {
  /** More bytes that have to fit. */
  readonly bytesNeeded: number
  readonly bytesMax: number
  /** Segments without a record since then are too old; none is where it is `null`. */
  readonly newestBeforeMs: number | null
  /** Nothing from here on may be dropped. */
  readonly heldBackFrom: Offset
}

/**
 * The offset before which to drop; `undefined` where nothing has to go or nothing may. No more is dropped than it takes,
 * in whole segments.
 */
export const dropPoint = (bounds: LogBounds, wanted: Wanted): Offset | undefined => {
  let excess = bounds.bytes + wanted.bytesNeeded - wanted.bytesMax
  let point: number = bounds.oldest
  for (const segment of bounds.segments) {
    const isOld = wanted.newestBeforeMs !== null && segment.newestMs < wanted.newestBeforeMs
    if (segment.next > wanted.heldBackFrom || (excess <= 0 && !isOld)) break
    point = segment.next
    excess -= segment.bytes
  }
  return point > bounds.oldest ? offsetOf(point) : undefined
}

const wantedOf = ({ recoverable, volatile }: BrokerContext, end: Offset): Wanted => {
  const { retentionBytes, retentionMs } = volatile.policy
  return {
    bytesNeeded: volatile.waiting[0]?.bytes ?? 0,
    bytesMax: retentionBytes,
    newestBeforeMs: retentionMs === null ? null : volatile.nowMs - retentionMs,
    heldBackFrom: heldBackFrom(recoverable.checkpoints, end, volatile)
  }
}

/** Whether a segment that is closed does not stand in a snapshot: recovery would go through all of it. */
const isSegmentUnsaved = ({ segments }: LogBounds, { savedEnd }: Volatile): boolean => {
  const closed = segments.at(-2)
  return closed !== undefined && closed.next > savedEnd
}

export const retention = handling({
  on: {
    Tick: {
      actions: enqueueActions(({ context: { recoverable, volatile }, event: { nowMs }, enqueue }) => {
        const now = { ...volatile, nowMs }
        enqueue.assign({ volatile: now })
        const seen = toBeNoted(recoverable.checkpoints, now)
        if (Arrays.isNonEmptyReadonlyArray(seen)) {
          enqueue({
            type: "record",
            params: { fact: { type: "SubscribersSeen", subscriberIds: seen, atMs: nowMs } }
          })
        }
        const gone = awayForGood(recoverable.checkpoints, now)
        if (Arrays.isNonEmptyReadonlyArray(gone)) {
          enqueue({
            type: "record",
            params: { fact: { type: "CheckpointsForgotten", subscriberIds: gone } }
          })
          enqueue({ type: "tellForgotten", params: { subscriberIds: gone } })
        }
        enqueue({ type: "measureLog", params: undefined })
      })
    },
    // The next tick tries again; until then what does not wait has no room.
    SaveFailed: {
      actions: [
        enqueueActions(({ context: { volatile }, enqueue }) =>
          enqueue.assign({ volatile: { ...volatile, savedEnd: offsetOf(0) } })
        ),
        admitLast
      ]
    },
    LogMeasured: {
      actions: [
        enqueueActions(({ context: { volatile }, event: { bounds }, enqueue }) => {
          const { oldest, bytes: logBytes, next: measuredEnd } = bounds
          enqueue.assign({ volatile: { ...volatile, oldest, logBytes, measuredEnd } })
        }),
        admitWaiting,
        enqueueActions(({ context, event: { bounds }, enqueue }) => {
          const { recoverable, volatile } = context
          // What is being appended may stand in the log already; for the broker it does not yet.
          const point = dropPoint(bounds, wantedOf(context, recoverable.nextOffset))
          if (point !== undefined || isSegmentUnsaved(bounds, volatile)) {
            enqueue.assign({ volatile: { ...volatile, savedEnd: recoverable.nextOffset } })
            enqueue({ type: "saveSnapshot", params: { state: recoverable, dropBefore: point ?? null } })
          }
          // The log is measured again when it has dropped; then there is room.
          if (point === undefined) enqueue(admitLast)
        })
      ]
    }
  }
})
