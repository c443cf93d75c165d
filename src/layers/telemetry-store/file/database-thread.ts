/**
 * The program of a thread that has the file open: it answers one request after the other, until it is told to close.
 *
 * It knows nothing of Effect, so that it starts quickly, and alone has the store's database open.
 */
import { parentPort, workerData } from "node:worker_threads"
import { type Connection, lockStore, openReader, openWriter } from "./database.ts"
import {
  buffersOf,
  type Columns,
  closeMessage,
  type ReplyMessage,
  type RequestMessage,
  type StartMessage,
  type ThreadOptions
} from "./messages.ts"
import { Reader } from "./Reader.ts"
import { Writer } from "./Writer.ts"
import { windowSlice } from "./windows.ts"

const { role, directory } = workerData as ThreadOptions
const port = parentPort!

type Answering = (message: RequestMessage) => unknown

const answerAsWriter = (writer: Writer): Answering => {
  return ({ kind, request }) => {
    switch (kind) {
      case "write":
        return writer.write(request.columns)
      case "expire":
        return writer.expire(request.oldestNs)
      case "ping":
        return writer.ping()
      default:
        throw new Error(`a writer is not asked for ${kind}`)
    }
  }
}

const answerAsReader =
  (reader: Reader): Answering =>
  ({ kind, request }) =>
    reader.atOneMoment(() => {
      switch (kind) {
        case "page":
          return reader.page(request)
        case "newest":
          return reader.newest(request)
        case "windows":
          return windowSlice(reader, request)
        case "gpus":
          return reader.gpus(request)
        case "metricNames":
          return reader.metricNames(request)
        case "stats":
          return reader.stats(request)
        default:
          throw new Error(`a reader is not asked for ${kind}`)
      }
    })

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const buffersIn = (answer: unknown): Array<ArrayBuffer> =>
  typeof answer === "object" && answer !== null && "times" in answer ? buffersOf(answer as Columns) : []

const open = (): { readonly answering: Answering; readonly close: () => void } => {
  if (role === "reader") {
    const connection = openReader(directory)
    return { answering: answerAsReader(new Reader(connection)), close: () => connection.close() }
  }
  const lock = lockStore(directory)
  let connection: Connection
  try {
    connection = openWriter(directory)
  } catch (cause) {
    lock.close()
    throw cause
  }
  return {
    answering: answerAsWriter(new Writer(connection)),
    close: () => {
      connection.close()
      lock.close()
    }
  }
}

const serve = (): void => {
  const { answering, close } = open()
  port.on("message", (message: RequestMessage | typeof closeMessage) => {
    if (message === closeMessage) {
      close()
      port.close()
      return
    }
    let reply: ReplyMessage
    try {
      reply = { id: message.id, answer: answering(message) }
    } catch (cause) {
      reply = { id: message.id, problem: messageOf(cause) }
    }
    port.postMessage(reply, "answer" in reply ? buffersIn(reply.answer) : [])
  })
}

try {
  serve()
  port.postMessage({ opened: true } satisfies StartMessage)
} catch (cause) {
  port.postMessage({ problem: messageOf(cause) } satisfies StartMessage)
}
