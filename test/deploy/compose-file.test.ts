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
  readonly stop_signal?: string
  readonly depends_on?: ReadonlyArray<string> | Readonly<Record<string, { readonly condition: string }>>
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
const serviceOf = (name: string): Service => {
  const found = services.find(([other]) => other === name)
  if (found === undefined) throw new Error(`there is no service ${name}`)
  return found[1]
}
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
    expect(serviceOf("broker").environment?.LOG_WHEN_FULL).toBe("block")
  })

  it("keeps what outlives a container on a volume, where the container writes it", () => {
    const kept = ["broker", "influxdb", "prometheus", "grafana"].map((name) => [
      name,
      serviceOf(name).volumes?.find((volume) => typeof volume === "string" && !volume.startsWith("."))
    ])
    expect(kept).toEqual([
      ["broker", `broker-data:${serviceOf("broker").environment?.DATA_DIR}`],
      ["influxdb", "influxdb-data:/var/lib/influxdb2"],
      ["prometheus", "prometheus-data:/prometheus"],
      ["grafana", "grafana-data:/var/lib/grafana"]
    ])
    for (const path of ["INFLUXD_BOLT_PATH", "INFLUXD_SQLITE_PATH", "INFLUXD_ENGINE_PATH"])
      expect(serviceOf("influxdb").environment?.[path]).toMatch(/^\/var\/lib\/influxdb2\//)
    const declared = Object.keys(JSON.parse(document).volumes).sort()
    expect(declared).toEqual(["broker-data", "grafana-data", "influxdb-data", "prometheus-data"])
  })

  it("lets those that store and read wait until InfluxDB is set up, and InfluxDB end cleanly", () => {
    const done = { condition: "service_completed_successfully" }
    for (const name of ["collector-0", "collector-1", "api"])
      expect(serviceOf(name).depends_on, name).toMatchObject({ "influxdb-setup": done })
    expect(serviceOf("influxdb")).toMatchObject({ stop_signal: "SIGINT", stop_grace_period: "1m" })
  })

  it("hands Grafana its password, its data sources and the dashboards, where its provider looks for them", async () => {
    const { environment, volumes = [] } = serviceOf("grafana")
    const { GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: home, INFLUXDB_TOKEN, ...others } = environment ?? {}
    expect(others).toEqual({
      GF_SECURITY_ADMIN_PASSWORD: "development-password",
      GF_ANALYTICS_REPORTING_ENABLED: "false",
      GF_ANALYTICS_CHECK_FOR_UPDATES: "false",
      GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES: "false",
      GF_PLUGINS_PREINSTALL_DISABLED: "true",
      GF_LOG_MODE: "console"
    })
    expect(INFLUXDB_TOKEN).toBe(serviceOf("influxdb-setup").environment?.INFLUXDB_TOKEN)
    const mounts = new Map(
      volumes.map((volume) => String(volume).split(":")).map(([from, to]) => [to ?? "", from ?? ""])
    )
    const provisioning = join(folder, mounts.get("/etc/grafana/provisioning") ?? "")
    const read = async (file: string) => parse(await readFile(join(provisioning, file), "utf8"))
    const [{ options }] = (await read("dashboards/dashboards.yaml")).providers
    const dashboards = mounts.get(options.path)
    expect(dashboards).toBe("./helm/telemetry-pipeline/dashboards")
    expect(home?.startsWith(`${options.path}/`)).toBe(true)
    expect(existsSync(join(folder, dashboards ?? "", home?.slice(options.path.length) ?? ""))).toBe(true)
    const { datasources } = await read("datasources/datasources.yaml")
    expect(datasources.map(({ uid, url }: { uid: string; url: string }) => [uid, url])).toEqual([
      ["prometheus", "http://prometheus:9090"],
      ["influxdb", "http://influxdb:8086"]
    ])
    const { organization, defaultBucket } = datasources[1].jsonData
    expect(serviceOf("api").environment).toMatchObject({
      INFLUXDB_ORG: organization,
      INFLUXDB_BUCKET: defaultBucket
    })
    expect(datasources[1].secureJsonData).toEqual({ token: "$INFLUXDB_TOKEN" })
  })

  it("limits memory as the chart does, which alerts go by", async () => {
    const values = parse(await readFile(join(folder, "helm/telemetry-pipeline/values.yaml"), "utf8"))
    const parts = { broker: "mqServer", "streamer-0": "streamer", "collector-0": "collector", api: "api" }
    for (const [name, key] of Object.entries(parts))
      expect(`${serviceOf(name).deploy.resources.limits.memory}i`, name).toBe(
        values[key].resources.limits.memory
      )
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
