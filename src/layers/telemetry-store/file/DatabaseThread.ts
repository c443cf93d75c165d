/**
 * A thread that has the file open, as an Effect service of requests. The event loop of the process goes on meanwhile.
 *
 * A thread that ends fails what it was asked and whatever it is asked later.
 */
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { Effect, Exit, type Scope } from "effect"
import { StoreUnavailable } from "../../TelemetryStore.ts"
import {
  buffersOf,
  closeMessage,
  type ReplyMessage,
  type RequestKind,
  type Requests,
  type StartMessage,
  type ThreadOptions
} from "./messages.ts"

/** Requests that a thread has at a time: one that it works on, and the next. The others can still be withdrawn. */
const sentMax = 2

/** A request that is not answered yet. */
interface Asked {
  readonly kind: RequestKind
  /** Makes what is sent, as it is sent. */
  readonly request: () => Requests[RequestKind]["request"]
  /** Takes the answer in, also where nobody waits for it any more: later answers build on it. */
  readonly receive: (answer: never) => unknown
  settle: (exit: Exit.Exit<never, StoreUnavailable>) => void
}

/** Where the thread's program is: beside this one, in sources, in the library and in the bundle. */
const extension = import.meta.url.endsWith(".ts") ? "ts" : "js"
const program = new URL(`./database-thread.${extension}`, import.meta.url)

let translated: string | undefined

/** Sources run in tools that translate them as they are loaded, which a thread has none of: it is given a translation. */
const translate = (): string => {
  const path = fileURLToPath(program)
  const { buildSync } = createRequire(import.meta.url)("esbuild")
  const options = { bundle: true, platform: "node", format: "cjs", packages: "external", write: false }
  const { outputFiles } = buildSync({ entryPoints: [path], ...options })
  return `require = require("node:module").createRequire(${JSON.stringify(path)});${outputFiles[0].text}`
}

const startWorker = (workerData: ThreadOptions): Worker => {
  if (extension === "js") return new Worker(program, { workerData })
  translated ??= translate()
  return new Worker(translated, { workerData, eval: true })
}

export interface DatabaseThread {
  /** Sends a request, made as it is sent, and answers what `receive` makes of the answer as it arrives. */
  readonly ask: <Kind extends RequestKind, A>(
    kind: Kind,
    request: () => Requests[Kind]["request"],
    receive: (answer: Requests[Kind]["answer"]) => A
  ) => Effect.Effect<A, StoreUnavailable>
}

/** Starts a thread; once it has the file open, it is there until the scope closes. Fails with what is in the way. */
export const start = (
  options: ThreadOptions,
  store: string
): Effect.Effect<DatabaseThread, StoreUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const unavailable = (problem: string, cause?: unknown) =>
      new StoreUnavailable({ store, problem, ...(cause === undefined ? {} : { cause }) })
    /** What the thread has been sent, by number, and what waits for its turn. */
    const asked = new Map<number, Asked>()
    const waiting: Array<Asked> = []
    let ended: StoreUnavailable | undefined
    let lastId = 0

    const settle = (id: number, reply: Exit.Exit<unknown, StoreUnavailable>): void => {
      const { receive, settle } = asked.get(id)!
      asked.delete(id)
      settle(Exit.map(reply, (answer) => receive(answer as never) as never))
    }
    const end = (failure: StoreUnavailable): void => {
      ended ??= failure
      for (const id of asked.keys()) settle(id, Exit.fail(ended))
      for (const { settle } of waiting.splice(0)) settle(Exit.fail(ended))
    }

    const worker = yield* Effect.acquireRelease(
      Effect.sync(() => startWorker(options)),
      (started) =>
        Effect.async<void>((resume) => {
          if (ended !== undefined) return resume(Effect.void)
          started.once("exit", () => resume(Effect.void))
          started.postMessage(closeMessage)
        })
    )
    worker.on("error", (cause) => end(unavailable(`its database thread died: ${cause.message}`, cause)))
    worker.on("messageerror", (cause) => end(unavailable(`its database thread is not understood`, cause)))
    worker.on("exit", () => end(unavailable("its database thread has ended")))

    const sendNext = (): void => {
      while (asked.size < sentMax) {
        const next = waiting.shift()
        if (next === undefined) return
        const id = ++lastId
        asked.set(id, next)
        const request = next.request()
        const moved = request !== undefined && "columns" in request ? buffersOf(request.columns) : []
        worker.postMessage({ id, kind: next.kind, request }, moved)
      }
    }

    yield* Effect.async<void, StoreUnavailable>((resume) => {
      worker.once("exit", () => resume(Effect.fail(ended!)))
      worker.once("message", (message: StartMessage) => {
        resume("opened" in message ? Effect.void : Effect.fail(unavailable(message.problem)))
        worker.on("message", (reply: ReplyMessage) => {
          settle(
            reply.id,
            "answer" in reply ? Exit.succeed(reply.answer) : Exit.fail(unavailable(reply.problem))
          )
          sendNext()
        })
      })
    })

    return {
      ask: (kind, request, receive) =>
        Effect.async((resume) => {
          if (ended !== undefined) return resume(Effect.fail(ended))
          const own: Asked = { kind, request, receive, settle: resume }
          waiting.push(own)
          sendNext()
          return Effect.sync(() => {
            own.settle = () => undefined
            const place = waiting.indexOf(own)
            if (place >= 0) waiting.splice(place, 1)
          })
        })
    }
  })
