import type { Resume } from "../../src/actors/broker/State.ts"

/** What a broker is, said as simply as it can be: a list, and four maps. Knows nothing of credit, groups or segments. */
export class BrokerModel {
  readonly log: Array<string> = []
  readonly producers = new Map<string, { last: number; offsets: Map<number, number> }>()
  readonly sessions = new Map<string, number>()
  readonly checkpoints = new Map<string, number>()
  /** Who is subscribed, and the next offset that it is given. */
  readonly cursors = new Map<string, number>()

  publish(texts: ReadonlyArray<string>) {
    const firstOffset = texts.length === 0 ? null : this.log.length
    this.log.push(...texts)
    return { duplicates: 0, firstOffset }
  }

  /** The receipt, or why it is refused. */
  send(name: string, session: number, first: number, texts: ReadonlyArray<string>) {
    if (this.sessions.get(name) !== session) return "fenced"
    const known = this.producers.get(name) ?? { last: first - 1, offsets: new Map<number, number>() }
    if (first > known.last + 1) return "sequence_gap"
    let duplicates = 0
    for (const [index, text] of texts.entries()) {
      if (first + index <= known.last) duplicates++
      else {
        known.offsets.set(first + index, this.log.length)
        known.last = first + index
        this.log.push(text)
      }
    }
    this.producers.set(name, known)
    return { duplicates, firstOffset: known.offsets.get(first) ?? null }
  }

  subscribe(name: string, from: "earliest" | "latest" | number, resume: Resume) {
    const asked = from === "earliest" ? 0 : from === "latest" ? this.log.length : from
    const checkpoint = resume !== "never" ? this.checkpoints.get(name) : undefined
    const start = checkpoint ?? Math.min(asked, this.log.length)
    if (resume === "always") this.checkpoints.set(name, start)
    this.cursors.set(name, start)
    return { start, clamped: checkpoint === undefined && asked > this.log.length }
  }

  /** What is new to a subscriber. */
  take(name: string): { readonly firstOffset: number; readonly texts: ReadonlyArray<string> } {
    const firstOffset = this.cursors.get(name)!
    this.cursors.set(name, this.log.length)
    return { firstOffset, texts: this.log.slice(firstOffset) }
  }

  /** The checkpoint, or that the commit is refused: of what is not in the log nothing was delivered. */
  commit(name: string, offset: number) {
    if (offset > this.log.length) return "refused"
    const checkpoint = Math.max(offset, this.checkpoints.get(name) ?? offset)
    this.checkpoints.set(name, checkpoint)
    return checkpoint
  }

  /** A restart forgets connections, and nothing else. */
  restart() {
    this.sessions.clear()
    this.cursors.clear()
  }
}
