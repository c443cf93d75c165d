/**
 * A soak: two brokers side by side, one that waits for its subscribers and one that does not, with a small retention,
 * producers at full speed and subscribers that come and go. Nothing may be lost but what is told as a gap, and nothing
 * be there twice.
 */
import { Cause, Deferred, Effect } from "effect"
import type { OffsetLog } from "../../src/layers/OffsetLog.ts"
import { play } from "./Cast.ts"
import { type MemorySample, sampleMemory } from "./Memory.ts"
import { type Figures, make, type WhenFull, type World } from "./World.ts"

export interface SoakOptions {
  readonly seed: number
  /** It ends when one of the two is reached: of the messages of both brokers together, or the time. */
  readonly messagesMax: number
  readonly durationMs: number
  /** Of each of the two brokers. */
  readonly retentionBytes: number
  /** Told from time to time. */
  readonly onProgress?: (progress: Progress) => void
  /** What stands between the logs and the brokers. */
  readonly wrapLog?: (log: OffsetLog["Type"]) => OffsetLog["Type"]
}

export interface Progress {
  readonly elapsedMs: number
  readonly figures: Readonly<Record<WhenFull, Readonly<Figures>>>
  readonly memory: MemorySample
}

export interface Outcome extends Progress {
  /** What went wrong, the first of it in front. */
  readonly violations: ReadonlyArray<string>
  readonly memorySamples: ReadonlyArray<MemorySample>
}

const progressIntervalMs = 5_000
/** Time in which something has to be published, and something delivered. */
const stalledAfterMs = 30_000
const violationsKept = 20

/** Where everyone is, for whoever has to find out why nothing goes on. */
const situation = ({ broker }: World) =>
  Effect.map(broker.stats, ({ oldestOffset, nextOffset, waitingRecords, subscribers, checkpoints }) => {
    const cursors = subscribers.map(
      ({ subscriberId, currentOffset }) => `${subscriberId} at ${currentOffset}`
    )
    const kept = checkpoints.map(({ subscriberId, offset }) => `${subscriberId} at ${offset}`)
    return (
      `offsets ${oldestOffset} to ${nextOffset}, ${waitingRecords} records wait; ` +
      `subscriptions: ${cursors.join(", ")}; checkpoints: ${kept.join(", ")}`
    )
  })

/** Complains when nothing is published for long, or nothing delivered, while there is something to do. */
const watch = (world: World) =>
  Effect.gen(function* () {
    for (;;) {
      const before = { ...world.figures }
      yield* Effect.sleep(stalledAfterMs)
      const { published, delivered, redelivered } = world.figures
      const stopped = [
        ...(published === before.published && !world.isEnding() ? ["published"] : []),
        ...(delivered + redelivered === before.delivered + before.redelivered ? ["delivered"] : [])
      ]
      if (stopped.length === 0) continue
      const seconds = stalledAfterMs / 1_000
      world.complain(`nothing was ${stopped.join(" or ")} for ${seconds} s: ${yield* situation(world)}`)
    }
  })

const makeSoak = ({ seed, messagesMax, durationMs, retentionBytes, onProgress, wrapLog }: SoakOptions) =>
  Effect.gen(function* () {
    const startedMs = performance.now()
    const elapsedMs = () => performance.now() - startedMs
    const violations: Array<string> = []
    const violated = yield* Deferred.make<void>()
    const worlds: Array<World> = []
    const shared = {
      seed,
      retentionBytes,
      isEnding: () =>
        elapsedMs() >= durationMs ||
        worlds.reduce((sum, { figures }) => sum + figures.published, 0) >= messagesMax,
      complain: (problem: string) => {
        if (violations.length < violationsKept) violations.push(problem)
        Deferred.unsafeDone(violated, Effect.void)
      },
      wrapLog: wrapLog ?? ((log: OffsetLog["Type"]) => log)
    }
    const block = yield* make({ ...shared, whenFull: "block" })
    const dropOldest = yield* make({ ...shared, whenFull: "drop_oldest" })
    worlds.push(block, dropOldest)

    const memorySamples: Array<MemorySample> = []
    const progress = Effect.gen(function* () {
      const memory = sampleMemory()
      for (const world of worlds) {
        const { logBytes } = yield* world.broker.stats
        if (logBytes > retentionBytes) world.complain(`holds ${logBytes} bytes, which is more than it may`)
      }
      const figures = { block: { ...block.figures }, drop_oldest: { ...dropOldest.figures } }
      return { elapsedMs: elapsedMs(), figures, memory }
    })
    const monitor = Effect.forever(
      Effect.gen(function* () {
        yield* Effect.sleep(progressIntervalMs)
        const now = yield* progress
        memorySamples.push(now.memory)
        onProgress?.(now)
      })
    )
    yield* Effect.forkScoped(monitor)
    const playing = Effect.forEach(
      worlds,
      (world) =>
        Effect.catchAllCause(Effect.raceFirst(play(world), watch(world)), (cause) =>
          Effect.sync(() => world.complain(`ended with ${Cause.pretty(cause)}`))
        ),
      { concurrency: "unbounded", discard: true }
    )
    yield* Effect.raceFirst(playing, Deferred.await(violated))
    return { ...(yield* progress), violations, memorySamples } satisfies Outcome
  })

export const soak = (options: SoakOptions): Effect.Effect<Outcome, unknown> =>
  Effect.scoped(makeSoak(options))
