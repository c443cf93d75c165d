/** A server that does with each frame what a test says, and with each connection. */
import { once } from "node:events"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { Effect, type Scope } from "effect"
import { FrameReader, writeUint32 } from "../../../../src/protocol/wire/FrameReader.ts"

/** A frame as it came: an object, or the bytes of a binary one. */
export type Came = { readonly type?: string; readonly [name: string]: unknown }

export interface ScriptedServer {
  readonly port: number
  /** What came, on all connections. */
  readonly came: Array<Came>
  readonly sockets: Set<Socket>
}

export type Reply = (frame: object) => void

export const frameOf = (value: object): Uint8Array => {
  const body = new TextEncoder().encode(JSON.stringify(value))
  const frame = new Uint8Array(4 + body.length)
  writeUint32(frame, 0, body.length)
  frame.set(body, 4)
  return frame
}

export const scriptedServer = (
  answer: (came: Came, reply: Reply, socket: Socket) => void
): Effect.Effect<ScriptedServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const came: Array<Came> = []
      const sockets = new Set<Socket>()
      const server = createServer((socket) => {
        sockets.add(socket)
        const reader = new FrameReader()
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
        socket.on("data", (chunk) => {
          reader.push(chunk)
          while (reader.next()) {
            const { bytes, start, end } = reader
            const frame: Came =
              bytes[start] === 0x7b
                ? JSON.parse(new TextDecoder().decode(bytes.subarray(start, end)))
                : { type: "binary" }
            came.push(frame)
            answer(frame, (value) => socket.write(frameOf(value)), socket)
          }
        })
      })
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      return { port: (server.address() as AddressInfo).port, came, sockets, server }
    }),
    ({ server, sockets }) =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  )

/** The answer to a hello. */
export const welcome = ({ correlation_id }: Came): object => ({
  type: "response",
  success: true,
  correlation_id,
  payload: { log_id: "log" }
})
