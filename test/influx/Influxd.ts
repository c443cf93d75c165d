/** A real InfluxDB of one's own: the binary, started on a free port over a temporary folder. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** How a test or a benchmark reaches an InfluxDB. */
export interface Influx {
  readonly url: string
  readonly token: string
  readonly org: string
}

/** The binary: `INFLUXD`, or the one on the path. */
export const influxdPath = (): string | undefined => {
  if (process.env.INFLUXD) return process.env.INFLUXD
  try {
    return execFileSync("which", ["influxd"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    }).trim()
  } catch {
    return undefined
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

export const setup = { org: "cisco", token: "token-of-the-tests" } as const

/** A running server, that may be stopped and started again over the same data and port. */
export class Influxd {
  private process: ChildProcess | undefined

  private constructor(
    private readonly path: string,
    private readonly folder: string,
    private readonly port: number
  ) {}

  /** Starts one over an empty folder. It answers once `ready` has resolved. */
  static async start(path: string): Promise<Influxd> {
    const influxd = new Influxd(path, await mkdtemp(join(tmpdir(), "influxd-")), await freePort())
    influxd.launch()
    return influxd
  }

  get influx(): Influx {
    return { url: `http://127.0.0.1:${this.port}`, ...setup }
  }

  launch(): void {
    const { folder } = this
    this.process = spawn(
      this.path,
      [
        ...["--bolt-path", join(folder, "influxd.bolt"), "--sqlite-path", join(folder, "influxd.sqlite")],
        ...["--engine-path", join(folder, "engine"), "--http-bind-address", `127.0.0.1:${this.port}`],
        ...["--reporting-disabled", "--log-level", "error"]
      ],
      { stdio: "ignore" }
    )
  }

  /** Ends the process, and resolves when it has. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const { process } = this
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return
    const ended = new Promise((resolve) => process.once("exit", resolve))
    process.kill(signal)
    await ended
  }

  /** Ends the process and takes its data away. */
  async remove(): Promise<void> {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}

const attemptsMax = 600
const attemptDelayMs = 100

/** Resolves when the server answers, set up with an organization and a token that may do everything. */
export const ready = async ({ url, org, token }: Influx): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(`${url}/api/v2/setup`, {
        method: "POST",
        body: JSON.stringify({ username: "tests", password: "tests-only", org, bucket: "unused", token })
      })
      // 422: it was set up before.
      if (response.ok || response.status === 422) return
      throw new Error(`POST /api/v2/setup: ${response.status} ${await response.text()}`)
    } catch (cause) {
      if (attempt === attemptsMax) throw new Error(`influxd at ${url} does not answer`, { cause })
      await new Promise((resolve) => setTimeout(resolve, attemptDelayMs))
    }
  }
}
