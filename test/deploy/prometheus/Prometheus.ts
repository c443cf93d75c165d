/** A real Prometheus, built from its Go modules, and one that runs over a temporary folder. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "../../program/Program.ts"
import { eventually, execute } from "../Tool.ts"

/** What has to be on the path for `prometheusFolder`. */
export const prometheusTools = ["go"]

/** The folder that holds `prometheus` and `promtool`, which are built the first time (minutes; needs `prometheusTools`). */
export const prometheusFolder = async (): Promise<string> =>
  (await execute("test/deploy/prometheus/build", [])).trim()

/** One series of an instant query's answer. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [timeSeconds: number, value: string]
}

interface Answer<A> {
  readonly status: string
  readonly data: A
}

export interface Target {
  readonly labels: Readonly<Record<string, string>>
  readonly health: "up" | "down" | "unknown"
  readonly lastError: string
}

export interface Rule {
  readonly name: string
  readonly health: "ok" | "err" | "unknown"
  readonly lastError?: string
}

export class Prometheus {
  private constructor(
    private readonly process: ChildProcess,
    private readonly folder: string,
    private readonly url: string
  ) {}

  /** Starts one with a configuration (YAML, or JSON, which is YAML too) on a free port. It is ready when this resolves. */
  static async start(config: string): Promise<Prometheus> {
    const binary = join(await prometheusFolder(), "prometheus")
    const folder = await mkdtemp(join(tmpdir(), "prometheus-"))
    await writeFile(join(folder, "prometheus.yaml"), config)
    const port = await freePort()
    const child = spawn(
      binary,
      [
        `--config.file=${join(folder, "prometheus.yaml")}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--log.level=warn"
      ],
      { stdio: ["ignore", "ignore", "inherit"] }
    )
    const prometheus = new Prometheus(child, folder, `http://127.0.0.1:${port}`)
    try {
      await eventually(
        "Prometheus is ready",
        60,
        async () => (await fetch(`${prometheus.url}/-/ready`)).ok,
        Boolean
      )
    } catch (failure) {
      await prometheus.remove()
      throw failure
    }
    return prometheus
  }

  /** What its API answers to a GET. Rejects with the answer where it is an error. */
  private async ask<A>(path: string): Promise<A> {
    const response = await fetch(`${this.url}/api/v1/${path}`)
    const text = await response.text()
    if (!response.ok) throw new Error(`Prometheus: ${path}: ${text}`)
    return (JSON.parse(text) as Answer<A>).data
  }

  /** Evaluates an expression now. */
  async query(expression: string): Promise<ReadonlyArray<Sample>> {
    const { result } = await this.ask<{ readonly result: ReadonlyArray<Sample> }>(
      `query?query=${encodeURIComponent(expression)}`
    )
    return result
  }

  /** The values that a label has over the series that match. */
  async labelValues(label: string, match: string): Promise<ReadonlyArray<string>> {
    return this.ask(`label/${label}/values?match[]=${encodeURIComponent(match)}`)
  }

  async targets(): Promise<ReadonlyArray<Target>> {
    return (await this.ask<{ readonly activeTargets: ReadonlyArray<Target> }>("targets")).activeTargets
  }

  /** Every rule that it evaluates. */
  async rules(): Promise<ReadonlyArray<Rule>> {
    const { groups } = await this.ask<{
      readonly groups: ReadonlyArray<{ readonly rules: ReadonlyArray<Rule> }>
    }>("rules")
    return groups.flatMap(({ rules }) => rules)
  }

  /** Ends it and takes its data away. */
  async remove(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill("SIGKILL")
      await once(this.process, "exit")
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}
