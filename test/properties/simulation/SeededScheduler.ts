/**
 * A world in which chance decides what happens next, and a seed decides chance.
 *
 * Fibers are interrupted at any operation and go on in any order; time stands still while anybody can go on, but for now and
 * then, and else goes on to whoever wakes first. All of it runs within one call: nothing outside, no timer and no other
 * test, has a say, so that the same seed does the same again.
 */
import { Clock, Duration, Effect, type Exit, Logger, LogLevel, type Scheduler, type Scope } from "effect"

/** Numbers from 0 up to but not with 1: Mulberry32 (Tommy Ettinger, public domain), which is good enough to shuffle. */
export const makeRandom = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** How often a fiber is interrupted, per operation, and how often time goes on although somebody could. */
const yieldShare = 1 / 12
const hurryShare = 1 / 400
/** Tasks after which it is taken to go round in circles. */
const tasksMax = 200_000
/** Time, in the world, after which it is taken to be stuck: there is always somebody who looks at the clock. */
const worldMsMax = 600_000
const startMs = 1_700_000_000_000

interface Sleeper {
  readonly wakeMs: number
  readonly wake: () => void
}

class SeededWorld implements Scheduler.Scheduler {
  private readonly tasks: Array<() => void> = []
  private readonly sleepers = new Set<Sleeper>()
  private nowMs = startMs

  constructor(private readonly random: () => number) {}

  shouldYield(): number | false {
    return this.random() < yieldShare ? 0 : false
  }

  scheduleTask(task: () => void): void {
    this.tasks.push(task)
  }

  /** Runs until that is so; answers whether it ever was. */
  runUntil(isOver: () => boolean): boolean {
    for (let tasks = 0; !isOver(); tasks++) {
      if (tasks > tasksMax) return false
      const isHurried = this.sleepers.size > 0 && this.random() < hurryShare
      if (this.tasks.length > 0 && !isHurried) {
        const [task] = this.tasks.splice(Math.floor(this.random() * this.tasks.length), 1)
        task!()
      } else if (!this.passTime()) return false
    }
    return true
  }

  private passTime(): boolean {
    let first: Sleeper | undefined
    for (const sleeper of this.sleepers) {
      if (first === undefined || sleeper.wakeMs < first.wakeMs) first = sleeper
    }
    if (first === undefined || first.wakeMs - startMs > worldMsMax) return false
    this.nowMs = Math.max(this.nowMs, first.wakeMs)
    this.sleepers.delete(first)
    first.wake()
    return true
  }

  clock(): Clock.Clock {
    const millis = () => this.nowMs
    const nanos = () => BigInt(this.nowMs) * 1_000_000n
    return Object.assign(Clock.make(), {
      unsafeCurrentTimeMillis: millis,
      unsafeCurrentTimeNanos: nanos,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanos: Effect.sync(nanos),
      sleep: (duration: Duration.Duration) =>
        Effect.async<void>((resume) => {
          const wakeMs = this.nowMs + Math.ceil(Duration.toMillis(duration))
          const sleeper = { wakeMs, wake: () => resume(Effect.void) }
          this.sleepers.add(sleeper)
          return Effect.sync(() => this.sleepers.delete(sleeper))
        })
    })
  }
}

/**
 * What becomes of a program in the world of that seed. It dies where the world gets stuck before the program has ended; how
 * its scope closes is no longer looked at. (Interrupted just as they begin, some of Effect's own loops wait for ever.)
 */
export const explore = <A, E>(seed: number, program: Effect.Effect<A, E, Scope.Scope>): Exit.Exit<A, E> => {
  const world = new SeededWorld(makeRandom(seed))
  let ended: Exit.Exit<A, E> | undefined
  const observed = Effect.onExit(program, (exit) =>
    Effect.sync(() => {
      ended = exit
    })
  )
  const quiet = Logger.withMinimumLogLevel(Effect.scoped(observed), LogLevel.None)
  Effect.runFork(Effect.withClock(quiet, world.clock()), { scheduler: world })
  if (!world.runUntil(() => ended !== undefined)) {
    throw new Error("nobody can go on any more, or not for ten minutes")
  }
  return ended!
}
