/** The soak, bounded by its work: it finds nothing wrong with the brokers, and finds what is wrong with broken ones. */
import { Effect, Logger, LogLevel } from "effect"
import { describe, expect, test } from "vitest"
import { type SoakOptions, soak } from "../../bench/soak/Soak.ts"
import type { OffsetLog } from "../../src/layers/OffsetLog.ts"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import { offsetOf } from "../../src/protocol/Log.ts"

type Log = OffsetLog["Type"]

const run = (options: Partial<SoakOptions> = {}) =>
  soak({
    seed: 1,
    messagesMax: 20_000,
    durationMs: Number.POSITIVE_INFINITY,
    retentionBytes: 256 * 1024,
    ...options
  }).pipe(Logger.withMinimumLogLevel(LogLevel.None), Effect.provide(Scheduler.layer), Effect.runPromise)

describe("a soak", () => {
  test("of brokers as they are ends with everything read, and with gaps only where the log waits for nobody", async () => {
    const { violations, figures } = await run()
    expect(violations).toEqual([])
    expect(figures.block.published + figures.drop_oldest.published).toBeGreaterThanOrEqual(20_000)
    expect(figures.drop_oldest.missed).toBeGreaterThan(0)
    for (const { delivered, subscriptions } of Object.values(figures)) {
      expect(delivered).toBeGreaterThan(0)
      expect(subscriptions).toBeGreaterThan(0)
    }
  })

  test.each([
    ["loses a message that was appended", losing, /holds message|first saw|behind its/],
    ["gives two messages in the wrong order", swapping, /holds message|first saw|behind its/],
    [
      "drops more than it is told to",
      droppingMore,
      // Whichever comes first: the gap is told, or an acknowledger finds that its checkpoint has passed over it.
      /block: .*(was told a gap from .*, though the log waits for it|acknowledged all .*, the checkpoint became)/
    ]
  ])("finds a log that %s", async (_, wrapLog, problem) => {
    const { violations } = await run({ wrapLog })
    expect(violations[0]).toMatch(problem)
  })
})

/** One record of the 20th append gets into the log as another one, which was there before. */
function losing(log: Log): Log {
  let appends = 0
  return {
    ...log,
    append: (runs) => {
      appends++
      if (appends !== 20) return log.append(runs)
      return log.append(
        runs.map((run) => ({
          ...run,
          payloads: run.payloads.map((_, index) => run.payloads[Math.max(0, index - 1)]!)
        }))
      )
    }
  }
}

/** Every 20th read that gives several records gives the first two of them the wrong way round. */
function swapping(log: Log): Log {
  let reads = 0
  return {
    ...log,
    read: (from, limits) =>
      Effect.map(log.read(from, limits), (slice) => {
        const run = slice.runs.findIndex(({ payloads }) => payloads.length > 1)
        if (run === -1 || ++reads % 20 !== 0) return slice
        const swapped = slice.runs.map((of, index) => {
          const [first, second, ...rest] = of.payloads
          return index === run ? { ...of, payloads: [second!, first!, ...rest] } : of
        })
        return { ...slice, runs: swapped }
      })
  }
}

function droppingMore(log: Log): Log {
  return { ...log, dropBefore: (offset) => log.dropBefore(offsetOf(offset + 200)) }
}
