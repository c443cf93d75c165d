/** The program as its users run it: the bundle, in a process of its own, on a free port. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { fileURLToPath } from "node:url"
import { bundle } from "../../scripts/build.mjs"

const executable = fileURLToPath(new URL("../../dist/telemetry-pipeline.js", import.meta.url))

let built: Promise<void> | undefined

/** It says which ports these became. */
const anyPorts = { API_PORT: "0", HTTP_PORT: "0", TCP_PORT: "0" }

export interface Program {
  /** Everything it has said so far. */
  readonly said: () => string
  /** Waits until it has said something like this; fails if it ends without. */
  readonly says: (pattern: RegExp) => Promise<RegExpExecArray>
  /** Base URL of its API, once it is announced. */
  readonly url: () => Promise<string>
  readonly get: (path: string) => Promise<Response>
  readonly json: <A>(path: string) => Promise<A>
  readonly signal: (signal: NodeJS.Signals) => void
  readonly pid: number
  /** Its exit code, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>
}

/** Starts the program with some flags; variables of this process's environment do not reach it. */
export const start = async (
  flags: ReadonlyArray<string>,
  environment: Record<string, string> = {}
): Promise<Program> => {
  built ??= bundle()
  await built
  const child = spawn(process.execPath, [executable, ...flags], {
    env: { PATH: process.env.PATH, ...anyPorts, PROBE_PORT: "0", ...environment },
    stdio: ["ignore", "pipe", "pipe"]
  })
  return observe(child)
}

/** Starts it as the README says: by `npm start`, whose process is the one that signals go to. */
export const startByNpm = (flags: ReadonlyArray<string>): Program =>
  observe(
    spawn("npm", ["start", "--", ...flags], {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...anyPorts },
      stdio: ["ignore", "pipe", "pipe"]
    })
  )

/** What a test leaves behind that fails must not outlive it. */
const running = new Set<ChildProcess>()
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

const observe = (child: ChildProcess): Program => {
  running.add(child)
  let text = ""
  let ended = false
  const listeners = new Set<() => void>()
  const changed = () => {
    for (const listener of listeners) listener()
  }
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk
      changed()
    })
  }
  const exit = once(child, "close").then(([code, signal]) => {
    ended = true
    running.delete(child)
    changed()
    return code ?? signal
  })
  const says = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(text)
        if (match !== null) resolve(match)
        else if (ended) reject(new Error(`it ended without saying ${pattern}: ${text}`))
        else return
        listeners.delete(look)
      }
      listeners.add(look)
      look()
    })
  const url = async () => (await says(/API +(http:\S+)\/api\/v1/))[1]!
  const get = async (path: string) => fetch((await url()) + path)
  return {
    said: () => text,
    says,
    url,
    get,
    json: async <A>(path: string) => (await get(path)).json() as Promise<A>,
    signal: (signal) => child.kill(signal),
    pid: child.pid!,
    exit
  }
}

/** A port that nothing listens on now, for a process that has to be found at it before it is there, and after a restart. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

/** Asks again and again until an answer is as wanted; the test's time limit ends it. */
export const eventually = async <A>(ask: () => Promise<A>, wanted: (answer: A) => boolean): Promise<A> => {
  for (;;) {
    const answer = await ask()
    if (wanted(answer)) return answer
    await new Promise((resolve) => setImmediate(resolve))
  }
}
