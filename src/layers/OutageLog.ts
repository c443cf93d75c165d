/**
 * Tells once that something is out of reach, and why; rarely while it stays so; and once that it is back. Attempts in
 * between, and one that fails and succeeds in turn, don't fill the log.
 */
import { Clock, Effect } from "effect"

/** Between two lines that say the same of an outage that lasts, and of two outages in a row. */
const repeatMs = 5 * 60_000
const flapMs = 30_000
/** Different problems that are told within that time; one whose words differ each time tells no more. */
const problemsToldMax = 8

export class OutageLog {
  /** Problems that were told, and when each was, in milliseconds since 1970. */
  private readonly told = new Map<string, number>()
  private isTold = false
  /** Since something was told last. */
  private wasBack = false
  private now: string | null = null

  /** What it means that something is away, and that it is back. */
  constructor(
    private readonly away: string,
    private readonly back: string
  ) {}

  /** What is wrong now; `null` where nothing is. */
  get problem(): string | null {
    return this.now
  }

  failed(problem: string): Effect.Effect<void> {
    this.now = problem
    return Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
      const forgottenMs = nowMs - (this.wasBack ? flapMs : repeatMs)
      for (const [old, toldMs] of this.told) if (toldMs <= forgottenMs) this.told.delete(old)
      if (this.told.has(problem) || this.told.size >= problemsToldMax) return Effect.void
      this.told.set(problem, nowMs)
      this.isTold = true
      this.wasBack = false
      return Effect.logWarning(`${this.away}: ${problem}`)
    })
  }

  succeeded(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.wasBack = true
      this.now = null
      if (!this.isTold) return Effect.void
      this.isTold = false
      return Effect.logInfo(this.back)
    })
  }
}
