/** Each part in a process of its own, found over TCP: whatever starts first, and whatever is killed meanwhile. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest"
import { makeAuthority } from "../Certificates.ts"
import { removeBuckets } from "../influx/Buckets.ts"
import { FaultProxy } from "../influx/FaultProxy.ts"
import { ready } from "../influx/Influxd.ts"
import { eventually, freePort, type Program, start } from "./Program.ts"

const sampleFile = fileURLToPath(new URL("../../deploy/sample/dcgm_metrics.csv", import.meta.url))
const influx = inject("influx")

let folder: string
let rows: number
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "telemetry-processes-"))
  rows = (await readFile(sampleFile, "utf8")).trimEnd().split("\n").length - 1
})
afterAll(() => rm(folder, { recursive: true }))

const end = async (program: Program, signal: NodeJS.Signals = "SIGTERM") => {
  program.signal(signal)
  return program.exit
}

const answer = async (url: string): Promise<{ readonly status: number; readonly detail?: string }> => {
  const response = await fetch(url)
  return { ...((await response.json()) as object), status: response.status }
}

const readiness = async (program: Program) =>
  answer((await program.says(/(?:probe|ready at) +(http:\S+)/))[1]!)

const brokerHttp = async (broker: Program) => (await broker.says(/Broker +(http:\S+)\/stats/))[1]!

interface Stats {
  readonly total_messages: number
  readonly producers: ReadonlyArray<{ readonly id: string; readonly last_sequence: number }>
}

const stats = async (broker: Program) =>
  (await (await fetch(`${await brokerHttp(broker)}/stats`)).json()) as Stats

const isReady = ({ status }: { readonly status: number }) => status === 200

/** A streamer of the sample that reads it once. */
const once = (port: number, ...flags: ReadonlyArray<string>) =>
  start(["streamer", "--csv", sampleFile, "--once", "--rate", "max", ...flags], { MQ_PORT: String(port) })

