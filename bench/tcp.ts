/**
 * The broker over TCP, against a floor: `npm run bench:tcp`.
 *
 * A stranger's client, in a process of its own, publishes frames of JSON, pipelined, and counts answers; then subscribes on 1, 8
 * and 64 connections, and counts messages. The floor is the least that a server of this protocol can do: it finds
 * frames, checks nothing, keeps the bytes of payloads, and writes many frames at a time. What counts is the ratio of the
 * two in one run. Aims at 1 KB: publishes at 0.4 of the floor, since it has to prove that a payload is JSON; delivery at
 * 0.7 of it, to one and to eight. Our own peers do the same with what they negotiate, and are held to what the stranger's
 * client reaches on the floor. On a machine with other work, the CPU time of the server per message says more than a rate.
 */
import { fileURLToPath } from "node:url"
import { machine, median, printAim, printTable } from "./Table.ts"
import { publishAsStranger, subscribeAsStrangers } from "./tcp/Client.ts"
import { publishAsPeer, subscribeAsPeers } from "./tcp/Peers.ts"
import { floor, type Served, serveBroker } from "./tcp/Served.ts"
import { isWorker, serveTasks, startWorker, usage } from "./tcp/Worker.ts"

const sizes = [128, 1_024, 50 * 1_024] as const
const subscriberCounts = [1, 8, 64] as const
const rounds = Number(process.argv[2] ?? 5)
/** Of each round, so that it takes about a second. */
const publishesOf = (size: number): number => (size > 10_000 ? 6_000 : 150_000)
/** What a subscriber reads; all of them together a few times as much. */
const messagesOf = (size: number, subscribers: number): number =>
  Math.floor(publishesOf(size) / Math.max(1, subscribers / 4))

const clients = { publishAsStranger, subscribeAsStrangers, publishAsPeer, subscribeAsPeers }
type Clients = typeof clients

const strangers = { publish: "publishAsStranger", subscribe: "subscribeAsStrangers" } as const
const peers = { publish: "publishAsPeer", subscribe: "subscribeAsPeers" } as const

/** Everything stays in the log: a subscriber reads all of a round. */
const ours = () => serveBroker({ storage: "memory", retentionBytes: 2 ** 31 })

/** Messages per second, and the server's CPU time for one. */
interface Rate {
  readonly perSecond: number
  readonly cpuMicros: number
}

const names = ["published", ...subscriberCounts.map((count) => `delivered to ${count}`)]

const bench = async () => {
  const client = startWorker<Clients>(fileURLToPath(import.meta.url))

  const timed = async (
    run: Promise<{ readonly perSecond: number; readonly frames: number }>
  ): Promise<Rate> => {
    const before = usage().cpuMicros
    const { perSecond, frames } = await run
    return { perSecond, cpuMicros: (usage().cpuMicros - before) / frames }
  }

  /** Published, and delivered to all subscribers together, by their number. */
  const measure = async (
    serve: () => Promise<Served>,
    { publish, subscribe }: typeof strangers | typeof peers,
    size: number
  ): Promise<ReadonlyArray<Rate>> => {
    const { port, close } = await serve()
    const rates = [await timed(client.call(publish, { port, size, count: publishesOf(size) }))]
    for (const subscribers of subscriberCounts) {
      const messages = messagesOf(size, subscribers)
      rates.push(await timed(client.call(subscribe, { port, subscribers, messages })))
    }
    await close()
    globalThis.gc?.()
    return rates
  }

  console.log(`messages per second over TCP, median of ${rounds} (${machine()}):`)
  const onlySize = process.argv[3] === undefined ? undefined : Number(process.argv[3])
  for (const size of sizes) {
    if (onlySize !== undefined && size !== onlySize) continue
    const floors: Array<ReadonlyArray<Rate>> = []
    const measured = { strangers: [] as typeof floors, peers: [] as typeof floors }
    // In turns, so that a noisy machine is noisy to all; the first round warms up.
    for (let round = 0; round <= rounds; round++) {
      const least = await measure(floor, strangers, size)
      const ofStrangers = await measure(ours, strangers, size)
      const ofPeers = await measure(ours, peers, size)
      if (round === 0) continue
      floors.push(least)
      measured.strangers.push(ofStrangers)
      measured.peers.push(ofPeers)
    }
    type By = keyof typeof measured
    const ratio = (by: By, index: number, figure: keyof Rate): number =>
      median(measured[by].map((rates, round) => rates[index]![figure] / floors[round]![index]![figure]))
    const of = (rounds: ReadonlyArray<ReadonlyArray<Rate>>, index: number, figure: keyof Rate): number =>
      median(rounds.map((rates) => rates[index]![figure]))
    console.log(`payloads of ${size} bytes`)
    printTable(
      [
        "",
        "stranger's",
        "own peers'",
        "floor",
        "of the floor",
        "own peers'",
        "CPU µs",
        "own peers'",
        "floor's"
      ],
      names.map((name, index) => [
        name,
        of(measured.strangers, index, "perSecond").toFixed(0),
        of(measured.peers, index, "perSecond").toFixed(0),
        of(floors, index, "perSecond").toFixed(0),
        ratio("strangers", index, "perSecond").toFixed(2),
        ratio("peers", index, "perSecond").toFixed(2),
        of(measured.strangers, index, "cpuMicros").toFixed(2),
        of(measured.peers, index, "cpuMicros").toFixed(2),
        of(floors, index, "cpuMicros").toFixed(2)
      ])
    )
    if (size !== 1_024) continue
    printAim("publishes of 1 KB, of the floor", ratio("strangers", 0, "perSecond"), "at least", 0.4)
    printAim("delivery of 1 KB to one, of the floor", ratio("strangers", 1, "perSecond"), "at least", 0.7)
    printAim("delivery of 1 KB to eight, of the floor", ratio("strangers", 2, "perSecond"), "at least", 0.7)
    printAim("own peers' publishes of 1 KB, of the floor", ratio("peers", 0, "perSecond"), "at least", 1)
    printAim("delivery of 1 KB to one own peer, of the floor", ratio("peers", 1, "perSecond"), "at least", 1)
    printAim(
      "delivery of 1 KB to eight own peers, of the floor",
      ratio("peers", 2, "perSecond"),
      "at least",
      1
    )
  }
  await client.stop()
}

if (isWorker()) serveTasks(clients)
else await bench()
