/** What deploy/compose.yaml says, without bringing it up: restrictions, limits, versions, and the program's own settings. */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Config, ConfigProvider, Effect } from "effect"
import { describe, expect, it } from "vitest"
import { parse } from "yaml"
import { commandSettings } from "../../src/layers/settings/commands.ts"
import { variablesOf } from "./ChartPrograms.ts"
import { root } from "./Tool.ts"

interface Mount {
  readonly type: string
  readonly source: string
  readonly read_only?: boolean
}

interface Service {
  readonly image: string
  readonly command?: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: ReadonlyArray<string | Mount>
  readonly ports?: ReadonlyArray<string>
  readonly healthcheck?: { readonly test?: ReadonlyArray<string>; readonly disable?: boolean }
  readonly restart: string
  readonly read_only: boolean
  readonly cap_drop: ReadonlyArray<string>
  readonly security_opt: ReadonlyArray<string>
  readonly stop_grace_period?: string
  readonly deploy: {
    readonly resources: { readonly limits: { readonly cpus: string; readonly memory: string } }
  }
}

const folder = join(root, "deploy")
const text = await readFile(join(folder, "compose.yaml"), "utf8")
const example = await readFile(join(folder, ".env.example"), "utf8")
const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"))

const document = JSON.stringify(parse(text, { merge: true }))

/** The services as compose reads them where these variables are set. */
const servicesWith = (variables: Readonly<Record<string, string>> = {}): ReadonlyArray<[string, Service]> =>
  Object.entries(
    JSON.parse(
      document.replace(/\$\{(\w+):-([^}]*)\}/g, (_, name, otherwise) => variables[name] || otherwise)
    ).services
  )

const services = servicesWith()
const image = `telemetry-pipeline:${version}`
const processes = services.filter(([, service]) => service.image === image)

const exampleVariables = Object.fromEntries(
  example
    .split("\n")
    .filter((line) => /^\w+=/.test(line))
    .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])
)

/** Instead of the file, which is mounted all the same. */
const simulated = { SIMULATE: "32x8", SIMULATE_FAULTS: "all" }

const isCommand = (name: string | undefined): name is keyof typeof commandSettings =>
  name !== undefined && name in commandSettings

describe("deploy/compose.yaml", () => {
  it("has every process of the pipeline, in the image of this version", () => {
    expect(processes.map(([name]) => name).sort()).toEqual([
      "api",
      "broker",
      "collector-0",
      "collector-1",
      "influxdb-setup",
      "streamer-0",
      "streamer-1"
    ])
  })

  it.each(services)("%s is restricted, limited, looked after, and of an exact version", (name, service) => {
    expect(service.read_only).toBe(true)
    expect(service.cap_drop).toEqual(["ALL"])
    expect(service.security_opt).toEqual(["no-new-privileges:true"])
    expect(Number(service.deploy.resources.limits.cpus)).toBeGreaterThan(0)
    expect(service.deploy.resources.limits.memory).toMatch(/^\d+[MG]$/)
    expect(service.image).toMatch(/:v?\d+\.\d+\.\d+$/)
    if (name === "influxdb-setup")
      return expect(service).toMatchObject({ restart: "no", healthcheck: { disable: true } })
    expect(service.restart).toBe("unless-stopped")
    // The image of the pipeline brings its own.
    if (service.image !== image) expect(service.healthcheck?.test?.[0]).toBe("CMD")
  })

  it.each(services)("%s is reached from this machine alone", (_, { ports = [] }) => {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
  })

  it.each(services)("%s mounts what is there, and can't change it", (_, { volumes = [] }) => {
    for (const volume of volumes) {
      const isShort = typeof volume === "string"
      const source = isShort ? (volume.split(":")[0] ?? "") : volume.source
      if (!source.startsWith(".")) continue
      expect(existsSync(join(folder, source)), source).toBe(true)
      expect(isShort ? volume.endsWith(":ro") : volume.read_only).toBe(true)
    }
  })

  it.each(processes)("%s sets what its command reads, and the command accepts it", async (_, service) => {
    const command = service.command?.[0]
    if (!isCommand(command)) throw new Error(`there is no command ${command}`)
    for (const variables of [{}, exampleVariables, simulated]) {
      const environment = servicesWith(variables).find(
        ([, { command: other }]) => other?.[0] === command
      )?.[1].environment
      const known = variablesOf(command)
      expect(Object.keys(service.environment ?? {}).filter((name) => !known.includes(name))).toEqual([])
      const provider = ConfigProvider.fromMap(new Map(Object.entries(environment ?? {})))
      for (const { config } of commandSettings[command].groups) {
        const reading: Config.Config<unknown> = config
        await Effect.runPromise(Effect.withConfigProvider(reading, provider))
      }
    }
  })

  it("loses nothing where the log is full", () => {
    const broker = processes.find(([name]) => name === "broker")
    expect(broker?.[1].environment?.LOG_WHEN_FULL).toBe("block")
  })

  it("gives processes longer to end than they take to drain", async () => {
    const seconds = (duration: string) => Number(/^(\d+)s$/.exec(duration)?.[1])
    const drain = await Effect.runPromise(
      Effect.withConfigProvider(
        Config.all(commandSettings.broker.groups.map(({ config }): Config.Config<unknown> => config)),
        ConfigProvider.fromMap(new Map())
      )
    )
    const drainSeconds = Number(/"drainTimeoutMs":(\d+)/.exec(JSON.stringify(drain))?.[1]) / 1000
    for (const [, service] of processes)
      expect(seconds(service.stop_grace_period ?? "")).toBeGreaterThan(drainSeconds)
  })

  it("reads no variable that the example does not explain, and the example sets none that is not read", () => {
    const read = [...text.matchAll(/\$\{(\w+):-/g)].map(([, name]) => name)
    expect(Object.keys(exampleVariables).sort()).toEqual([...new Set(read)].sort())
  })

  it("is the same with the example's values as with none", () => {
    const said = (list: ReadonlyArray<[string, Service]>) =>
      list.map(([name, { environment: _, ...service }]) => [name, service])
    expect(said(servicesWith(exampleVariables))).toEqual(said(services))
  })
})
