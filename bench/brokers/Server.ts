/** Programs of others as servers: on a free port of the loopback, over a temporary folder, ended by their process id. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { accessSync, constants, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import type { RunningServer } from "./Contender.ts"

const startMsMax = 10_000
const lookMs = 20
/** In which `/proc` counts CPU time. */
const tickMicros = 10_000

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The program that a variable names, or that is on the path; `undefined` where there is none. */
export const findProgram = (name: string, variable: string): string | undefined => {
  const named = process.env[variable]
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "")
  return [...(named === undefined ? [] : [named]), ...folders.map((folder) => join(folder, name))].find(
    isProgram
  )
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, "close")
  return port
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" })
    socket.on("connect", () => resolve(true))
    socket.on("error", () => resolve(false))
    socket.on("connect", () => socket.destroy())
  })

/** Starts it with arguments that are made for a port and a folder, and waits until it accepts connections. */
export const startServer = async (
  program: string,
  argumentsFor: (port: number, folder: string) => ReadonlyArray<string>
): Promise<RunningServer> => {
  const folder = mkdtempSync(join(tmpdir(), "bench-brokers-"))
  const port = await freePort()
  const child = spawn(program, argumentsFor(port, folder), { stdio: "ignore", cwd: folder })
  const gone = once(child, "exit")
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill()
    await gone
    rmSync(folder, { recursive: true, force: true })
  }
  const startMs = performance.now()
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() - startMs > startMsMax) {
      await stop()
      throw new Error(`${program} does not accept connections`)
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
  return { port, pid: child.pid!, stop }
}

/** User and system time of a process so far; `undefined` where the system does not tell. */
export const cpuMicrosOf = (pid: number): number | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) * tickMicros
  } catch {
    return undefined
  }
}
