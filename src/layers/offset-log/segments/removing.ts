/** Removes the files of segments that were dropped, the oldest first: a log has no holes that it does not tell of. */
import { Effect } from "effect"
import { Files } from "../../Files.ts"
import type { Segment } from "./Segment.ts"

export const makeRemoving = (directory: string) =>
  Effect.gen(function* () {
    const files = yield* Files
    /** What could not be removed yet. */
    let waiting: ReadonlyArray<Segment> = []
    const turn = Effect.unsafeMakeSemaphore(1)

    const removeOldest = (segment: Segment) =>
      Effect.gen(function* () {
        yield* Effect.ignore(files.remove(segment.indexPath))
        yield* files.remove(segment.path)
        yield* files.syncDirectory(directory)
        waiting = waiting.slice(1)
      })

    const removeAll = Effect.suspend(() => Effect.forEach(waiting, removeOldest, { discard: true })).pipe(
      Effect.catchAll((failed) =>
        Effect.logWarning(`a dropped segment of the log is still there: ${failed.message}`)
      )
    )

    return (dropped: ReadonlyArray<Segment>): Effect.Effect<void> =>
      Effect.suspend(() => {
        waiting = [...waiting, ...dropped]
        return waiting.length === 0 ? Effect.void : Effect.uninterruptible(turn.withPermits(1)(removeAll))
      })
  })
