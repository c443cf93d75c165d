/** A stranger's client: it writes frames of JSON and counts those that come, by their lengths alone. */
import { once } from "node:events"
import { connect, type Socket } from "node:net"

export interface ClientTimes {
  readonly frames: number
  readonly perSecond: number
}

export const timed = (frames: number, startMs: number): ClientTimes => ({
  frames,
  perSecond: (frames * 1_000) / (performance.now() - startMs)
})

/** Publishes on their way at a time, in frames and in bytes. */
const windowFrames = 2_048
const windowBytes = 4 * 1024 * 1024
/** Frames that are written together. */
const writtenFrames = 64

/** Calls back with how many frames a chunk completed. */
export const countFrames = (socket: Socket, onFrames: (count: number) => void): void => {
  let header = Buffer.alloc(0)
  let bodyLeft = 0
  socket.on("data", (chunk: Buffer) => {
    let at = 0
    let frames = 0
    while (at < chunk.length) {
      if (bodyLeft > 0) {
        const taken = Math.min(bodyLeft, chunk.length - at)
        at += taken
        bodyLeft -= taken
        if (bodyLeft === 0) frames++
        continue
      }
      if (header.length === 0 && chunk.length - at >= 4) {
        bodyLeft = chunk.readUInt32BE(at)
        at += 4
        continue
      }
      const part = chunk.subarray(at, at + 4 - header.length)
      header = Buffer.concat([header, part])
      at += part.length
      if (header.length < 4) break
      bodyLeft = header.readUInt32BE()
      header = Buffer.alloc(0)
    }
    if (frames > 0) onFrames(frames)
  })
}

export const frameOf = (body: string): Buffer => {
  const frame = Buffer.alloc(4 + body.length)
  frame.writeUInt32BE(body.length)
  frame.write(body, 4, "latin1")
  return frame
}

/** A payload of about so many bytes, of samples as streamers publish them. */
export const payloadOf = (size: number): string => {
  const sample =
    '{"timestamp":"2025-07-18T20:42:34Z","metric_name":"DCGM_FI_DEV_GPU_UTIL","gpu_id":0,"device":"nvidia0","uuid":"GPU-5fd4f087-86f3-7a43-b711-4771313afc50","model_name":"NVIDIA H100 80GB HBM3","hostname":"mtv5-dgx1-hgpu-031","value":100}'
  const head = '{"source":"streamer-1","metrics":['
  let payload = head
  while (payload.length + sample.length + 3 + 13 < size) payload += `${payload === head ? "" : ","}${sample}`
  payload += '],"batch_id":"'
  return `${payload.padEnd(size - 2, "x")}"}`
}

/** A connection without delay. */
export const open = async (port: number): Promise<Socket> => {
  const socket = connect({ port, host: "127.0.0.1" })
  socket.setNoDelay(true)
  await once(socket, "connect")
  return socket
}

export const publishFrame = (size: number): Buffer =>
  frameOf(`{"type":"publish","payload":${payloadOf(size)}}`)

export const subscribeFrame = (index: number): Buffer =>
  frameOf(`{"type":"subscribe","subscriber_id":"s${index}","offset":-2}`)

export interface PublishOptions {
  readonly port: number
  readonly size: number
  readonly count: number
}

/** Publishes so many, and waits until all are answered. */
export const publishAsStranger = async ({ port, size, count }: PublishOptions): Promise<ClientTimes> => {
  const socket = await open(port)
  const frame = publishFrame(size)
  const together = Math.max(1, Math.min(writtenFrames, Math.floor(windowBytes / 8 / frame.length)))
  const many = Buffer.concat(Array.from({ length: together }, () => frame))
  const inFlightMax = Math.min(windowFrames, Math.floor(windowBytes / frame.length))
  const startMs = performance.now()
  let sent = 0
  let answered = 0
  await new Promise<void>((resolve) => {
    const fill = () => {
      while (sent < count && sent - answered + together <= inFlightMax) {
        sent += together
        socket.write(many)
      }
    }
    countFrames(socket, (frames) => {
      answered += frames
      if (answered >= sent && sent >= count) resolve()
      else fill()
    })
    fill()
  })
  const times = timed(answered, startMs)
  socket.destroy()
  return times
}

export interface SubscribeOptions {
  readonly port: number
  readonly subscribers: number
  /** That each of them reads. */
  readonly messages: number
}

/** Subscribes on so many connections, each of which reads so many messages. */
export const subscribeAsStrangers = async ({
  port,
  subscribers,
  messages
}: SubscribeOptions): Promise<ClientTimes> => {
  const sockets = await Promise.all(Array.from({ length: subscribers }, () => open(port)))
  const startMs = performance.now()
  let total = 0
  await Promise.all(
    sockets.map(
      (socket, index) =>
        new Promise<void>((resolve) => {
          // One frame more: the answer to subscribe.
          let left = messages + 1
          countFrames(socket, (frames) => {
            left -= frames
            total += frames
            if (left > 0) return
            socket.destroy()
            resolve()
          })
          socket.write(subscribeFrame(index))
        })
    )
  )
  return timed(total, startMs)
}
