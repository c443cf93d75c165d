/**
 * The bytes that a session may have published and not answered yet, given out strictly in the order of the calls.
 *
 * (Effect's Semaphore lets a small call overtake a large one that waits, and a call that comes overtake one that was just
 * woken.) A call that was admitted has to say when it is on its way; until then nobody is admitted behind it.
 */
import { Effect } from "effect"

interface Place {
  /** Completes when it is this call's turn and there are bytes for it. */
  readonly admitted: Effect.Effect<void>
  /** It is on its way now, and nothing behind it can overtake it. */
  readonly pass: () => void
  /** It has been answered, or given up at whatever point. */
  readonly leave: () => void
}

export interface SessionBudget {
  /** The next place in the queue, for so many bytes. */
  readonly enter: (bytes: number) => Place
}

interface Call {
  readonly bytes: number
  state: "waiting" | "admitted" | "passed"
  wake: (() => void) | undefined
}

export const make = (bytesMax: number): SessionBudget => {
  let bytesLeft = bytesMax
  /** Those that have not passed, in order. */
  let queue: Array<Call> = []

  const admitNext = (): void => {
    const next = queue[0]
    if (next === undefined || next.state !== "waiting" || next.bytes > bytesLeft) return
    bytesLeft -= next.bytes
    next.state = "admitted"
    next.wake?.()
  }

  return {
    enter: (bytes) => {
      // One that is larger than the whole budget is let through when nothing else is out.
      const call: Call = { bytes: Math.min(bytes, bytesMax), state: "waiting", wake: undefined }
      queue.push(call)
      admitNext()
      return {
        admitted: Effect.async((resume) => {
          if (call.state === "waiting") call.wake = () => resume(Effect.void)
          else resume(Effect.void)
        }),
        pass: () => {
          // Whoever is admitted stands first.
          queue.shift()
          call.state = "passed"
          admitNext()
        },
        leave: () => {
          if (call.state !== "waiting") bytesLeft += call.bytes
          if (call.state !== "passed") queue = queue.filter((other) => other !== call)
          admitNext()
        }
      }
    }
  }
}
