/** Strangers that send nonsense to a server of this process, beside a good one that has to be served all the time. */
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { makeFrames, randomOf } from "./Frames.ts"

export interface FuzzReport {
  readonly connections: number
  /** Round trips of the good connection, and the longest of them. */
  readonly goodAnswers: number
  readonly longestMs: number
  /** The heap after a collection, in the middle and at the end. */
  readonly heapBytesHalfway: number
  readonly heapBytesAtEnd: number
}

/** Frames of one stranger, at most, and what of them is written together. */
const framesPerConnectionMax = 2_000
const framesPerWriteMax = 50
const strangers = 8

const collect = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const write = (socket: Socket, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    if (socket.write(bytes) || socket.destroyed) resolve()
    else {
      socket.once("drain", resolve)
      socket.once("close", () => resolve())
    }
  })

/** The server, and how many frames it has read: those behind one that ends its connection are not. */
export interface Fuzzed {
  readonly port: number
  readonly framesRead: () => number
}

/** Sends until the server has read so many frames. Rejects where the good connection is not served. */
export const fuzz = async (
  { port, framesRead }: Fuzzed,
  count: number,
  seed: number
): Promise<FuzzReport> => {
  let connections = 0
  let heapBytesHalfway = 0

  const stranger = async (number: number): Promise<void> => {
    const made = makeFrames(randomOf(seed + number))
    while (framesRead() < count) {
      const socket = connect(port, "127.0.0.1")
      socket.on("error", () => {})
      socket.resume()
      await Promise.race([once(socket, "connect"), once(socket, "close")]).catch(() => {})
      connections++
      if (made.below(2) === 0) await write(socket, made.hello())
      const end = made.below(framesPerConnectionMax)
      for (let sent = 0; sent < end && framesRead() < count && socket.writable; ) {
        const some = Array.from({ length: 1 + made.below(framesPerWriteMax) }, made.next)
        const bytes = Buffer.concat(some)
        const cut = made.below(bytes.length)
        await write(socket, bytes.subarray(0, cut))
        await write(socket, bytes.subarray(cut))
        // The event loop turns between two writes, so that the server and the good connection go on.
        await new Promise((resolve) => setImmediate(resolve))
        sent += some.length
        if (heapBytesHalfway === 0 && framesRead() >= count / 2) heapBytesHalfway = collect()
      }
      if (made.below(10) === 0) socket.destroy()
      else socket.end()
      if (!socket.closed) await once(socket, "close")
    }
  }

  let isOver = false
  let goodAnswers = 0
  let longestMs = 0
  const good = async (): Promise<void> => {
    const socket = connect(port, "127.0.0.1")
    await once(socket, "connect")
    let rest = Buffer.alloc(0)
    const body = Buffer.from(JSON.stringify({ type: "ping", correlation_id: "good" }))
    const ping = Buffer.concat([Buffer.from([0, 0, 0, body.length]), body])
    const answer = Buffer.from(JSON.stringify({ type: "response", success: true, correlation_id: "good" }))
    while (!isOver) {
      const startMs = performance.now()
      socket.write(ping)
      while (rest.length < 4 + answer.length) {
        const [chunk] = await once(socket, "data")
        rest = Buffer.concat([rest, chunk as Buffer])
      }
      if (!rest.subarray(4, 4 + answer.length).equals(answer)) throw new Error(`answered ${rest.toString()}`)
      rest = rest.subarray(4 + answer.length)
      goodAnswers++
      longestMs = Math.max(longestMs, performance.now() - startMs)
    }
    socket.destroy()
  }

  const served = good()
  await Promise.race([
    Promise.all(Array.from({ length: strangers }, (_, number) => stranger(number))),
    served
  ])
  isOver = true
  await served
  return { connections, goodAnswers, longestMs, heapBytesHalfway, heapBytesAtEnd: collect() }
}
