/** The chart and the program agree: on the names of settings, on the values that they get, and on ports, addresses and times. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Ajv } from "ajv"
import { beforeAll, describe, expect, it } from "vitest"
import {
  brokerProcessSettings,
  collectorProcessSettings,
  commandSettings,
  gatewayProcessSettings,
  influxdbSettings,
  offsetsSettings,
  streamerProcessSettings
} from "../../src/layers/settings/commands.ts"
import type { Kind } from "../../src/layers/settings/kinds.ts"
import { chart, render, variants } from "./Chart.ts"
import { type KubernetesObject, ofKind } from "./ChartObjects.ts"
import { otherVariables, type Program, programsOf, settingsOf, variablesOf } from "./ChartPrograms.ts"
import { describeWith } from "./Tool.ts"

/** What the chart sets by itself: where things are, who is who, and what comes out of the Secret. */
const ofTheChart = [
  ...["MQ_HOST", "MQ_PORT", "MQ_TOKEN", "MQ_TLS", "MQ_TLS_CA", "MQ_TLS_CERT", "MQ_TLS_KEY"],
  ...["TCP_PORT", "HTTP_PORT", "API_PORT", "PROBE_PORT", "DATA_DIR", "STORAGE_TYPE"],
  ...["INFLUXDB_URL", "INFLUXDB_TOKEN", "INFLUXDB_PASSWORD"],
  ...["STREAMER_ID", "COLLECTOR_ID", "SHARD", "CSV_PATH", "SIMULATE"]
]

/** What processes have to agree on, and is set for all of them or for none. */
const ofAll = ["INFLUXDB_ORG", "INFLUXDB_BUCKET", "RETENTION_PERIOD"]

const processes = ["broker", "streamer", "collector", "gateway", "influxdb"] as const
const keys = { broker: "mqServer", streamer: "streamer", collector: "collector", gateway: "api" } as const

const schemaText = await readFile(join(chart, "values.schema.json"), "utf8")
const schema = JSON.parse(schemaText)
const without = (names: ReadonlyArray<string>, ...others: ReadonlyArray<ReadonlyArray<string>>) =>
  names.filter((name) => !others.flat().includes(name)).sort()
const settable: Readonly<Record<string, unknown>> = schema.definitions.settings.properties

describe("the schema of the chart's values", () => {
  it("lets be set what processes of their own read, but for what is the chart's, and nothing else", () => {
    const all = [...new Set(processes.flatMap(variablesOf))]
    expect(Object.keys(settable).sort()).toEqual(without(all, ofTheChart))
  })

  it.each(Object.entries(keys))("lets be set for the %s alone what it alone reads", (command, key) => {
    const [, names] = schema.properties[key].properties.config.allOf
    const read = variablesOf(command as keyof typeof keys)
    expect(names.propertyNames.enum).toEqual(without(read, ofTheChart, ofAll))
  })

  /** Texts of all kinds: some are values of any setting, and some of none. */
  const samples = [
    ...["0", "1", "5", "9", "100", "1000", "2.5", "max", "none", "all", "xid,hot", "true", "False", "off"],
    ...[
      "500ms",
      "5s",
      "1h30m",
      "1.5h",
      "250us",
      "5 seconds",
      "20MiB",
      "256MiB",
      "1 GiB",
      "1GB",
      "65536",
      "8gib"
    ],
    ...["block", "drop_oldest", "always", "interval", "never", "stop", "quarantine", "now", "original", "::"],
    ...["earliest", "latest", "info", "debug", "warn", "name", "-1", "5x", "1h30", "GiB", "@"]
  ]
  const kinds = new Map(
    processes.flatMap((command) =>
      commandSettings[command].groups.flatMap(({ settings }) =>
        Object.values(settings).map((setting) => [setting.env, setting.kind as Kind<unknown>] as const)
      )
    )
  )

  it.each(Object.keys(settable))(
    "takes every value of %s that the program takes, and none like -1",
    (name) => {
      const validate: (text: unknown) => boolean = new Ajv({ allowUnionTypes: true }).compile({
        ...(settable[name] as object),
        definitions: schema.definitions
      })
      const { parse } = kinds.get(name)!
      // Those of the grace period are computed with: Go's notation alone.
      const isReadByTheChart = name === "DRAIN_TIMEOUT"
      const taken = samples.filter((text) => parse(text)._tag === "Some")
      expect(taken.length).toBeGreaterThan(0)
      // Words are written as the documentation has them, in small letters.
      const refused = taken.filter((text) => !validate(text) && text.toLowerCase() === text)
      expect(refused.filter((text) => !isReadByTheChart || !/us| /.test(text))).toEqual([])
      if (taken.length < samples.length)
        expect(samples.filter((text) => validate(text)).length).toBeLessThan(samples.length)
    }
  )
})

