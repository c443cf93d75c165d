/**
 * What goes out on a connection: answers in the order of their requests, whenever each is known, and between them what is not an
 * answer.
 *
 * Answers are texts of one character per byte, as src/protocol/wire/Answers.ts makes them: those that are known at the same
 * time are one string and one write.
 */
import type { Socket } from "node:net"
import { Effect } from "effect"

/** Pending output beyond which answers are dropped that nobody may be waiting for (CONTRACTS.md). */
const droppingBytes = 64 * 1024

/** What a place takes beside its text. */
const slotBytes = 128

/** The place of an answer, or of those to several requests in a row. */
export class Slot {
  text: string | undefined
  /** What of it is sent where the peer reads nothing. */
  essential = ""
  /** What it holds while it is known and may not be sent. */
  waitingBytes = 0
  onSent: (() => void) | undefined
}

export class Outbox {
  /** Answers that are written and that the peer has not taken yet, in bytes. */
  unsentBytes = 0
  /** When the peer last took something, as `performance.now` tells. */
  progressMs = performance.now()

  private slots: Array<Slot> = []
  private head = 0
  private text = ""
  private readonly turn = Effect.unsafeMakeSemaphore(1)
  private waiting: Array<() => void> = []

  constructor(
    private readonly socket: Socket,
    private readonly onWritten: (bytes: number) => void,
    /** So many bytes are held by answers that wait for one ahead of them, or are not any more where it is negative. */
    private readonly onWaiting: (bytes: number) => void
  ) {
    socket.on("drain", () => this.wake())
    socket.on("close", () => this.wake())
  }

  /** Whether an answer is due that is not known yet. */
  get hasPending(): boolean {
    return this.head < this.slots.length
  }

  get last(): Slot | undefined {
    return this.slots[this.slots.length - 1]
  }

  /** The place behind all that were reserved before. */
  reserve(): Slot {
    const slot = new Slot()
    this.slots.push(slot)
    return slot
  }

  /** Fills a place, once; what can be sent is with the next `flush`. */
  settle(slot: Slot, text: string, essential = text): void {
    slot.text = text
    slot.essential = essential
    if (slot !== this.slots[this.head]) {
      slot.waitingBytes = slotBytes + text.length
      this.onWaiting(slot.waitingBytes)
      return
    }
    let waited = 0
    for (let next = this.slots[this.head]; next?.text !== undefined; next = this.slots[this.head]) {
      const isStuck = this.socket.writableLength + this.text.length > droppingBytes
      this.text += isStuck ? next.essential : next.text
      this.head++
      waited += next.waitingBytes
      next.onSent?.()
    }
    if (waited > 0) this.onWaiting(-waited)
    if (this.head === this.slots.length) {
      this.slots = []
      this.head = 0
    } else if (this.head > 1_024) {
      this.slots = this.slots.slice(this.head)
      this.head = 0
    }
  }

  /** Sends what is no answer, ahead of those that are not known yet. */
  sendNow(text: string): void {
    this.text += text
    this.flush()
  }

  flush(): void {
    const { text, socket } = this
    if (text === "") return
    this.text = ""
    if (!socket.writable) return
    this.unsentBytes += text.length
    this.onWritten(text.length)
    socket.write(text, "latin1", () => {
      this.unsentBytes -= text.length
      this.progressMs = performance.now()
    })
  }

  /** Writes bytes that are shared with others. */
  write(head: Uint8Array | undefined, bytes: Uint8Array): void {
    this.flush()
    const { socket } = this
    if (!socket.writable) return
    this.onWritten(bytes.length + (head?.length ?? 0))
    if (head === undefined) {
      socket.write(bytes)
      return
    }
    socket.cork()
    socket.write(head)
    socket.write(bytes)
    socket.uncork()
  }

  /** Returns when the peer has taken what was written. */
  readonly awaitDrain: Effect.Effect<void> = Effect.suspend(() =>
    this.socket.writableNeedDrain && this.socket.writable
      ? Effect.zipRight(
          Effect.async<void>((resume) => {
            if (this.socket.writableNeedDrain) this.waiting.push(() => resume(Effect.void))
            else resume(Effect.void)
          }),
          this.awaitDrain
        )
      : Effect.void
  )

  /** Does what fills memory until it is written: one at a time, and only once the peer has taken what was written before. */
  inTurn<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return this.turn.withPermits(1)(Effect.zipRight(this.awaitDrain, effect))
  }

  private wake(): void {
    this.progressMs = performance.now()
    const { waiting } = this
    this.waiting = []
    for (const resume of waiting) resume()
  }
}
