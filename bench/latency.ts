/**
 * Publish to delivered over TCP, at half of the load that saturates: `npm run bench:latency`.
 *
 * Publisher and subscriber share a process, so that one clock tells, and the broker has its own. First messages of 1 KB are published as fast
 * as they are delivered, with so many on their way and no more; then half as many per second, at a pace that waits for
 * nothing: what is due is published every millisecond, together. How long from the call that publishes a message until the
 * subscriber has it; and by how much the pace itself was late, which is the machine's part in it.
 */
import { fileURLToPath } from "node:url"
import { machine, median, printTable } from "./Table.ts"
import { type Flow, type FlowOptions, withFlow } from "./tcp/Flow.ts"
import { type BrokerOptions, type Served, serveBroker } from "./tcp/Served.ts"
import { isWorker, serveTasks, startWorker } from "./tcp/Worker.ts"

const size = 1_024
const rounds = Number(process.argv[2] ?? 3)
const warmUpMs = 1_000
const saturatedMs = 1_500
const pacedMs = 4_000
/** Messages on their way while it is saturated, and those of one call. */
const window = 4_096
const together = 64
const retentionBytes = 256 * 1024 * 1024

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Messages per second, each published when an earlier one is delivered. */
const saturate = async (flow: Flow): Promise<number> => {
  let sent = 0
  let delivered = 0
  let isOver = false
  const fill = () => {
    while (!isOver && sent - delivered + together <= window) {
      sent += together
      flow.publish(together)
    }
  }
  let idle = () => {}
  flow.onDelivered = (count) => {
    delivered += count
    fill()
    if (isOver && delivered === sent) idle()
  }
  fill()
  await after(warmUpMs)
  const before = delivered
  const startMs = performance.now()
  await after(saturatedMs)
  const perSecond = ((delivered - before) * 1_000) / (performance.now() - startMs)
  isOver = true
  if (delivered < sent) await new Promise<void>((resolve) => (idle = resolve))
  return perSecond
}

/** How long each message took, in ms, and how late its call was. */
const pace = async (flow: Flow, perSecond: number) => {
  const publishedMs: Array<number> = []
  const tookMs: Array<number> = []
  const lateMs: Array<number> = []
  const count = Math.ceil((perSecond * pacedMs) / 1_000)
  await new Promise<void>((resolve) => {
    flow.onDelivered = (delivered) => {
      const nowMs = performance.now()
      for (let index = 0; index < delivered; index++) tookMs.push(nowMs - publishedMs[tookMs.length]!)
      if (tookMs.length === count) resolve()
    }
    const startMs = performance.now()
    const tick = () => {
      const nowMs = performance.now()
      const due = Math.min(count, Math.floor(((nowMs - startMs) * perSecond) / 1_000))
      const first = publishedMs.length
      for (let index = first; index < due; index++) {
        publishedMs.push(nowMs)
        lateMs.push(nowMs - startMs - (index * 1_000) / perSecond)
      }
      if (due > first) flow.publish(due - first)
      if (due < count) setTimeout(tick, 1)
    }
    tick()
  })
  return { tookMs, lateMs }
}

const percentile = (numbers: ReadonlyArray<number>, share: number): number =>
  Float64Array.from(numbers).sort()[Math.min(numbers.length - 1, Math.floor(numbers.length * share))]!

interface Latencies {
  readonly saturated: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly lateMs: number
}

const measure = (options: FlowOptions): Promise<Latencies> =>
  withFlow(options, async (flow) => {
    const saturated = await saturate(flow)
    const { tookMs, lateMs } = await pace(flow, saturated / 2)
    return {
      saturated,
      p50Ms: percentile(tookMs, 0.5),
      p99Ms: percentile(tookMs, 0.99),
      lateMs: percentile(lateMs, 0.99)
    }
  })

let served: Served | undefined
const tasks = {
  measure,
  serve: async (options: BrokerOptions): Promise<number> => {
    served = await serveBroker(options)
    return served.port
  },
  close: async () => served?.close()
}

const bench = async () => {
  const file = fileURLToPath(import.meta.url)
  const rows: Array<ReadonlyArray<string>> = []
  for (const storage of ["memory", "always"] as const) {
    for (const by of ["own peers", "stranger"] as const) {
      const measured: Array<Latencies> = []
      for (let round = 0; round < rounds; round++) {
        const [server, client] = [startWorker<typeof tasks>(file), startWorker<typeof tasks>(file)]
        const port = await server.call("serve", { storage, retentionBytes })
        measured.push(await client.call("measure", { by, port, size }))
        await server.call("close")
        await Promise.all([server.stop(), client.stop()])
      }
      const of = (figure: keyof Latencies) => median(measured.map((latencies) => latencies[figure]))
      rows.push([
        `${storage === "memory" ? "memory" : `files, fsync ${storage}`}, ${by}`,
        of("saturated").toFixed(0),
        (of("saturated") / 2).toFixed(0),
        of("p50Ms").toFixed(2),
        of("p99Ms").toFixed(2),
        of("lateMs").toFixed(2)
      ])
    }
  }
  console.log(`ms from publish to delivered over TCP, ${size} bytes, median of ${rounds} (${machine()}):`)
  printTable(["", "saturated/s", "at/s", "p50", "p99", "pace late p99"], rows)
}

if (isWorker()) serveTasks(tasks)
else await bench()
