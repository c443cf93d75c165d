/**
 * A map that forgets everything when it is full and starts again.
 *
 * What it is for, values that recur every pass, fills it once and then only hits. Where nothing recurs, any other order
 * of forgetting would cost more and hit no more often.
 */

/** Bounded in entries and in characters of keys, because keys come from input. */
export class BoundedCache<A> {
  private readonly entries = new Map<string, A>()
  private readonly entriesMax: number
  private readonly keyCharsMax: number
  private keyChars = 0

  constructor(entriesMax: number, keyCharsMax: number) {
    this.entriesMax = entriesMax
    this.keyCharsMax = keyCharsMax
  }

  get(key: string): A | undefined {
    return this.entries.get(key)
  }

  /** Adds an entry that `get` did not find. */
  add(key: string, value: A): void {
    if (this.entries.size >= this.entriesMax || this.keyChars + key.length > this.keyCharsMax) {
      this.entries.clear()
      this.keyChars = 0
    }
    this.entries.set(key, value)
    this.keyChars += key.length
  }
}
