/**
 * The least that a server of the protocol can do: it finds frames, takes a frame that does not begin as a subscribe for a publish, keeps
 * the bytes of its payload, and answers; to a subscriber it writes all that it has, many frames at a time.
 */
import type { Socket } from "node:net"

const prefixBytes = '{"type":"publish","payload":'.length
const answer = (() => {
  const body = '{"type":"response","success":true}'
  const frame = Buffer.alloc(4 + body.length)
  frame.writeUInt32BE(body.length)
  frame.write(body, 4)
  return frame
})()
const writtenBytes = 256 * 1024
const headerBytesMax = 128

/** How a floor serves a connection. */
export const serveFloor = () => {
  const log: Array<Buffer> = []

  const deliver = (socket: Socket): void => {
    let next = 0
    const send = () => {
      while (next < log.length && !socket.destroyed) {
        const first = next
        let bytes = 0
        while (next < log.length && bytes < writtenBytes) bytes += log[next++]!.length + headerBytesMax
        const frames = Buffer.allocUnsafeSlow(bytes)
        let at = 0
        for (let offset = first; offset < next; offset++) {
          const payload = log[offset]!
          const header = `{"type":"message","message_id":"${offset}","offset":${offset},"payload":`
          frames.writeUInt32BE(header.length + payload.length + 1, at)
          at += 4 + frames.write(header, at + 4, "latin1")
          frames.set(payload, at)
          at += payload.length
          frames[at++] = 0x7d
        }
        if (!socket.write(frames.subarray(0, at))) {
          socket.once("drain", send)
          return
        }
      }
    }
    send()
  }

  return (socket: Socket): void => {
    socket.setNoDelay(true)
    socket.on("error", () => {})
    let rest: Buffer | undefined
    socket.on("data", (chunk: Buffer) => {
      const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk])
      let at = 0
      let answers = 0
      while (at + 4 <= bytes.length) {
        const end = at + 4 + bytes.readUInt32BE(at)
        if (end > bytes.length) break
        answers++
        // The letter that tells subscribe from publish.
        if (bytes[at + 4 + 9] === 0x73) {
          socket.write(answer)
          answers--
          deliver(socket)
        } else log.push(bytes.subarray(at + 4 + prefixBytes, end - 1))
        at = end
      }
      rest = at === bytes.length ? undefined : bytes.subarray(at)
      if (answers === 0) return
      socket.cork()
      for (let index = 0; index < answers; index++) socket.write(answer)
      socket.uncork()
    })
  }
}
