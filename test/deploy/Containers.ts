/** Containers of a suite: each as restricted as the deployment's own, in a network of the suite, all gone at its end. */
import { randomBytes } from "node:crypto"
import { containerEnvironment } from "./Images.ts"
import { execute, type Outcome, outcomeOf } from "./Tool.ts"

const execution = { env: containerEnvironment }

export const podman = async (...args: ReadonlyArray<string>): Promise<string> =>
  (await execute("podman", args, execution)).trim()

export const podmanOutcome = (...args: ReadonlyArray<string>): Promise<Outcome> =>
  outcomeOf("podman", args, execution)

/** Nothing can be written but volumes, no capability is held, and none can be gained. */
export const restrictions = [
  "--read-only",
  "--read-only-tmpfs=false",
  "--cap-drop=ALL",
  "--security-opt=no-new-privileges"
]

export interface Started {
  readonly image: string
  readonly command?: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
  readonly options?: ReadonlyArray<string>
}

/** The containers of one suite; they find each other by the names that they are started under. */
export class Containers {
  readonly #suite = `telemetry-pipeline-test-${randomBytes(4).toString("hex")}`
  readonly #names = new Set<string>()
  readonly #volumes = new Set<string>()
  #hasNetwork = false

  /** What podman calls a container of the suite. */
  nameOf(name: string): string {
    return `${this.#suite}-${name}`
  }

  /** What podman calls a volume of the suite; it is made where it is missing. */
  volume(name: string): string {
    const volume = this.nameOf(name)
    this.#volumes.add(volume)
    return volume
  }

  async start(name: string, { image, command = [], environment = {}, options = [] }: Started): Promise<void> {
    if (!this.#hasNetwork) await podman("network", "create", this.#suite)
    this.#hasNetwork = true
    this.#names.add(name)
    const variables = Object.entries(environment).flatMap(([variable, value]) => [
      "--env",
      `${variable}=${value}`
    ])
    const network = ["--network", this.#suite, "--network-alias", name]
    const named = ["--detach", "--name", this.nameOf(name), ...network]
    await podman("run", ...named, ...restrictions, ...variables, ...options, image, ...command)
  }

  /** Exit code of the health check that the image brings. */
  async healthCheck(name: string): Promise<number> {
    return (await podmanOutcome("healthcheck", "run", this.nameOf(name))).exitCode
  }

  /** What a process answers within its container. */
  async ask(name: string, port: number, path: string): Promise<string> {
    const program = `const answer = await fetch("http://127.0.0.1:${port}${path}"); console.log(await answer.text())`
    return podman("exec", this.nameOf(name), "node", "--input-type=module", "--eval", program)
  }

  /** Sends SIGTERM, and SIGKILL where the container outlives the grace period; its exit code. */
  async stop(name: string, graceSeconds: number): Promise<number> {
    await podman("stop", "--time", String(graceSeconds), this.nameOf(name))
    return this.exitCode(name)
  }

  async exitCode(name: string): Promise<number> {
    return Number(await podman("wait", this.nameOf(name)))
  }

  async remove(name: string): Promise<void> {
    await podman("rm", "--force", "--time", "0", this.nameOf(name))
    this.#names.delete(name)
  }

  /** Standard output and standard error. */
  async logs(name: string): Promise<string> {
    const { stdout, stderr } = await podmanOutcome("logs", this.nameOf(name))
    return stdout + stderr
  }

  /** Leaves nothing behind, whatever has started. */
  async dispose(): Promise<void> {
    for (const name of [...this.#names]) await this.remove(name)
    for (const volume of this.#volumes) await podmanOutcome("volume", "rm", "--force", volume)
    if (this.#hasNetwork) await podman("network", "rm", "--force", this.#suite)
  }
}