describeWith(["helm"], "what the chart gives the program", () => {
  const rendered = new Map<string, ReadonlyArray<KubernetesObject>>()
  beforeAll(async () => {
    for (const [variant, file] of Object.entries(variants)) rendered.set(variant, await render({ file }))
  })

  const everywhere = async (
    problems: (program: Program, objects: ReadonlyArray<KubernetesObject>) => Promise<ReadonlyArray<string>>
  ) => {
    const found = [...rendered].flatMap(([variant, objects]) =>
      programsOf(objects).map(async (program) =>
        (await problems(program, objects)).map((problem) => `${variant} ${program.pod.name}: ${problem}`)
      )
    )
    return (await Promise.all(found)).flat()
  }

  const portsOf = ({ container }: Program) => (container.ports ?? []).map((port) => port.containerPort)

  it("runs every process of the pipeline", () => {
    const commands = programsOf(rendered.get("default")!).map(({ command }) => command)
    expect(commands.sort()).toEqual([...processes].sort())
  })

  it("has no variable that its process does not read", async () => {
    expect(
      await everywhere(async ({ command, container: { env = [] } }) =>
        without(
          env.map(({ name }) => name),
          variablesOf(command),
          command === "broker" ? variablesOf("offsets") : [],
          otherVariables
        )
      )
    ).toEqual([])
    for (const objects of rendered.values()) {
      const [config] = ofKind(objects, "ConfigMap").filter(
        ({ metadata }) => metadata.name === "gpu-telemetry-config"
      )
      expect(without(Object.keys(config!.data ?? {}), processes.flatMap(variablesOf))).toEqual([])
    }
  })

  it("has values that its process takes, so that each starts", async () => {
    expect(
      await everywhere((program) =>
        settingsOf<unknown>(program, commandSettings[program.command]).then(
          () => [],
          (problem) => [String(problem)]
        )
      )
    ).toEqual([])
    const [broker] = programsOf(rendered.get("default")!).filter(({ command }) => command === "broker")
    const mistaken = { ...broker!, variables: { ...broker!.variables, LOG_WHEN_FULL: "wait" } }
    await expect(settingsOf(mistaken, brokerProcessSettings)).rejects.toThrow("LOG_WHEN_FULL")
  })

  it("names the ports that the process listens on, to the network", async () => {
    const listening = async (program: Program) => {
      if (program.command === "broker") {
        const { brokerServer, brokerHttp } = await settingsOf(program, brokerProcessSettings)
        return [brokerServer, { host: brokerHttp.httpHost, port: brokerHttp.httpPort }]
      }
      if (program.command === "gateway") {
        const { gateway } = await settingsOf(program, gatewayProcessSettings)
        return [{ host: gateway.apiHost, port: gateway.apiPort }]
      }
      if (program.command === "influxdb") return []
      const settings = program.command === "streamer" ? streamerProcessSettings : collectorProcessSettings
      const { probe } = await settingsOf(program, settings as typeof collectorProcessSettings)
      return [{ host: probe.probeHost, port: probe.probePort }]
    }
    expect(
      await everywhere(async (program) => {
        const listened = await listening(program)
        const isSame = String(listened.map(({ port }) => port)) === String(portsOf(program))
        const isOpen = listened.every(({ host }) => host === "0.0.0.0" || host === "::")
        return isSame && isOpen ? [] : [`${JSON.stringify(listened)} and not ${portsOf(program)}`]
      })
    ).toEqual([])
  })

  it("kills nothing before its drain is over", async () => {
    expect(
      await everywhere(async (program) => {
        const { command, pod, container } = program
        if (command === "influxdb") return []
        const { process } = await settingsOf(
          program,
          commandSettings[command] as typeof gatewayProcessSettings
        )
        const beforeSeconds = container.lifecycle?.preStop?.sleep?.seconds ?? 0
        const needSeconds = beforeSeconds + process.drainTimeoutMs / 1_000 + 5
        const graceSeconds = pod.spec.terminationGracePeriodSeconds ?? 30
        const isGateway = command === "gateway"
        return graceSeconds >= needSeconds && isGateway === beforeSeconds > 0
          ? []
          : [`${graceSeconds} s of grace, ${needSeconds} s are needed`]
      })
    ).toEqual([])
  })

  it("tells each where the others are", async () => {
    const addresses = (objects: ReadonlyArray<KubernetesObject>) =>
      ofKind(objects, "Service").flatMap(({ metadata, spec }) =>
        (spec?.ports ?? []).map(({ port }) => `${metadata.name}:${port}`)
      )
    expect(
      await everywhere(async (program, objects) => {
        const { command } = program
        const there = [...addresses(objects), "influxdb.example.org"]
        const wanted: Array<string> = []
        if (command === "streamer" || command === "collector") {
          const settings = command === "streamer" ? streamerProcessSettings : collectorProcessSettings
          const { client } = await settingsOf(program, settings as typeof collectorProcessSettings)
          wanted.push(`${client.host}:${client.port}`)
        }
        if (command === "broker") {
          // `offsets` is executed in its pod, which may reach itself alone.
          const { client } = await settingsOf(program, offsetsSettings)
          const { brokerServer } = await settingsOf(program, brokerProcessSettings)
          if (client.host === "localhost" && client.port === brokerServer.port) return []
          wanted.push(`${client.host}:${client.port}, outside of the pod`)
        }
        if (command === "collector" || command === "gateway") {
          const { store } = await settingsOf(program, gatewayProcessSettings)
          wanted.push(store.kind === "influxdb" ? new URL(store.url).host : store.kind)
        }
        if (command === "influxdb") {
          wanted.push(new URL((await settingsOf(program, influxdbSettings)).store.url).host)
        }
        return wanted.filter((address) => !there.includes(address))
      })
    ).toEqual([])
  })

  it("shows the broker's token on both sides, or on none", async () => {
    for (const [variant, objects] of rendered) {
      const programs = programsOf(objects).filter(
        ({ command }) => command !== "gateway" && command !== "influxdb"
      )
      const tokens = programs.map(({ variables }) => variables.MQ_TOKEN)
      expect(new Set(tokens).size).toBe(1)
      expect(tokens[0] === undefined).toBe(variant === "minimal")
    }
    expect(
      programsOf(rendered.get("everything")!)
        .map(({ variables }) => variables.INFLUXDB_PASSWORD)
        .filter(Boolean)
    ).toEqual(["a-password"])
  })

  it("encrypts both sides, or none", async () => {
    const isEncrypted = (variant: string) =>
      Promise.all(
        programsOf(rendered.get(variant)!).flatMap((program) =>
          program.command === "broker"
            ? [
                settingsOf(program, brokerProcessSettings).then(
                  ({ brokerServer }) => brokerServer.tls !== undefined
                )
              ]
            : program.command === "streamer" || program.command === "collector"
              ? [
                  settingsOf(
                    program,
                    (program.command === "streamer"
                      ? streamerProcessSettings
                      : collectorProcessSettings) as typeof collectorProcessSettings
                  ).then(({ client }) => client.tls !== undefined)
                ]
              : []
        )
      )
    expect(await isEncrypted("everything")).toEqual([true, true, true])
    expect(await isEncrypted("default")).toEqual([false, false, false])
  })

  it("has a log that loses nothing, on its volume and smaller than that", async () => {
    const [program] = programsOf(rendered.get("default")!).filter(({ command }) => command === "broker")
    const { broker } = await settingsOf(program!, brokerProcessSettings)
    expect(broker).toMatchObject({ whenFull: "block", retentionBytes: 8 * 2 ** 30 })
    const [mount] = program!.container.volumeMounts!
    expect(broker.log).toMatchObject({
      kind: "files",
      directory: expect.stringContaining(`${mount!.mountPath}/`)
    })
  })

  it("gives streamers parts of one whole, and other ids to another number of them", async () => {
    const idsOf = async (replicas: number) => {
      const objects = await render({ values: { streamer: { replicas } } })
      const [program] = programsOf(objects).filter(({ command }) => command === "streamer")
      const { streamer } = await settingsOf(program!, streamerProcessSettings)
      expect(streamer.shard).toMatchObject({ index: 0, count: replicas })
      return streamer.streamerId
    }
    expect(await idsOf(2)).not.toBe(await idsOf(3))
  })
})
