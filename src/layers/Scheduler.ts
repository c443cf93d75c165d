/**
 * A scheduler for Effect under which Node's event loop turns.
 *
 * The default scheduler of Effect 3.20 to 3.22 keeps a run queue per fiber and counts towards a pause per queue. Fibers
 * that wake each other (a publisher and an actor, say) then start afresh at every wake-up and never pause: timers, sockets
 * and signals starve for seconds. Here all fibers share one queue, which goes on by a microtask and, every
 * `drainsPerTurn`-th time or after `turnMs`, by `setImmediate`.
 *
 * `PriorityBuckets` is Effect's own queue; only when it is drained is decided here.
 */
import { type Fiber, FiberRef, Layer, Scheduler } from "effect"

/** Drains of the queue between two turns of the event loop: rare enough to cost nothing, often enough to go unnoticed. */
const drainsPerTurn = 64
/** Time after which the event loop turns however few drains there were: tasks that compute keep nobody waiting for long. */
const turnMs = 5

class TurningScheduler implements Scheduler.Scheduler {
  private queue = new Scheduler.PriorityBuckets()
  private scheduled = false
  private drains = 0
  private turnedAtMs = 0

  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    return fiber.currentOpCount > fiber.getFiberRef(FiberRef.currentMaxOpsBeforeYield)
      ? fiber.getFiberRef(FiberRef.currentSchedulingPriority)
      : false
  }

  scheduleTask(task: Scheduler.Task, priority: number): void {
    this.queue.scheduleTask(task, priority)
    if (!this.scheduled) this.scheduleDrain()
  }

  private scheduleDrain(): void {
    this.scheduled = true
    this.drains = (this.drains + 1) % drainsPerTurn
    const nowMs = performance.now()
    if (this.drains === 0 || nowMs - this.turnedAtMs > turnMs) {
      this.turnedAtMs = nowMs
      setImmediate(this.drain)
    } else queueMicrotask(this.drain)
  }

  private drain = (): void => {
    const buckets = this.queue.buckets
    this.queue.buckets = []
    for (const [, tasks] of buckets) {
      for (const task of tasks) task()
    }
    if (this.queue.buckets.length > 0) this.scheduleDrain()
    else this.scheduled = false
  }
}

/** A scheduler of its own queue. */
export const make = (): Scheduler.Scheduler => new TurningScheduler()

/** Runs everything that is built on it, and what that forks, under one `TurningScheduler`. */
export const layer: Layer.Layer<never> = Layer.suspend(() => Layer.setScheduler(make()))
