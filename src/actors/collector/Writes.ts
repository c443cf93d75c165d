/** The writes that a collector has in hand: which are begun, and what their answers make of them. */
import { type CollectorVolatile, gather, type Range, type Write } from "./State.ts"

/** Those that there is room for, the oldest first; none while one has failed. And messages that hold no sample. */
export const startWrites = (
  volatile: CollectorVolatile
): {
  readonly volatile: CollectorVolatile
  readonly started: ReadonlyArray<Write>
  readonly empty: ReadonlyArray<Range>
} => {
  const started: Array<Write> = []
  const empty: Array<Range> = []
  if (hasFailedWrites(volatile)) return { volatile, started, empty }
  let { received, nextWrite } = volatile
  let free = volatile.writesMax - underway(volatile).length - volatile.abandoned.length
  const start = (write: Write): Write => {
    if (write.state !== "due" || free <= 0) return write
    free--
    started.push(write)
    return { ...write, state: "underway" }
  }
  const writes = volatile.writes.map(start)
  while (received.length > 0 && free > 0) {
    const { taken, ...range } = gather(received, volatile.writeSamplesMax)
    received = received.slice(taken)
    if (range.samples === 0) empty.push({ from: range.from, to: range.to })
    else writes.push(start({ id: nextWrite++, firstSample: 0, ...range, state: "due", isRetry: false }))
  }
  return { volatile: { ...volatile, received, writes, nextWrite }, started, empty }
}

export const hasFailedWrites = ({ writes }: CollectorVolatile): boolean =>
  writes.some(({ state }) => state === "failed")

/** Some samples of the same messages are; the halves of a write are. */
export const isInHand = ({ writes }: CollectorVolatile, { from }: Range): boolean =>
  writes.some((write) => write.from === from)

const underway = ({ writes }: CollectorVolatile): ReadonlyArray<Write> =>
  writes.filter(({ state }) => state === "underway")

/** How long nothing is written after a failure: the pause that doubles, or what the store asked for where that is more. */
export const pauseMs = ({ persistDelayMs, retryAfterMs }: CollectorVolatile): number =>
  Math.max(persistDelayMs, retryAfterMs)

/** A write is over. The store is back, and pauses are short again, when nothing waits that has failed. */
export const withoutWrite = (volatile: CollectorVolatile, done: Write): CollectorVolatile => {
  const writes = volatile.writes.filter((write) => write !== done)
  const isBack = !writes.some(({ state, isRetry }) => isRetry || state === "failed")
  return { ...volatile, writes, persistDelayMs: isBack ? volatile.retryDelayMsMin : volatile.persistDelayMs }
}

export const withFailed = (volatile: CollectorVolatile, id: number, retryAfterMs = 0): CollectorVolatile => ({
  ...volatile,
  retryAfterMs: Math.max(volatile.retryAfterMs, retryAfterMs),
  writes: volatile.writes.map((write) => (write.id === id ? { ...write, state: "failed" } : write))
})

/** What has failed is due again. */
export const withRetries = (volatile: CollectorVolatile): CollectorVolatile => ({
  ...volatile,
  retryAfterMs: 0,
  writes: volatile.writes.map((write) =>
    write.state === "failed" ? { ...write, state: "due", isRetry: true } : write
  )
})

/** Halves take the place of the whole, so that one range is narrowed down before the next. */
export const withHalves = (volatile: CollectorVolatile, whole: Write): CollectorVolatile => {
  const { firstSample, samples } = whole
  const half = Math.floor(samples / 2)
  const halves = [
    { firstSample, samples: half },
    { firstSample: firstSample + half, samples: samples - half }
  ].map((part, n): Write => ({ ...whole, ...part, id: volatile.nextWrite + n, state: "due", isRetry: false }))
  return {
    ...volatile,
    nextWrite: volatile.nextWrite + 2,
    writes: volatile.writes.flatMap((write) => (write === whole ? halves : [write]))
  }
}

/** The subscription is lost: nothing is in hand any more, but what the store has not answered still takes room there. */
export const withoutSubscription = (volatile: CollectorVolatile): CollectorVolatile => ({
  ...volatile,
  received: [],
  writes: [],
  retryAfterMs: 0,
  abandoned: [...volatile.abandoned, ...underway(volatile).map(({ id }) => id)],
  committing: false
})

/** The store has answered what an earlier subscription left behind. */
export const withoutAbandoned = (volatile: CollectorVolatile, id: number): CollectorVolatile => ({
  ...volatile,
  abandoned: volatile.abandoned.filter((write) => write !== id)
})
