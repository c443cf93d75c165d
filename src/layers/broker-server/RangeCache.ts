/**
 * Messages as they are sent, kept for a moment: subscribers that read the same range of the log get the same bytes, made once.
 *
 * An offset of a log is never given to other content, so that log, form and range say all.
 */
import type { Delivery } from "../Broker.ts"

type Messages = Extract<Delivery, { _tag: "Messages" }>

export interface RangeCache {
  /** The bytes that `encode` makes of them, or made of the same range before. */
  readonly encoded: (
    form: string,
    messages: Messages,
    encode: (messages: Messages) => Uint8Array
  ) => Uint8Array
}

/** A cache that forgets the oldest ranges beyond so many bytes. */
export const make = (bytesMax: number): RangeCache => {
  const kept = new Map<string, Uint8Array>()
  let bytesKept = 0
  return {
    encoded: (form, messages, encode) => {
      const key = `${messages.firstOffset} ${messages.payloads.length} ${form}`
      const known = kept.get(key)
      if (known !== undefined) return known
      const bytes = encode(messages)
      if (bytes.length > bytesMax / 2) return bytes
      kept.set(key, bytes)
      bytesKept += bytes.length
      for (const [oldest, { length }] of kept) {
        if (bytesKept <= bytesMax) break
        kept.delete(oldest)
        bytesKept -= length
      }
      return bytes
    }
  }
}
