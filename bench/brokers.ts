/**
 * Our broker beside NATS JetStream and Redis Streams, in one run, where they are installed: `npm run bench:brokers`.
 *
 * `nats-server` is found on the path or by NATS_SERVER, `redis-server` on the path or by REDIS_SERVER. Each server has a process of its own, with a log in memory or in
 * files, and so has its client, which is each broker's own. Messages of 1 KB are published one by one, each when the one
 * before is acknowledged; many at a time; and, where the client can, in batches. Then they are read, without acknowledging,
 * by one consumer and by eight, each of which reads all of them.
 *
 * How the files are synced is called by our names. NATS syncs every two minutes where it does not at every message; Redis
 * acknowledges before it has synced but for `always`.
 */
import { fileURLToPath } from "node:url"
import type { ConsumeTask, Done, PublishTask } from "./brokers/Contender.ts"
import {
  type ContenderName,
  consumeAll,
  publishFor,
  type RunningServer,
  type Storage
} from "./brokers/Contender.ts"
import { nats, startNats } from "./brokers/Nats.ts"
import { ours } from "./brokers/Ours.ts"
import { redis, startRedis } from "./brokers/RedisStreams.ts"
import { cpuMicrosOf, findProgram } from "./brokers/Server.ts"
import { machine, median, printTable } from "./Table.ts"
import { payloadOf } from "./tcp/Client.ts"
import { type BrokerOptions, type Served, serveBroker } from "./tcp/Served.ts"
import { isWorker, serveTasks, startWorker } from "./tcp/Worker.ts"

const size = 1_024
const rounds = Number(process.argv[2] ?? 3)
const publishMs = 1_000
const warmUpMs = 500
/** Of one publish, so that a round fits into memory. */
const countMax = 150_000
const inFlight = 1_024
const batchSize = 100
const consumerCounts = [1, 8] as const
const retentionBytes = 2 ** 31

const clients = { ours, nats, redis }
const titles = { ours: "ours", nats: "NATS JetStream", redis: "Redis Streams" } as const
/** The kinds of storage that a broker has. */
const storages: Readonly<Record<ContenderName, ReadonlyArray<Storage>>> = {
  ours: ["memory", "always", "interval", "never"],
  nats: ["memory", "always", "interval"],
  redis: ["memory", "always", "interval", "never"]
}
/** Its client can publish many messages by one call. */
const batches: Readonly<Record<ContenderName, boolean>> = { ours: true, nats: false, redis: true }

let served: Served | undefined
const tasks = {
  publish: ({ name, ...task }: PublishTask & { name: ContenderName }): Promise<Done> =>
    publishFor(clients[name], task),
  consume: ({ name, ...task }: ConsumeTask & { name: ContenderName }): Promise<Done> =>
    consumeAll(clients[name], task),
  serve: async (options: BrokerOptions) => {
    served = await serveBroker(options)
    return { port: served.port, pid: process.pid }
  },
  close: async () => served?.close()
}

const file = fileURLToPath(import.meta.url)
const start = () => startWorker<typeof tasks>(file)

const startOurs = async (storage: Storage): Promise<RunningServer> => {
  const server = start()
  return {
    ...(await server.call("serve", { storage, retentionBytes })),
    stop: async () => {
      await server.call("close")
      await server.stop()
    }
  }
}

const starters = (): Partial<Record<ContenderName, (storage: Storage) => Promise<RunningServer>>> => {
  const natsServer = findProgram("nats-server", "NATS_SERVER")
  const redisServer = findProgram("redis-server", "REDIS_SERVER")
  if (natsServer === undefined)
    console.log("  NATS is left out: no nats-server on the path, nor in NATS_SERVER")
  if (redisServer === undefined)
    console.log("  Redis is left out: no redis-server on the path, nor in REDIS_SERVER")
  return {
    ours: startOurs,
    ...(natsServer === undefined ? {} : { nats: (storage) => startNats(natsServer, storage) }),
    ...(redisServer === undefined ? {} : { redis: (storage) => startRedis(redisServer, storage) })
  }
}

/** Messages per second, and the server's CPU time for one. */
interface Rate {
  readonly perSecond: number
  readonly cpuMicros: number
}

const columns = ["one by one", "in flight", "batches", "consume, 1", "consume, 8"] as const
type Column = (typeof columns)[number]
type Round = Partial<Record<Column, Rate>>

const measure = async (
  name: ContenderName,
  storage: Storage,
  startServer: (storage: Storage) => Promise<RunningServer>
): Promise<Round> => {
  const { port, pid, stop } = await startServer(storage)
  const client = start()
  const task = { name, port, storage, payload: payloadOf(size) }
  const timed = async (run: () => Promise<Done>): Promise<Rate> => {
    const before = cpuMicrosOf(pid) ?? Number.NaN
    const { messages, ms } = await run()
    return {
      perSecond: (messages * 1_000) / ms,
      cpuMicros: ((cpuMicrosOf(pid) ?? Number.NaN) - before) / messages
    }
  }
  let published = 0
  const publish = (inFlight: number, together: number, ms: number) =>
    timed(async () => {
      const done = await client.call("publish", { ...task, inFlight, together, ms, countMax })
      published += done.messages
      return done
    })
  const round: Round = {}
  // One by one comes last: what a fresh process has not compiled yet would tell in it most.
  await publish(inFlight, 1, warmUpMs)
  round["in flight"] = await publish(inFlight, 1, publishMs)
  if (batches[name]) round.batches = await publish(inFlight * 4, batchSize, publishMs)
  await publish(1, 1, warmUpMs)
  round["one by one"] = await publish(1, 1, publishMs)
  const messages = Math.min(published, countMax)
  for (const consumers of consumerCounts) {
    round[`consume, ${consumers}`] = await timed(() =>
      client.call("consume", { ...task, consumers, messages })
    )
  }
  await client.stop()
  await stop()
  return round
}

const bench = async () => {
  const rows = Object.entries(starters()).flatMap(([name, startServer]) =>
    storages[name as ContenderName].map((storage) => ({
      name: name as ContenderName,
      storage,
      startServer,
      measured: [] as Array<Round>
    }))
  )
  // In turns, so that a noisy machine is noisy to all.
  for (let round = 0; round < rounds; round++) {
    for (const { name, storage, startServer, measured } of rows) {
      measured.push(await measure(name, storage, startServer))
    }
  }
  const cells = (figure: keyof Rate, digits: number) =>
    rows.map(({ name, storage, measured }) => [
      `${titles[name]}, ${storage === "memory" ? "memory" : `files, ${storage}`}`,
      ...columns.map((column) => {
        const figures = measured.flatMap((round) => round[column]?.[figure] ?? [])
        return figures.length === 0 ? "" : median(figures).toFixed(digits)
      })
    ])
  console.log(`messages of ${size} bytes per second, median of ${rounds} (${machine()}):`)
  printTable(["", ...columns], cells("perSecond", 0))
  console.log("CPU µs of the server for one:")
  printTable(["", ...columns], cells("cpuMicros", 1))
}

if (isWorker()) serveTasks(tasks)
else await bench()
