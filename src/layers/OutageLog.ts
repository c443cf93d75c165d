/**
 * Tells once that something is out of reach, and why; rarely while it stays so; and once that it is back. Attempts in
 * between, and one that fails and succeeds in turn, don't fill the log.
 */
import { Clock, Effect } from "effect"

/** Between two lines that say the same. */
const repeatMs = 5 * 60_000
/** Different problems that are told within that time; one whose words differ each time tells no more. */
const problemsToldMax = 8

export class OutageLog {
  /** When each problem was told, in milliseconds since 1970. */
  private readonly told = new Map<string, number>()
  private isTold = false

  /** What it means that something is away, and that it is back. */
  constructor(
    private readonly away: string,
    private readonly back: string
  ) {}

  failed(problem: string): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
      for (const [old, toldMs] of this.told) if (nowMs - toldMs >= repeatMs) this.told.delete(old)
      if (this.told.has(problem) || this.told.size >= problemsToldMax) return Effect.void
      this.told.set(problem, nowMs)
      this.isTold = true
      return Effect.logWarning(`${this.away}: ${problem}`)
    })
  }

  succeeded(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.isTold) return Effect.void
      this.isTold = false
      return Effect.logInfo(this.back)
    })
  }
}
