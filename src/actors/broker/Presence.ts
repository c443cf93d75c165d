/** Who is there, who has been away for how long, and what that means for what they have not committed. */
import { HashMap, Option, Order } from "effect"
import { checkpointUnseenMsMax, seenIntervalMs } from "../../protocol/Limits.ts"
import type { SubscriberId } from "../../protocol/Log.ts"
import type { BrokerPolicy, Checkpoint, Checkpoints, Volatile } from "./State.ts"

type Now = Pick<Volatile, "nowMs" | "startedMs" | "holders" | "policy">

/** How long after the start of a broker nobody counts as away: who was there before comes back. */
const reconnectMsMax = 60_000

/**
 * For how long a checkpoint still keeps the log from dropping what it has not passed: for ever while its subscriber is
 * there, `null` where it does not (any more).
 */
export const holdsBackForMs = (
  subscriberId: SubscriberId,
  { seenMs }: Checkpoint,
  now: Now
): number | null => {
  const { whenFull, subscriberTtlMs }: BrokerPolicy = now.policy
  if (whenFull === "drop_oldest") return null
  if (HashMap.has(now.holders, subscriberId)) return Number.POSITIVE_INFINITY
  const heldUntilMs = Math.max(
    seenMs + subscriberTtlMs,
    now.startedMs + Math.min(subscriberTtlMs, reconnectMsMax)
  )
  return heldUntilMs > now.nowMs ? heldUntilMs - now.nowMs : null
}

const awayFor = (subscriberId: SubscriberId, { seenMs }: Checkpoint, now: Now): number =>
  HashMap.has(now.holders, subscriberId) || now.nowMs - now.startedMs < reconnectMsMax
    ? 0
    : now.nowMs - seenMs

const idsWhere = (
  checkpoints: Checkpoints,
  holds: (subscriberId: SubscriberId, checkpoint: Checkpoint) => boolean
): ReadonlyArray<SubscriberId> =>
  HashMap.reduce(checkpoints, [] as Array<SubscriberId>, (ids, checkpoint, subscriberId) => {
    if (holds(subscriberId, checkpoint)) ids.push(subscriberId)
    return ids
  })

/** Who is there and was not noted to be for a while. */
export const toBeNoted = (checkpoints: Checkpoints, now: Now): ReadonlyArray<SubscriberId> =>
  idsWhere(
    checkpoints,
    (id, { seenMs }) => HashMap.has(now.holders, id) && now.nowMs - seenMs >= seenIntervalMs
  )

/** Whose checkpoint is not kept any longer. */
export const awayForGood = (checkpoints: Checkpoints, now: Now): ReadonlyArray<SubscriberId> =>
  idsWhere(checkpoints, (id, checkpoint) => awayFor(id, checkpoint, now) > checkpointUnseenMsMax)

const byAbsence = Order.mapInput(
  Order.number,
  ([, checkpoint]: readonly [SubscriberId, Checkpoint]) => checkpoint.seenMs
)

/** Whose checkpoint makes room for another one: of those that hold nothing back any more, who was away for longest. */
export const longestAway = (checkpoints: Checkpoints, now: Now): Option.Option<SubscriberId> => {
  let longest: readonly [SubscriberId, Checkpoint] | undefined
  for (const [id, checkpoint] of checkpoints) {
    if (awayFor(id, checkpoint, now) < now.policy.subscriberTtlMs) continue
    if (longest === undefined || Order.lessThan(byAbsence)([id, checkpoint], longest))
      longest = [id, checkpoint]
  }
  return Option.map(Option.fromNullable(longest), ([id]) => id)
}
