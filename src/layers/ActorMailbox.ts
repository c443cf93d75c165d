/**
 * The mailbox of an actor: first in, first out, bounded in requests and in bytes.
 *
 * Whoever offers more than there is room for waits. What frees space (outcomes, acknowledgements, ticks) must never wait
 * behind what needs it: `push` admits it at once, whatever the bounds.
 */
import { mailboxBytesMax, mailboxRequestsMax } from "../protocol/Limits.ts"

export interface ActorMailbox<Request> {
  /** Admits a request at once, whatever the bounds. */
  readonly push: (request: Request) => void
  /** Admits a request now or as soon as there is room for it. Until then, the answered function takes it back. */
  readonly offer: (request: Request, bytes: number) => () => void
  /** The oldest request, if there is one. Makes room. */
  readonly take: () => Request | undefined
}

/** A mailbox that calls `onRequest` whenever a request was admitted. */
export const make = <Request>(onRequest: () => void): ActorMailbox<Request> => {
  type Entry = { readonly request: Request; readonly bytes: number }
  let queue: Array<Entry> = []
  let head = 0
  let bytesQueued = 0
  const waiting = new Set<Entry>()

  const hasRoom = (bytes: number): boolean =>
    head === queue.length ||
    (queue.length - head < mailboxRequestsMax && bytesQueued + bytes <= mailboxBytesMax)

  const admit = (entry: Entry): void => {
    queue.push(entry)
    bytesQueued += entry.bytes
    onRequest()
  }

  const admitWaiting = (): void => {
    for (const entry of waiting) {
      if (!hasRoom(entry.bytes)) return
      waiting.delete(entry)
      admit(entry)
    }
  }

  return {
    push: (request) => admit({ request, bytes: 0 }),
    offer: (request, bytes) => {
      const entry = { request, bytes }
      if (waiting.size === 0 && hasRoom(bytes)) admit(entry)
      else waiting.add(entry)
      return () => waiting.delete(entry)
    },
    take: () => {
      const entry = queue[head]
      if (entry === undefined) return undefined
      head++
      bytesQueued -= entry.bytes
      if (head === queue.length) {
        queue = []
        head = 0
      }
      if (waiting.size > 0) admitWaiting()
      return entry.request
    }
  }
}
