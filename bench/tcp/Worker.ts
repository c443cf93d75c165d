/** A bench's own program in another process, which does tasks that it is told by name: so a server and its clients share no event loop. */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"

/** What a worker can do. Arguments and answers cross between processes, so that they are plain data. */
export type Tasks = Readonly<Record<string, (argument: never) => unknown>>

export interface Worker<T extends Tasks> {
  readonly call: <Name extends keyof T>(
    name: Name,
    ...argument: Parameters<T[Name]>
  ) => Promise<Awaited<ReturnType<T[Name]>>>
  readonly stop: () => Promise<void>
}

interface Reply {
  readonly id: number
  readonly answer?: unknown
  readonly problem?: string
}

const argumentOfWorkers = "worker"

export const isWorker = (): boolean => process.argv[2] === argumentOfWorkers

/** Starts the program of `file` as a worker. */
export const startWorker = <T extends Tasks>(file: string): Worker<T> => {
  const child: ChildProcess = fork(file, [argumentOfWorkers])
  const waiting = new Map<number, (reply: Reply) => void>()
  let calls = 0
  child.on("message", (reply: Reply) => {
    waiting.get(reply.id)?.(reply)
    waiting.delete(reply.id)
  })
  child.on("exit", (code) => {
    for (const [id, answered] of waiting) answered({ id, problem: `the worker has ended (${code})` })
    waiting.clear()
  })
  return {
    call: (name, ...[argument]) =>
      new Promise((resolve, reject) => {
        const id = calls++
        waiting.set(id, ({ answer, problem }) =>
          problem === undefined
            ? resolve(answer as Awaited<ReturnType<T[typeof name]>>)
            : reject(new Error(problem))
        )
        child.send({ id, name, argument })
      }),
    stop: async () => {
      const gone = once(child, "exit")
      child.disconnect()
      await gone
    }
  }
}

/** Does what this worker is told until whoever started it is done with it, or gone. */
export const serveTasks = (tasks: Tasks): void => {
  process.on("message", async ({ id, name, argument }: { id: number; name: string; argument: never }) => {
    try {
      process.send!({ id, answer: await tasks[name]!(argument) })
    } catch (cause) {
      process.send!({ id, problem: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause) })
    }
  })
  process.on("disconnect", () => process.exit())
}

export interface Usage {
  /** User and system time of the process so far, all its threads together. */
  readonly cpuMicros: number
  readonly residentBytes: number
}

/** What this process has taken. */
export const usage = (): Usage => {
  const { user, system } = process.cpuUsage()
  return { cpuMicros: user + system, residentBytes: process.memoryUsage.rss() }
}
