/**
 * `npm run test:integration`: the whole system on this machine, each part in a process of its own, with a real InfluxDB that
 * `influxdb setup` makes ready; then the checks of `integration.sh`, whose exit code is this one's. Ctrl-C stops everything.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { accessSync, constants } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Influxd, influxdPath } from "../influx/Influxd.ts"
import { type Program, start } from "../program/Program.ts"

const script = fileURLToPath(new URL("integration.sh", import.meta.url))

/** Exit codes beside those of the script. */
const failed = 1
const unusable = 2
const interruptedBySignal = 130

const attemptDelayMs = 200
const readyWithinMs = 60_000

const say = (line: string): void => console.log(`# ${line}`)

/** The binary of InfluxDB; without one, what would give one is told. */
const findInfluxd = (): string => {
  const path = influxdPath()
  try {
    if (path !== undefined) {
      accessSync(path, constants.X_OK)
      return path
    }
  } catch {
    console.error(`no influxd at ${path} (INFLUXD) that can be run`)
    process.exit(unusable)
  }
  console.error("no influxd: INFLUXD=path names one, or it is on the path")
  process.exit(unusable)
}

/** Rejects when the process is told to end, or when one that is to go on ends. */
let giveUp: (reason: Error) => void
const givenUp = new Promise<never>((_, reject) => {
  giveUp = reject
})
givenUp.catch(() => {})

class Interrupted extends Error {}

let isStopping = false
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => giveUp(new Interrupted(signal)))
}

interface Part {
  readonly name: string
  readonly program: Program
}

const parts: Array<Part> = []

const launch = async (name: string, command: string, environment: Record<string, string>) => {
  const program = await start([command], environment)
  parts.push({ name, program })
  void program.exit.then((code) => {
    if (!isStopping) giveUp(new Error(`${name} ended (${code}):\n${program.said()}`))
  })
  return program
}

/** Where a process says that it tells whether it is ready. */
const readiness: Readonly<Record<string, (program: Program) => Promise<string>>> = {
  broker: async (program) => `${(await program.says(/Broker +(http:\S+)\/stats/))[1]}/ready`,
  gateway: async (program) => `${await program.url()}/ready`
}
const probe = async (program: Program) => (await program.says(/probe +(http:\S+)/))[1]!

const untilReady = async ({ name, program }: Part) => {
  const url = await (readiness[name] ?? probe)(program)
  const endMs = performance.now() + readyWithinMs
  for (;;) {
    const answer = await fetch(url).then(
      async (response) => ({ isReady: response.ok, text: await response.text() }),
      (failure: Error) => ({ isReady: false, text: String(failure.cause ?? failure) })
    )
    if (answer.isReady) return say(`${name} is ready`)
    if (performance.now() > endMs) throw new Error(`${name} is not ready: ${answer.text}`)
    await new Promise((resolve) => setTimeout(resolve, attemptDelayMs))
  }
}

/** Starts everything, and answers where REST is. */
const launchAll = async (influx: Record<string, string>, data: string): Promise<string> => {
  const setup = await start(["influxdb", "setup"], { ...influx, INFLUXDB_PASSWORD: "only-for-this-run" })
  const code = await setup.exit
  say(setup.said().trimEnd())
  if (code !== 0) throw new Error(`influxdb setup: exit code ${code}`)
  const broker = await launch("broker", "broker", { DATA_DIR: data })
  const client = { MQ_PORT: (await broker.says(/TCP +\S+:(\d+)/))[1]! }
  for (const i of [0, 1]) {
    await launch(`collector-${i}`, "collector", { ...client, ...influx, COLLECTOR_ID: `collector-${i}` })
  }
  const sample = fileURLToPath(new URL("../../deploy/sample/dcgm_metrics.csv", import.meta.url))
  for (const i of [0, 1]) {
    const source = { CSV_PATH: sample, SHARD: `${i}/2`, STREAMER_ID: `streamer-${i}` }
    await launch(`streamer-${i}`, "streamer", { ...client, ...source })
  }
  const gateway = await launch("gateway", "gateway", influx)
  await Promise.all(parts.map(untilReady))
  return gateway.url()
}

let checking: ChildProcess | undefined

const check = async (url: string): Promise<number> => {
  checking = spawn(script, [], { stdio: "inherit", env: { ...process.env, API_URL: url } })
  const [code] = await once(checking, "exit")
  return code ?? failed
}

/** Who gives stops before who takes, so that each can finish what it has. */
const stopOrder = ["streamer", "collector", "broker", "gateway"]

const stopAll = async (): Promise<boolean> => {
  isStopping = true
  checking?.kill()
  let isOrderly = true
  for (const kind of stopOrder) {
    const some = parts.filter(({ name }) => name.startsWith(kind))
    for (const { program } of some) program.signal("SIGTERM")
    for (const { name, program } of some) {
      const code = await program.exit
      say(`${name} ended: ${code}`)
      if (code !== 0) {
        isOrderly = false
        console.error(program.said())
      }
    }
  }
  return isOrderly
}

const influxd = await Influxd.start(findInfluxd())
const data = await mkdtemp(join(tmpdir(), "telemetry-integration-"))
const { url, token, org } = influxd.influx
const influx = { INFLUXDB_URL: url, INFLUXDB_TOKEN: token, INFLUXDB_ORG: org }

const exitCode = await Promise.race([givenUp, launchAll(influx, data).then(check)]).catch(
  (failure: Error) => {
    console.error(failure instanceof Interrupted ? `interrupted: ${failure.message}` : failure.message)
    return failure instanceof Interrupted ? interruptedBySignal : failed
  }
)
const isOrderly = await stopAll()
await influxd.kill("SIGTERM")
await influxd.remove()
await rm(data, { recursive: true, force: true })
process.exit(exitCode === 0 && !isOrderly ? failed : exitCode)
