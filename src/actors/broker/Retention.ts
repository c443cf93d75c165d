/** What retention may drop. */
import { HashMap } from "effect"
import { type LogBounds, type Offset, offsetOf, type SubscriberId } from "../../protocol/Log.ts"

/**
 * The offset before which to drop so that `bytesNeeded` more fit into `bytesMax`; `undefined` where nothing has to go or
 * nothing may. Nothing that a checkpoint has not passed is dropped (`LOG_WHEN_FULL=block`). No more is dropped than it
 * takes, in whole segments.
 */
export const dropPoint = (
  bounds: LogBounds,
  checkpoints: HashMap.HashMap<SubscriberId, Offset>,
  bytesNeeded: number,
  bytesMax: number
): Offset | undefined => {
  let excess = bounds.bytes + bytesNeeded - bytesMax
  if (excess <= 0) return undefined
  const done = HashMap.reduce(checkpoints, bounds.next, (least, offset) => (offset < least ? offset : least))
  let point: number = bounds.oldest
  for (const segment of bounds.segments) {
    if (segment.next > done || excess <= 0) break
    point = segment.next
    excess -= segment.bytes
  }
  return point > bounds.oldest ? offsetOf(point) : undefined
}
