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
  /** The same, in the place of the request that was pushed under that key before, if it is still here. */
  readonly pushLatest: (key: string, request: Request) => void
  /** Admits a request now or as soon as there is room for it. Until then, the answered function takes it back. */
  readonly offer: (request: Request, bytes: number) => () => void
  /** The oldest request, if there is one. Makes room. */
  readonly take: () => Request | undefined
}

/** Taken entries whose places are still in the queue; fewer are not worth moving the rest. */
const takenMax = 1_024

/** A mailbox that calls `onRequest` whenever a request was admitted. */
export const make = <Request>(onRequest: () => void): ActorMailbox<Request> => {
  type Entry = { request: Request; readonly bytes: number; readonly key?: string }
  /** Nothing stands any more where an entry was taken: the queue may never run empty. */
  let queue: Array<Entry | undefined> = []
  let head = 0
  let bytesQueued = 0
  const waiting = new Set<Entry>()
  const latest = new Map<string, Entry>()

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
    pushLatest: (key, request) => {
      const earlier = latest.get(key)
      if (earlier !== undefined) earlier.request = request
      else {
        const entry = { request, bytes: 0, key }
        latest.set(key, entry)
        admit(entry)
      }
    },
    offer: (request, bytes) => {
      const entry = { request, bytes }
      if (waiting.size === 0 && hasRoom(bytes)) admit(entry)
      else waiting.add(entry)
      return () => waiting.delete(entry)
    },
    take: () => {
      const entry = queue[head]
      if (entry === undefined) return undefined
      queue[head++] = undefined
      bytesQueued -= entry.bytes
      if (entry.key !== undefined) latest.delete(entry.key)
      if (head === queue.length || head > takenMax) {
        queue = queue.slice(head)
        head = 0
      }
      if (waiting.size > 0) admitWaiting()
      return entry.request
    }
  }
}
