/** The whole system, each part in a process of its own, over a real InfluxDB, watched by a real Prometheus as compose says. */
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parse } from "csv-parse/sync"
import { Influxd, ready } from "../../influx/Influxd.ts"
import { type Program, start } from "../../program/Program.ts"
import { eventually, root } from "../Tool.ts"
import { Prometheus } from "./Prometheus.ts"

export const hosts = 2
export const gpus = hosts * 8
export const bucket = "gpu_telemetry"

/** Faults but for GPUs that fall silent, so that their number is known. */
const source = ["--simulate", `${hosts}x8`, "--simulate-faults", "xid,hot,sentinel,rejects", "--rate", "2000"]

const isUp = ({ ok }: Response) => ok

export class Pipeline {
  private constructor(
    private readonly folder: string,
    private readonly influxd: Influxd,
    private readonly programs: ReadonlyArray<Program>,
    private readonly brokerPort: number,
    readonly gateway: Program,
    readonly prometheus: Prometheus
  ) {}

  static async start(influxdPath: string): Promise<Pipeline> {
    const folder = await mkdtemp(join(tmpdir(), "telemetry-watched-"))
    const influxd = await Influxd.start(influxdPath)
    await ready(influxd.influx)
    const { url, token, org } = influxd.influx
    const broker = await start(["broker", "--data", folder])
    const port = (await broker.says(/TCP +0\.0\.0\.0:(\d+)/))[1]!
    const environment = {
      ...{ MQ_PORT: port, INFLUXDB_URL: url, INFLUXDB_TOKEN: token, INFLUXDB_ORG: org },
      INFLUXDB_BUCKET: bucket
    }
    const streamer = (i: number) =>
      start(["streamer", ...source, "--shard", `${i}/2`], { ...environment, STREAMER_ID: `streamer-${i}` })
    const collector = (i: number) => start(["collector"], { ...environment, COLLECTOR_ID: `collector-${i}` })
    const programs = await Promise.all([streamer(0), streamer(1), collector(0), collector(1)])
    const gateway = await start(["gateway"], environment)
    const probe = async (program: Program) => (await program.says(/probe +http:\/\/([^/\s]+)\/ready/))[1]!
    const config = await watching({
      "broker:9001": (await broker.says(/Broker +http:\/\/([^/\s]+)\/stats/))[1]!,
      "streamer-0:9002": await probe(programs[0]!),
      "streamer-1:9002": await probe(programs[1]!),
      "collector-0:9002": await probe(programs[2]!),
      "collector-1:9002": await probe(programs[3]!),
      "api:8080": new URL(await gateway.url()).host,
      "influxdb:8086": new URL(url).host
    })
    const all = [broker, ...programs, gateway]
    return new Pipeline(folder, influxd, all, Number(port), gateway, await Prometheus.start(config))
  }

  /** Does what leaves a trace in every metric: a request that is answered, one that is not there, a frame that is no frame. */
  async use(): Promise<void> {
    await eventually("the gateway answers", 60, () => this.gateway.get("/api/v1/gpus"), isUp)
    await this.gateway.get("/api/v1/nothing")
    const socket = connect(this.brokerPort, "127.0.0.1")
    await new Promise<void>((resolve, reject) => {
      const text = "{}"
      const frame = Buffer.alloc(4 + text.length)
      frame.writeUInt32BE(text.length)
      frame.write(text, 4)
      socket.once("error", reject).once("data", () => resolve())
      socket.write(frame)
    })
    socket.destroy()
  }

  /** Rows of a Flux query's answer, by name of column. Rejects with what InfluxDB says where it is none. */
  async rows(flux: string): Promise<ReadonlyArray<Readonly<Record<string, string>>>> {
    const { url, token, org } = this.influxd.influx
    const response = await fetch(`${url}/api/v2/query?org=${org}`, {
      method: "POST",
      headers: {
        authorization: `Token ${token}`,
        accept: "application/csv",
        "content-type": "application/vnd.flux"
      },
      body: flux
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${text}\n${flux}`)
    return parse(text, { columns: true, skip_empty_lines: true }) as ReadonlyArray<Record<string, string>>
  }

  /** Writes points as another collector would. */
  async write(lines: ReadonlyArray<string>): Promise<void> {
    const { url, token, org } = this.influxd.influx
    const response = await fetch(`${url}/api/v2/write?org=${org}&bucket=${bucket}&precision=s`, {
      method: "POST",
      headers: { authorization: `Token ${token}` },
      body: lines.join("\n")
    })
    if (!response.ok) throw new Error(await response.text())
  }

  async remove(): Promise<void> {
    await this.prometheus.remove()
    for (const program of this.programs) program.signal("SIGKILL")
    await Promise.all(this.programs.map(({ exit }) => exit))
    await this.influxd.remove()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Compose's configuration of Prometheus, with addresses of here, the shipped rules, and little time to wait. */
const watching = async (addresses: Readonly<Record<string, string>>): Promise<string> => {
  let config = await readFile(join(root, "deploy/prometheus/prometheus.yaml"), "utf8")
  const replace = (text: string, by: string) => {
    if (!config.includes(text)) throw new Error(`deploy/prometheus/prometheus.yaml does not name ${text}`)
    config = config.replaceAll(text, by)
  }
  for (const [name, address] of Object.entries(addresses)) replace(name, address)
  replace("/etc/prometheus/alerts.yaml", join(root, "deploy/helm/telemetry-pipeline/files/alerts.yaml"))
  replace("_interval: 15s", "_interval: 2s")
  return config
}