describe("a broker and streamers", () => {
  test("start in any order; a streamer waits, tells what for, and exits 0 when all it read is acknowledged", async () => {
    const port = await freePort()
    const streamers = await Promise.all(["0/2", "1/2"].map((shard) => once(port, "--shard", shard)))
    for (const streamer of streamers) {
      const { status, detail } = await readiness(streamer)
      expect(status).toBe(503)
      expect(detail).toContain(`localhost:${port}`)
      await streamer.says(/batches wait until the broker can be reached: .*refuses connections/)
    }
    const broker = await start(["broker"], { TCP_PORT: String(port) })
    await broker.says(/in memory, .*it ends with this process/)
    const read = await Promise.all(
      streamers.map(async (streamer) => {
        expect(await streamer.exit).toBe(0)
        expect(streamer.said().match(/refuses connections/g)).toHaveLength(1)
        return Number(/rows read ([\d,]+)/.exec(streamer.said())![1]!.replace(",", ""))
      })
    )
    expect(read.reduce((sum, n) => sum + n)).toBe(rows)
    const { producers, total_messages } = await stats(broker)
    expect(producers.map(({ id }) => id.slice(-2)).sort()).toEqual(["-0", "-1"])
    expect(producers.reduce((sum, { last_sequence }) => sum + last_sequence + 1, 0)).toBe(total_messages)
    expect(await end(broker)).toBe(0)
  })

  test("go on where they were when the broker with a folder is killed and started again", async () => {
    const port = await freePort()
    const flags = ["broker", "--data", join(folder, "killed")]
    const environment = { TCP_PORT: String(port) }
    let broker = await start(flags, environment)
    await broker.says(/TCP +0\.0\.0\.0/)
    const streamer = await start(["streamer", "--csv", sampleFile, "--batch-size", "10", "--rate", "5000"], {
      MQ_PORT: String(port),
      STREAMER_ID: "s"
    })
    let before = 0
    for (let kill = 0; kill < 3; kill++) {
      const { total_messages } = await eventually(
        () => stats(broker),
        (found) => found.total_messages > before + 20
      )
      before = total_messages
      expect(await end(broker, "SIGKILL")).toBe("SIGKILL")
      broker = await start(flags, environment)
      await broker.says(/recovered +[\d,]+ messages/)
      expect((await stats(broker)).total_messages).toBeGreaterThanOrEqual(before)
      await eventually(() => readiness(streamer), isReady)
    }
    await eventually(
      () => stats(broker),
      (found) => found.total_messages > before + 20
    )
    expect(await end(streamer)).toBe(0)
    const { producers, total_messages } = await stats(broker)
    expect(producers).toEqual([{ id: "s", last_sequence: total_messages - 1 }])
    expect(await end(broker)).toBe(0)
  })

  test("a second broker on the same folder, and one on the same port, end and say why", async () => {
    const data = join(folder, "locked")
    const broker = await start(["broker", "--data", data])
    const [, port] = await broker.says(/TCP +0\.0\.0\.0:(\d+)/)
    const second = await start(["broker", "--data", data])
    expect(await second.exit).toBe(1)
    expect(second.said()).toMatch(/another process uses this folder/)
    const third = await start(["broker"], { TCP_PORT: port! })
    expect(await third.exit).toBe(1)
    expect(third.said()).toMatch(/the port is in use \(TCP_PORT or --tcp-port sets another\)/)
    expect(await end(broker)).toBe(0)
  })

  test("a streamer whose id another one takes ends with an error that names it", async () => {
    const broker = await start(["broker"])
    const [, port] = await broker.says(/TCP +0\.0\.0\.0:(\d+)/)
    const environment = { MQ_PORT: port!, STREAMER_ID: "twin" }
    const first = await start(["streamer", "--csv", sampleFile], environment)
    await eventually(
      () => stats(broker),
      ({ producers }) => producers.length === 1
    )
    const second = await start(["streamer", "--csv", sampleFile], environment)
    expect(await first.exit).toBe(1)
    expect(first.said()).toMatch(/^twin: another streamer connected under the id twin; /m)
    expect(await end(second)).toBe(0)
    expect(await end(broker)).toBe(0)
  })

  test("a token that is asked for and not shown is told, and nothing is served", async () => {
    const broker = await start(["broker"], { MQ_TOKEN: "secret" })
    const [, port] = await broker.says(/TCP +0\.0\.0\.0:(\d+), token asked for/)
    const stranger = await once(Number(port), "--mq-token", "guess")
    await stranger.says(/batches wait until the broker can be reached: .*token/)
    expect((await readiness(stranger)).status).toBe(503)
    const friend = await once(Number(port), "--mq-token", "secret")
    expect(await friend.exit).toBe(0)
    expect(await end(stranger, "SIGKILL")).toBe("SIGKILL")
    expect(await end(broker)).toBe(0)
  })

  test("over TLS are who their certificates say, on both sides", async () => {
    const authority = makeAuthority("broker")
    const files = {
      ca: join(folder, "ca.pem"),
      certificate: join(folder, "c.pem"),
      key: join(folder, "k.pem")
    }
    const { certificate, key } = authority.issue(["localhost"])
    await writeFile(files.ca, authority.certificate)
    await writeFile(files.certificate, certificate)
    await writeFile(files.key, key)
    const own = { MQ_TLS_CERT: files.certificate, MQ_TLS_KEY: files.key, MQ_TLS_CA: files.ca }
    const broker = await start(["broker"], own)
    const [, port] = await broker.says(/TCP +0\.0\.0\.0:(\d+), TLS/)
    const flags = ["streamer", "--csv", sampleFile, "--once", "--rate", "max"]
    const plain = await start(flags, { MQ_PORT: port! })
    const unknown = await start(flags, { MQ_PORT: port!, MQ_TLS_CA: files.ca })
    for (const refused of [plain, unknown]) {
      await refused.says(/batches wait until the broker can be reached: /)
      expect(await end(refused, "SIGKILL")).toBe("SIGKILL")
    }
    const known = await start(flags, { MQ_PORT: port!, ...own })
    expect(await known.exit).toBe(0)
    const missing = { ...own, MQ_TLS_CA: join(folder, "none.pem") }
    for (const wrong of [await start(flags, missing), await start(["broker"], missing)]) {
      expect(await wrong.exit).toBe(1)
      expect(wrong.said()).toMatch(/^MQ_TLS_CA: ".*none\.pem" can't be read: /m)
    }
    expect(await end(broker)).toBe(0)
  })
})

/** Who has a checkpoint, once all rows are stored and everybody is at the end. */
const settled = async (program: Program): Promise<ReadonlyArray<string>> => {
  const { checkpoints } = await eventually(
    async () => {
      const { total_metrics } = await program.json<{ total_metrics: number }>("/api/v1/stats")
      const found = (await (await fetch(`${await brokerHttp(program)}/stats`)).json()) as Checkpoints
      return { ...found, total_metrics }
    },
    (found) => found.total_metrics === rows && found.checkpoints.every(({ lag }) => lag === 0)
  )
  return checkpoints.map(({ id }) => id).sort()
}

interface Checkpoints {
  readonly checkpoints: ReadonlyArray<{ readonly id: string; readonly lag: number }>
}

describe("run", () => {
  test("on a log that it finds stores it again where the store did not survive, and forgets collectors it has no more", async () => {
    const flags = ["run", "--data", join(folder, "again"), "--storage-type", "memory", "--collector-id", "c"]
    const source = ["--csv", sampleFile, "--no-loop", "--rate", "max", "--timestamps", "original"]
    const first = await start([...flags, ...source, "--collectors", "3"])
    expect(await settled(first)).toEqual(["c-0", "c-1", "c-2"])
    expect(await end(first, "SIGKILL")).toBe("SIGKILL")
    const second = await start([...flags, ...source, "--collectors", "2"])
    expect(await settled(second)).toEqual(["c-0", "c-1"])
    expect(await end(second)).toBe(0)
  })

  test("serves others over TCP, and keeps log and store in one folder", async () => {
    const data = join(folder, "run")
    const quiet = join(folder, "quiet.csv")
    await writeFile(quiet, "uuid,metric_name,value\nGPU-quiet,M,1\n")
    let total = 0
    for (const shard of ["0/2", "1/2"]) {
      const program = await start([
        "run",
        "--data",
        data,
        "--csv",
        quiet,
        "--no-loop",
        "--streamer-id",
        "own"
      ])
      const [, port] = await program.says(/TCP +127\.0\.0\.1:(\d+)/)
      const streamer = await once(Number(port), "--shard", shard)
      expect(await streamer.exit).toBe(0)
      const wanted = total + Number(/rows read ([\d,]+)/.exec(streamer.said())![1]!.replace(",", ""))
      const { total_metrics } = await eventually(
        () => program.json<{ total_metrics: number }>("/api/v1/stats"),
        (found) => found.total_metrics > wanted
      )
      total = total_metrics - 1
      expect(await end(program, "SIGKILL")).toBe("SIGKILL")
    }
    expect(total).toBe(rows)
  })
})

describe.skipIf(influx === undefined)("all of them with InfluxDB", () => {
  test("started in the reverse of their order, wait for what they need and tell so; then all of it is stored once", async () => {
    await ready(influx!)
    const proxy = await FaultProxy.start(influx!.url)
    await proxy.refuse()
    const bucket = `test_processes_${process.pid}`
    const port = await freePort()
    const store = {
      ...{ INFLUXDB_URL: proxy.url, INFLUXDB_TOKEN: influx!.token },
      ...{ INFLUXDB_ORG: influx!.org, INFLUXDB_BUCKET: bucket, RETENTION_PERIOD: "none" }
    }
    try {
      const gateway = await start(["gateway"], store)
      const api = await gateway.url()
      const gatewayReady = () => answer(`${api}/ready`)
      expect((await gatewayReady()).detail).toContain("InfluxDB")
      await gateway.says(/waiting for the store: InfluxDB/)
      const collector = await start(["collector"], { ...store, MQ_PORT: String(port), COLLECTOR_ID: "c" })
      const missing = await readiness(collector)
      expect(missing.status).toBe(503)
      expect(missing.detail).toMatch(new RegExp(`localhost:${port} .*; InfluxDB`))
      const streamers = await Promise.all(
        ["0/2", "1/2"].map((shard) => once(port, "--shard", shard, "--timestamps", "original"))
      )
      const flags = ["broker", "--data", join(folder, "influx"), "--log-when-full", "block"]
      let broker = await start(flags, { TCP_PORT: String(port) })
      for (const streamer of streamers) expect(await streamer.exit).toBe(0)
      expect(await end(broker, "SIGKILL")).toBe("SIGKILL")
      broker = await start(flags, { TCP_PORT: String(port) })
      await proxy.accept()
      await eventually(gatewayReady, isReady)
      await eventually(() => readiness(collector), isReady)
      await eventually(
        () => gateway.json<{ total_metrics?: number }>("/api/v1/stats"),
        ({ total_metrics }) => total_metrics === rows
      )
      expect(await end(collector)).toBe(0)
      expect(collector.said()).toContain(`samples stored ${rows}`)
      expect(await end(gateway)).toBe(0)
      expect(await end(broker)).toBe(0)
    } finally {
      await proxy.refuse()
      await Effect.runPromise(removeBuckets(bucket))
    }
  }, 120_000)
})

test.each([
  [
    ["gateway", "--storage-type", "memory"],
    /--storage-type: "memory" is not accepted here, expected influxdb: /
  ],
  [
    ["collector", "--storage-type", "file"],
    /--storage-type: "file" is not accepted here, expected influxdb: /
  ],
  [["streamer", "--shard", "2/2"], /--shard: "2\/2" is not accepted, expected none or i\/N/],
  [["streamer"], /dcgm_metrics\.csv: no such file/]
])("%j is refused in one line", async (flags, line) => {
  const program = await start(flags, { INFLUXDB_TOKEN: "t" })
  expect(await program.exit).toBe(1)
  expect(program.said()).toMatch(line)
  expect(
    program
      .said()
      .trimEnd()
      .split("\n")
      .filter((said) => !/^(probe|Broker) /.test(said))
  ).toHaveLength(1)
})
