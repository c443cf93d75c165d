/** The composition of deploy/compose.yaml, brought up by podman-compose on ports that are free, and taken down with all it made. */
import { randomBytes } from "node:crypto"
import { createServer } from "node:net"
import { podman, podmanOutcome } from "./Containers.ts"
import { containerEnvironment } from "./Images.ts"
import { type Outcome, outcomeOf } from "./Tool.ts"

/** podman-compose waits for ever for a container that can't be started. */
const upSecondsMax = 180

/** No image stands in for Grafana's, which can't be built from modules in reasonable time. */
const services = [
  "influxdb",
  "influxdb-setup",
  "broker",
  "streamer-0",
  "streamer-1",
  "collector-0",
  "collector-1",
  "api",
  "prometheus"
] as const

export type Service = (typeof services)[number]

/** Services that have to be running; influxdb-setup ends. */
export const longRunning: ReadonlyArray<Service> = services.filter((service) => service !== "influxdb-setup")

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })

export class Composition {
  readonly project = `telemetry-pipeline-test-${randomBytes(4).toString("hex")}`
  readonly #environment: NodeJS.ProcessEnv
  readonly apiUrl: string
  readonly prometheusUrl: string

  private constructor(settings: NodeJS.ProcessEnv, [api, influxdb, prometheus]: ReadonlyArray<number>) {
    const ports = { API_PORT: `${api}`, INFLUXDB_PORT: `${influxdb}`, PROMETHEUS_PORT: `${prometheus}` }
    this.#environment = { ...containerEnvironment, ...ports, ...settings }
    this.apiUrl = `http://127.0.0.1:${api}`
    this.prometheusUrl = `http://127.0.0.1:${prometheus}`
  }

  /** Nothing is started. Settings are variables, such as a user of the composition may set. */
  static async make(settings: NodeJS.ProcessEnv = {}): Promise<Composition> {
    return new Composition(settings, await Promise.all([freePort(), freePort(), freePort()]))
  }

  #compose(...args: ReadonlyArray<string>): Promise<Outcome> {
    const files = ["-f", "deploy/compose.yaml", "-f", "test/deploy/compose.stand-in.yaml"]
    const command = ["podman-compose", ...files, "--project-name", this.project, ...args]
    return outcomeOf("timeout", [`${upSecondsMax}`, ...command], { env: this.#environment })
  }

  /** Starts everything; rejects with what podman-compose says where something does not run. */
  async up(): Promise<void> {
    const { stdout, stderr } = await this.#compose("up", "--detach", "--no-build", ...services)
    // podman-compose's exit code tells nothing.
    for (const service of longRunning)
      if (!(await this.isRunning(service))) throw new Error(`${service} does not run:\n${stdout}${stderr}`)
  }

  /** What podman calls the container of a service. */
  nameOf(service: Service): string {
    return `${this.project}_${service}_1`
  }

  async isRunning(service: Service): Promise<boolean> {
    const { stdout } = await podmanOutcome("inspect", "--format", "{{.State.Running}}", this.nameOf(service))
    return stdout.trim() === "true"
  }

  /** Exit code of the health check of a service. */
  async healthCheck(service: Service): Promise<number> {
    return (await podmanOutcome("healthcheck", "run", this.nameOf(service))).exitCode
  }

  /** How often a service had to be started again. */
  async restarts(service: Service): Promise<number> {
    return Number(await podman("inspect", "--format", "{{.RestartCount}}", this.nameOf(service)))
  }

  /** Ends a process without a chance to do anything about it. */
  async kill(service: Service): Promise<void> {
    await podman("kill", "--signal", "KILL", this.nameOf(service))
    await podman("wait", this.nameOf(service))
  }

  async start(service: Service): Promise<void> {
    await podman("start", this.nameOf(service))
  }

  async exec(service: Service, ...command: ReadonlyArray<string>): Promise<string> {
    return podman("exec", this.nameOf(service), ...command)
  }

  async logs(service: Service): Promise<string> {
    const { stdout, stderr } = await podmanOutcome("logs", this.nameOf(service))
    return stdout + stderr
  }

  /** Takes down containers, network and volumes, whatever was started. */
  async down(): Promise<void> {
    await this.#compose("down", "--volumes", "--timeout", "0")
  }

  /** What is left of it: names of containers, networks and volumes. */
  async remains(): Promise<ReadonlyArray<string>> {
    const lists = [
      await podman("ps", "--all", "--format", "{{.Names}}"),
      await podman("network", "ls", "--format", "{{.Name}}"),
      await podman("volume", "ls", "--format", "{{.Name}}")
    ]
    return lists.flatMap((list) => list.split("\n")).filter((name) => name.includes(this.project))
  }
}
