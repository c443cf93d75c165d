/**
 * One of eight subscribers stops reading: what the other seven and the broker's memory notice of it: `npm run bench:slow-subscriber`.
 *
 * Strangers, whose credit is their socket's backpressure alone, subscribe on eight connections; messages of 1 KB are published
 * as fast as the slowest of the seven takes them. Once all eight read, once the eighth stops when it has subscribed. What counts
 * is the ratio of the two: messages per second to the seven, the server's CPU time for one, and the most memory that
 * its process took. Its log is bounded and drops its oldest: the eighth keeps nobody waiting, and would be told of a gap.
 */
import { fileURLToPath } from "node:url"
import { machine, median, printAim, printTable } from "./Table.ts"
import { countFrames, open, publishFrame, subscribeFrame } from "./tcp/Client.ts"
import { type BrokerOptions, type Served, serveBroker } from "./tcp/Served.ts"
import { isWorker, serveTasks, startWorker, usage } from "./tcp/Worker.ts"

const size = 1_024
const subscribers = 8
const seconds = Number(process.argv[2] ?? 10)
const rounds = Number(process.argv[3] ?? 3)
const warmUpMs = 2_000
const window = 4_096
const together = 64
/** Small, so that what a connection holds would show beside it; and dropped from many times in a run. */
const retentionBytes = 64 * 1024 * 1024
const lookMs = 100

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

interface LoadOptions {
  readonly port: number
  readonly stops: boolean
}

/** Messages that each of the seven got. */
let progress: (() => number) | undefined

/** Publishes and reads until the process is stopped. */
const load = async ({ port, stops }: LoadOptions): Promise<void> => {
  const publisher = await open(port)
  publisher.resume()
  const many = Buffer.concat(Array<Buffer>(together).fill(publishFrame(size)))
  const received = new Float64Array(subscribers - 1)
  let sent = 0
  const fill = () => {
    while (sent - Math.min(...received) + together <= window) {
      sent += together
      publisher.write(many)
    }
  }
  await Promise.all(
    Array.from({ length: subscribers }, async (_, index) => {
      const socket = await open(port)
      await new Promise<void>((resolve) => {
        let isSubscribed = false
        countFrames(socket, (frames) => {
          if (index < received.length) received[index]! += frames - (isSubscribed ? 0 : 1)
          if (isSubscribed) {
            fill()
            return
          }
          isSubscribed = true
          if (stops && index === received.length) socket.pause()
          resolve()
        })
        socket.write(subscribeFrame(index))
      })
    })
  )
  progress = () => Math.min(...received)
  fill()
}

let served: Served | undefined
const tasks = {
  load,
  progress: () => progress!(),
  usage,
  serve: async (options: BrokerOptions): Promise<number> => {
    served = await serveBroker(options)
    return served.port
  },
  close: async () => served?.close()
}

interface Run {
  /** To the seven together. */
  readonly perSecond: number
  readonly cpuMicros: number
  readonly residentBytes: number
}

const file = fileURLToPath(import.meta.url)

const measure = async (stops: boolean): Promise<Run> => {
  const [server, client] = [startWorker<typeof tasks>(file), startWorker<typeof tasks>(file)]
  const port = await server.call("serve", { storage: "memory", retentionBytes })
  await client.call("load", { port, stops })
  await after(warmUpMs)
  const before = await server.call("usage")
  const first = await client.call("progress")
  const startMs = performance.now()
  let residentBytes = 0
  while (performance.now() - startMs < seconds * 1_000) {
    await after(lookMs)
    residentBytes = Math.max(residentBytes, (await server.call("usage")).residentBytes)
  }
  const each = (await client.call("progress")) - first
  const perSecond = ((subscribers - 1) * each * 1_000) / (performance.now() - startMs)
  const { cpuMicros } = await server.call("usage")
  await client.stop()
  await server.call("close")
  await server.stop()
  return { perSecond, cpuMicros: (cpuMicros - before.cpuMicros) / each, residentBytes }
}

const bench = async () => {
  const reading: Array<Run> = []
  const stopping: Array<Run> = []
  for (let round = 0; round < rounds; round++) {
    reading.push(await measure(false))
    stopping.push(await measure(true))
  }
  const of = (runs: ReadonlyArray<Run>, figure: keyof Run) => median(runs.map((run) => run[figure]))
  const ratio = (figure: keyof Run) =>
    median(stopping.map((run, round) => run[figure] / reading[round]![figure]))
  const row = (name: string, runs: ReadonlyArray<Run>) => [
    name,
    of(runs, "perSecond").toFixed(0),
    of(runs, "cpuMicros").toFixed(2),
    (of(runs, "residentBytes") / 2 ** 20).toFixed(0)
  ]
  console.log(`eight subscribers, ${size} bytes, ${seconds} s each, median of ${rounds} (${machine()}):`)
  printTable(
    ["", "to the seven/s", "CPU µs/published", "RSS, MiB"],
    [
      row("all read", reading),
      row("one stops reading", stopping),
      [
        "ratio",
        ratio("perSecond").toFixed(2),
        ratio("cpuMicros").toFixed(2),
        ratio("residentBytes").toFixed(2)
      ]
    ]
  )
  printAim("messages to the seven, of those when all read", ratio("perSecond"), "at least", 0.9)
  printAim("memory of the server, of that when all read", ratio("residentBytes"), "at most", 1.25)
}

if (isWorker()) serveTasks(tasks)
else await bench()
