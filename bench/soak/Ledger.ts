/** What each of the latest offsets holds, as the first who saw it says: by a receipt, or by a delivery. */
import type { MessageId } from "./Payload.ts"

/** More than a log of the size that is soaked holds, its smallest messages taken. */
const offsetsKept = 2 ** 18

export interface Ledger {
  /** Notes what an offset holds; false where somebody has seen something else there. */
  readonly note: (offset: number, id: MessageId) => boolean
  /** `undefined` where nobody has seen it yet, or too long ago. */
  readonly at: (offset: number) => MessageId | undefined
}

export const make = (): Ledger => {
  const offsets = new Float64Array(offsetsKept).fill(-1)
  const ids = new Float64Array(offsetsKept)
  return {
    note: (offset, id) => {
      const slot = offset % offsetsKept
      if (offsets[slot] === offset) return ids[slot] === id
      if (offset > offsets[slot]!) {
        offsets[slot] = offset
        ids[slot] = id
      }
      return true
    },
    at: (offset) => (offsets[offset % offsetsKept] === offset ? ids[offset % offsetsKept] : undefined)
  }
}
