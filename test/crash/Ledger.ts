/**
 * A producer that remembers what the broker acknowledged to it, and a reader that follows the log and remembers what it was
 * given: neither may ever be contradicted.
 */
import { Effect, type Scope } from "effect"
import { Broker, type Subscription } from "../../src/layers/Broker.ts"
import { decodeBatch } from "../../src/protocol/Batch.ts"
import { ProducerId, type SourcePosition, SubscriberId, sequenceOf } from "../../src/protocol/Log.ts"

export const ledgerName = "ledger"
const inFlight = 8
const pauseMs = 5
const retryMs = 20

const payloadOf = (n: number): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      batch_id: `${ledgerName}-${n}`,
      source: ledgerName,
      collected_at: "2026-01-01T00:00:00Z",
      metrics: []
    })
  )

/** A contradiction: something that was promised is not so. */
export class Broken extends Error {}

export class Ledger {
  /** The offset at which each number was acknowledged; the numbers are those from 0 on, without a hole. */
  readonly offsets: Array<number | null> = []
  private isStopping = false

  stop(): void {
    this.isStopping = true
  }

  /** Publishes until it is stopped, and until all that it has published is acknowledged. */
  readonly publish: Effect.Effect<void, never, Broker> = Effect.suspend(() =>
    Effect.scoped(this.session).pipe(
      Effect.catchAll(() => Effect.as(Effect.sleep(retryMs), false)),
      Effect.repeat({ until: (isDone) => isDone }),
      Effect.asVoid
    )
  )

  private readonly session = Effect.gen(this, function* () {
    const session = yield* (yield* Broker).hello(ProducerId.make(ledgerName))
    const known = session.lastSequence === null ? 0 : session.lastSequence + 1
    if (known < this.offsets.length) {
      throw new Broken(`${this.offsets.length} batches were acknowledged, and the log knows of ${known}`)
    }
    // What is in the log and was not acknowledged is sent again, for its offset.
    let next = this.offsets.length
    while (!this.isStopping) {
      const calls = Array.from({ length: inFlight }, (_, index) => {
        const n = next + index
        return session
          .publish({
            firstSequence: sequenceOf(n),
            payloads: [payloadOf(n)],
            positions: [`${n}` as SourcePosition]
          })
          .pipe(Effect.tap(({ firstOffset }) => Effect.sync(() => this.acknowledged(n, firstOffset))))
      })
      yield* Effect.all(calls, { concurrency: "unbounded" })
      next += inFlight
      yield* Effect.sleep(pauseMs)
    }
    return true
  })

  private acknowledged(n: number, offset: number | null): void {
    if (n !== this.offsets.length) throw new Broken(`${n} was acknowledged before ${this.offsets.length}`)
    this.offsets.push(offset)
  }
}

/** What one message holds: who published it, its own name, and its values. */
interface Entry {
  readonly source: string
  readonly batchId: string
  readonly values: ReadonlyArray<number>
}

const decoder = new TextDecoder()

const entryOf = (payload: Uint8Array): Entry => {
  const text = decoder.decode(payload)
  const { source, batch_id: batchId } = JSON.parse(text) as { source: string; batch_id: string }
  const batch = decodeBatch(payload)
  if (typeof batch === "string") throw new Broken(`a payload is no batch: ${text}`)
  return { source, batchId, values: batch.samples.map(({ value }) => value) }
}

export class Follower {
  /** The whole log, by offset. */
  readonly entries: Array<Entry> = []
  /** Messages of each source so far. */
  readonly seen = new Map<string, number>()

  /** Follows the log for ever, from 0 on, over as many subscriptions as it takes. */
  readonly follow: Effect.Effect<never, never, Broker> = Effect.forever(
    Effect.zipRight(
      Effect.catchAll(Effect.scoped(this.subscription()), () => Effect.void),
      Effect.sleep(retryMs)
    )
  )

  private subscription(): Effect.Effect<never, unknown, Broker | Scope.Scope> {
    return Effect.gen(this, function* () {
      const subscription = yield* (yield* Broker).subscribe({
        subscriberId: SubscriberId.make("follower"),
        // Again from a little before: what an offset held once, it holds for ever.
        from: Math.max(0, this.entries.length - 100) as never,
        resume: "never",
        creditMessages: Number.POSITIVE_INFINITY,
        creditBytes: Number.POSITIVE_INFINITY
      })
      if (subscription.clamped) throw new Broken(`the log ends before ${this.entries.length}`)
      return yield* Effect.forever(this.receive(subscription))
    })
  }

  private receive({ deliveries }: Subscription) {
    return Effect.map(deliveries, (delivered) => {
      for (const delivery of delivered) {
        if (delivery._tag === "Gap") throw new Broken("a gap")
        for (const [index, payload] of delivery.payloads.entries()) {
          this.note(delivery.firstOffset + index, entryOf(payload))
        }
      }
    })
  }

  private note(offset: number, entry: Entry): void {
    const before = this.entries[offset]
    if (before === undefined) {
      if (offset !== this.entries.length)
        throw new Broken(`${offset} comes behind ${this.entries.length - 1}`)
      this.entries.push(entry)
      this.seen.set(entry.source, (this.seen.get(entry.source) ?? 0) + 1)
    } else if (before.batchId !== entry.batchId) {
      throw new Broken(`offset ${offset} held ${before.batchId}, and now ${entry.batchId}`)
    }
  }
}
