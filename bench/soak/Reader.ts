/**
 * What a subscriber knows of the log, and what it holds every delivery against.
 *
 * It lives as long as its subscriber, across subscriptions: first deliveries are an ascending slice of the log,
 * contiguous but for the gaps that are told; each offset holds what it held for everyone else; of each producer the next
 * sequence follows, none lost and none twice.
 */
import type { Delivery } from "../../src/layers/Broker.ts"
import { type MessageId, nameOf, producerOf, readPayload, sequenceIn } from "./Payload.ts"
import type { World } from "./World.ts"

/** Where a subscriber's checkpoint is: exactly known unless it left while a commit was under way. */
interface Checkpoint {
  readonly least: number
  readonly most: number
}

interface Listener {
  readonly onMessage: (offset: number, id: MessageId) => void
  /** What was to come again is no longer in the log. */
  readonly onMissing: (offset: number) => void
}

export class Reader {
  /** The next offset of this subscription. */
  cursor = 0
  /** Everything below was seen, or told as a gap, or passed over while there was no subscription. */
  seenTo = 0
  /** It has seen the message that ends everything. */
  sawEnd = false
  /** It has seen every message that there ever was. */
  isWhole = true
  checkpoint: Checkpoint | undefined
  /** What it has refused and that has not come again yet. */
  readonly awaited = new Set<number>()
  /** Of each producer the last sequence seen, and whether the next one has to follow it directly. */
  private readonly lasts: Array<{ sequence: number; isExact: boolean } | undefined> = []

  constructor(
    private readonly world: World,
    readonly name: string,
    /** Whether the log may drop what it has not read. */
    private readonly mayMiss: boolean
  ) {}

  lastOf(producer: number): number {
    return this.lasts[producer]?.sequence ?? -1
  }

  /** A subscription starts here. */
  begin(start: number): void {
    const { checkpoint } = this
    if (checkpoint !== undefined && (start < checkpoint.least || start > checkpoint.most)) {
      const { least, most } = checkpoint
      this.complain(`resumed at ${start}, its checkpoint is between ${least} and ${most}`)
    }
    this.cursor = start
    this.awaited.clear()
    if (start > this.seenTo) this.passOver(start)
  }

  /** A commit of this offset is under way. */
  committing(offset: number): void {
    const { least, most } = this.checkpoint ?? { least: 0, most: 0 }
    this.checkpoint = { least, most: Math.max(most, offset) }
  }

  /** The checkpoint is known to be here. */
  committed(offset: number): void {
    this.checkpoint = { least: offset, most: offset }
  }

  take(delivery: Delivery, listener?: Listener): void {
    if (delivery._tag === "Gap") this.takeGap(delivery.from, delivery.to, listener)
    else if (delivery.firstOffset === this.cursor) this.takeNew(delivery.payloads, listener)
    else this.takeAgain(delivery.firstOffset, delivery.payloads, listener)
  }

  private takeNew(payloads: ReadonlyArray<Uint8Array>, listener: Listener | undefined): void {
    this.world.figures.delivered += payloads.length
    if (payloads.length === 0) this.complain(`was delivered nothing at ${this.cursor}`)
    for (const payload of payloads) {
      const offset = this.cursor++
      const id = this.idAt(offset, payload)
      if (id === undefined) continue
      if (offset === this.seenTo) this.follow(offset, id)
      listener?.onMessage(offset, id)
    }
  }

  private takeAgain(offset: number, payloads: ReadonlyArray<Uint8Array>, listener: Listener | undefined) {
    if (payloads.length !== 1 || !this.awaited.delete(offset)) {
      this.complain(`was delivered ${payloads.length} messages at ${offset}, due was ${this.cursor}`)
      return
    }
    this.world.figures.redelivered++
    const id = this.idAt(offset, payloads[0]!)
    if (id !== undefined) listener?.onMessage(offset, id)
  }

  private takeGap(from: number, to: number, listener: Listener | undefined): void {
    if (!this.mayMiss) this.complain(`was told a gap from ${from} to ${to}, though the log waits for it`)
    if (from === this.cursor && to > from) {
      this.world.figures.gaps++
      this.world.figures.missed += to - from
      this.cursor = to
      if (to > this.seenTo) this.passOver(to)
    } else if (to === from + 1 && this.awaited.delete(from)) listener?.onMissing(from)
    else this.complain(`was told a gap from ${from} to ${to}, due was ${this.cursor}`)
  }

  /** What a payload says it is, where everybody sees the same at that offset. */
  private idAt(offset: number, payload: Uint8Array): MessageId | undefined {
    const id = readPayload(payload)
    if (id === undefined) this.complain(`offset ${offset} holds ${payload.length} bytes nobody published`)
    else if (!this.world.ledger.note(offset, id)) {
      this.complain(
        `offset ${offset} holds ${nameOf(id)}, another saw ${nameOf(this.world.ledger.at(offset)!)}`
      )
    } else return id
    return undefined
  }

  private follow(offset: number, id: MessageId): void {
    this.seenTo = offset + 1
    const producer = producerOf(id)
    const sequence = sequenceIn(id)
    if (producer === this.world.endingProducer) {
      this.sawEnd = true
      return
    }
    const last = this.lasts[producer]
    if (last === undefined) {
      if (this.isWhole && sequence !== 0) this.complain(`first saw ${nameOf(id)}, at ${offset}`)
      this.lasts[producer] = { sequence, isExact: true }
      return
    }
    if (last.isExact ? sequence !== last.sequence + 1 : sequence <= last.sequence) {
      this.complain(`saw ${nameOf(id)} at ${offset}, behind its ${last.sequence}`)
    }
    last.sequence = sequence
    last.isExact = true
  }

  private passOver(to: number): void {
    this.seenTo = to
    this.isWhole = false
    for (const last of this.lasts) if (last !== undefined) last.isExact = false
  }

  complain(problem: string): void {
    this.world.complain(`${this.name} ${problem}`)
  }
}
