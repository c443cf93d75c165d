/** deploy/compose.yaml, brought up for real: from nothing to data, and nothing lost where its processes are killed. */
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Composition, longRunning, type Service } from "./Composition.ts"
import { imageTools, influxdbImage, pipelineImage, prometheusImage } from "./Images.ts"
import { describeWith, eventually, execute } from "./Tool.ts"

const dataSeconds = 180
/** Broker, two streamers, two collectors, gateway, InfluxDB, and Prometheus itself. */
const targetsCount = 8
const tools = [...imageTools, "podman-compose", "prometheus", "promtool", "curl", "jq"]

/** What Prometheus says of what it does. */
interface Health {
  readonly health: string
}

const json = async <A>(url: string): Promise<A> => {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as A
}

const samplesOf = async (composition: Composition): Promise<number> =>
  (await json<{ total_metrics: number }>(`${composition.apiUrl}/api/v1/stats`)).total_metrics

interface BrokerStats {
  readonly checkpoints: ReadonlyArray<{ readonly id: string; readonly lag: number }>
  readonly gaps: { readonly count: number; readonly messages: number }
  readonly rejects: Readonly<Record<string, number>>
}

/** Asked in its container, as the broker's ports are not published. */
const brokerStats = async (composition: Composition): Promise<BrokerStats> => {
  const program = 'console.log(await (await fetch("http://127.0.0.1:9001/stats")).text())'
  return JSON.parse(await composition.exec("broker", "node", "--input-type=module", "--eval", program))
}

describeWith(tools, "compose", () => {
  beforeAll(async () => {
    console.warn("LEFT OUT: compose: grafana, for whose image nothing stands in")
    for (const image of [pipelineImage, influxdbImage, prometheusImage]) await image()
  })

  describe("as it is", () => {
    let composition: Composition

    beforeAll(async () => {
      composition = await Composition.make()
      await composition.up()
    })

    afterAll(async () => {
      await composition.down()
      expect(await composition.remains()).toEqual([])
    })

    it("goes from nothing to data, and passes the checks of the integration script", async () => {
      const environment = { API_URL: composition.apiUrl, WAIT_SECONDS: String(dataSeconds) }
      console.log(await execute("bash", ["test/integration/integration.sh"], { env: environment }))
    })

    it("is watched by Prometheus: every process answers, and every rule can be evaluated", async () => {
      const ask = <A>(path: string) => json<{ data: A }>(`${composition.prometheusUrl}/api/v1/${path}`)
      await eventually(
        "all targets are up",
        dataSeconds,
        async () => (await ask<{ activeTargets: ReadonlyArray<Health> }>("targets")).data.activeTargets,
        (targets) => targets.length === targetsCount && targets.every(({ health }) => health === "up")
      )
      const rules = await eventually(
        "rules are evaluated",
        dataSeconds,
        async () =>
          (
            await ask<{ groups: ReadonlyArray<{ rules: ReadonlyArray<Health> }> }>("rules")
          ).data.groups.flatMap((group) => group.rules),
        (loaded) => loaded.length > 0 && loaded.every(({ health }) => health !== "unknown")
      )
      expect(rules.filter(({ health }) => health !== "ok")).toEqual([])
    })

    it("is healthy by the checks of its containers, none of which had to be started again", async () => {
      for (const service of longRunning) {
        expect(await composition.healthCheck(service), service).toBe(0)
        expect(await composition.restarts(service), service).toBe(0)
      }
    })
  })

  describe("with a file of one's own", () => {
    const hosts = 8
    const rows = 32_000
    let folder: string
    let composition: Composition

    /** Rows of several hosts, so that both streamers have some, each with a time and a value of its own. */
    const expected = Array.from({ length: rows }, (_, row) => ({
      host: row % hosts,
      time: new Date(Date.now() - rows + row).toISOString(),
      value: row
    }))
    const gpuOf = (host: number) => `GPU-0000000${host}`

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "telemetry-pipeline-compose-"))
      const file = join(folder, "metrics.csv")
      const lines = expected.map(({ host, time, value }) =>
        [time, "DCGM_FI_DEV_POWER_USAGE", "0", "nvidia0", gpuOf(host), "H100", `host-${host}`, value].join(
          ","
        )
      )
      await writeFile(
        file,
        ["timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,value", ...lines, ""].join("\n")
      )
      const settings = { CSV_FILE: file, LOOP: "false", TIMESTAMPS: "original", RATE: "1600" }
      composition = await Composition.make(settings)
      await composition.up()
    })

    afterAll(async () => {
      await composition.down()
      await rm(folder, { recursive: true, force: true })
      expect(await composition.remains()).toEqual([])
    })

    /** Kills processes while it goes on, and starts them again once they are gone. */
    const killAt = async (part: number, services: ReadonlyArray<Service>) => {
      const reached = (samples: number) => samples > rows * part
      const samples = await eventually(
        `${part} of all is stored`,
        dataSeconds,
        () => samplesOf(composition),
        reached
      )
      expect(samples).toBeLessThan(rows)
      await Promise.all(services.map((service) => composition.kill(service)))
      for (const service of services) expect(await composition.isRunning(service)).toBe(false)
      for (const service of services) await composition.start(service)
    }

    it("stores every row once where the broker and then both collectors are killed meanwhile", async () => {
      await killAt(0.1, ["broker"])
      await killAt(0.4, ["collector-0", "collector-1"])
      await eventually(
        "all is stored",
        dataSeconds,
        () => samplesOf(composition),
        (samples) => samples >= rows
      )

      const { checkpoints, gaps, rejects } = await eventually(
        "both collectors have read everything",
        dataSeconds,
        () => brokerStats(composition),
        (stats) => stats.checkpoints.length === 2 && stats.checkpoints.every(({ lag }) => lag === 0)
      )
      expect(checkpoints.map(({ id }) => id).sort()).toEqual(["collector-0", "collector-1"])
      expect(gaps).toEqual({ count: 0, messages: 0 })
      expect(rejects).toEqual({})

      for (let host = 0; host < hosts; host++) {
        const answer = await fetch(
          `${composition.apiUrl}/api/v1/gpus/${gpuOf(host)}/telemetry/export?format=csv`
        )
        const [header = "", ...lines] = (await answer.text()).trim().split("\n")
        const columns = header.split(",")
        const [time, value] = [columns.indexOf("Timestamp"), columns.indexOf("Value")]
        const stored = lines
          .map((line) => line.split(","))
          .map((fields) => ({ time: Date.parse(fields[time] ?? ""), value: Number(fields[value]) }))
        const wanted = expected
          .filter((row) => row.host === host)
          .map((row) => ({ time: Date.parse(row.time), value: row.value }))
        expect(stored.toSorted((a, b) => a.time - b.time)).toEqual(wanted)
      }
    })
  })
})
