/** A process of the program that is killed and started again, over and over. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { bundle } from "../../scripts/build.mjs"

const executable = fileURLToPath(new URL("../../dist/telemetry-pipeline.js", import.meta.url))

let built: Promise<void> | undefined

/** What it said last, kept for whoever has to find out what went wrong. */
const saidMax = 20_000

export class Process {
  private child: ChildProcess | undefined
  /** Times that it was killed. */
  kills = 0
  /** Its exit code, once it has ended by itself. */
  exitCode: number | null | undefined
  said = ""

  constructor(
    readonly name: string,
    readonly flags: ReadonlyArray<string>,
    private readonly environment: Readonly<Record<string, string>>
  ) {}

  get isRunning(): boolean {
    return this.child !== undefined
  }

  /** Starts it, with these variables too. */
  async start(more: Readonly<Record<string, string>> = {}): Promise<void> {
    built ??= bundle()
    await built
    const child = spawn(process.execPath, [executable, ...this.flags], {
      env: { PATH: process.env.PATH, ...this.environment, ...more },
      stdio: ["ignore", "pipe", "pipe"]
    })
    this.child = child
    this.exitCode = undefined
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.said = (this.said + text).slice(-saidMax)
      })
    }
    child.once("exit", (code, signal) => {
      if (this.child !== child) return
      this.child = undefined
      if (signal === null) this.exitCode = code
    })
  }

  /** Ends it as a loss of power would, but for what the system has in hand; answers whether there was anything to end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<boolean> {
    const { child } = this
    if (child === undefined) return false
    const exited = once(child, "exit")
    child.kill(signal)
    await exited
    if (this.exitCode !== undefined) return false
    this.kills++
    return true
  }
}
