/**
 * A broker on disk, two streamers and a collector that are killed again and again under load, and started again. At the end
 * nothing that was acknowledged is missing, and nothing is there twice.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber, Layer, type Scope } from "effect"
import { Broker } from "../../src/layers/Broker.ts"
import { BrokerClientConfig, layerTcp } from "../../src/layers/broker/tcp.ts"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import { below, keyOf, share } from "../../src/layers/telemetry-source/simulated/random.ts"
import { FaultProxy } from "../influx/FaultProxy.ts"
import { type Influx, ready } from "../influx/Influxd.ts"
import { rowsOf } from "../influx/Rows.ts"
import { Broken, Follower, Ledger, ledgerName } from "./Ledger.ts"
import { Process } from "./Process.ts"
import { writeRows } from "./Rows.ts"

export interface ChaosOptions {
  readonly kills: number
  readonly seed: number
  /** Where a collector stores; none runs without it. */
  readonly influx: Influx | undefined
  readonly tell: (line: string) => void
}

export interface ChaosOutcome {
  /** Times that each process was killed. */
  readonly kills: Readonly<Record<string, number>>
  readonly messages: number
  readonly rows: number
  readonly acknowledged: number
}

const streamerNames = ["streamer-a", "streamer-b"]
const collectorId = "collector-c"
/** Rows that a streamer reads per second while there is chaos, and has for each kill: more than it reads until the end. */
const rowsPerSecond = 400
const rowsPerKill = 800

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

/** Waits until something holds; whoever runs this ends it where it takes too long. */
const until = (holds: () => boolean | Promise<boolean>): Effect.Effect<void> =>
  Effect.repeat(
    Effect.zipRight(
      Effect.sleep(5),
      Effect.promise(async () => holds())
    ),
    { until: (isSo) => isSo }
  ).pipe(Effect.asVoid)

interface World {
  readonly options: ChaosOptions
  readonly broker: Process
  readonly streamers: ReadonlyArray<Process>
  readonly collector: Process | undefined
  readonly proxy: FaultProxy | undefined
  readonly bucket: string
  readonly ledger: Ledger
  readonly follower: Follower
  readonly rows: number
}

const makeWorld = (
  options: ChaosOptions
): Effect.Effect<World & { readonly port: number }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { influx } = options
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "telemetry-crash-"))),
      (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
    )
    const port = yield* Effect.promise(freePort)
    const client = { MQ_HOST: "127.0.0.1", MQ_PORT: `${port}`, LOG_LEVEL: "warning" }
    const rows = rowsPerKill * Math.max(5, options.kills)
    const streamers = []
    for (const name of streamerNames) {
      const file = join(folder, `${name}.csv`)
      yield* Effect.promise(() => writeRows(file, name, rows))
      streamers.push(
        new Process(name, ["streamer", "--csv", file, "--once", "--timestamps", "original"], {
          ...client,
          STREAMER_ID: name,
          RATE: `${rowsPerSecond}`,
          BATCH_SIZE: "25",
          COLLECT_INTERVAL: "50ms"
        })
      )
    }
    const proxy =
      influx &&
      (yield* Effect.acquireRelease(
        Effect.promise(async () => {
          await ready(influx)
          return FaultProxy.start(influx.url)
        }),
        (started) => Effect.promise(() => started.refuse())
      ))
    const bucket = `crash_${options.seed}_${port}`
    const processes: World = {
      options,
      broker: new Process("broker", ["broker", "--data", folder], {
        TCP_HOST: "127.0.0.1",
        TCP_PORT: `${port}`,
        HTTP_HOST: "127.0.0.1",
        HTTP_PORT: "0",
        FSYNC: "always",
        LOG_LEVEL: "warning"
      }),
      streamers,
      collector:
        proxy &&
        new Process("collector", ["collector"], {
          ...client,
          COLLECTOR_ID: collectorId,
          STORAGE_TYPE: "influxdb",
          INFLUXDB_URL: proxy.url,
          INFLUXDB_TOKEN: influx!.token,
          INFLUXDB_ORG: influx!.org,
          INFLUXDB_BUCKET: bucket
        }),
      proxy,
      bucket,
      ledger: new Ledger(),
      follower: new Follower(),
      rows
    }
    yield* Effect.addFinalizer(() =>
      Effect.promise(() => Promise.all(all(processes).map((one) => one.kill())))
    )
    return { ...processes, port }
  })

const all = ({ broker, streamers, collector }: World): ReadonlyArray<Process> => [
  broker,
  ...streamers,
  ...(collector === undefined ? [] : [collector])
]

/** What a process does that shows that it works: more of it than before. */
const workOf = ({ ledger, follower, proxy }: World, { name }: Process): number => {
  if (name === "broker") return ledger.offsets.length
  if (name === "collector") return proxy!.asked.length
  return follower.seen.get(name) ?? 0
}

const killAndStart = (victim: Process) =>
  Effect.promise(async () => {
    if (await victim.kill()) await victim.start()
  })

/** Whether a request writes samples, and not what is kept beside them. */
const isWrite =
  ({ bucket }: World) =>
  ({ path }: { readonly path: string }): boolean =>
    new URL(path, "http://store").searchParams.get("bucket") === bucket && path.startsWith("/api/v2/write")

const hasRows = ({ streamers }: World): boolean => streamers.some(({ isRunning }) => isRunning)

/**
 * Kills the collector between two steps that must not be taken for one: when the store has written and nobody has told it so,
 * or when the store was asked and does nothing for a while, in which it must not commit.
 */
const killWhileWriting = (world: World, collector: Process, hasWritten: boolean) =>
  Effect.gen(function* () {
    const proxy = world.proxy!
    let isAsked = false
    let isWritten = false
    proxy.afterwards = () => {
      isWritten = true
    }
    proxy.plan = (asked) => {
      if (!isWrite(world)(asked)) return undefined
      isAsked = true
      return { type: hasWritten ? "hangAnswer" : "hang" }
    }
    yield* until(() => (hasWritten ? isWritten : isAsked) || !hasRows(world))
    if (!hasWritten) {
      const { offsets } = world.ledger
      const enough = offsets.length + 50
      yield* until(() => offsets.length >= enough)
    }
    yield* Effect.promise(() => collector.kill())
    proxy.plan = () => undefined
    yield* Effect.promise(() => collector.start())
  })

/** One kill, as the seed says: of whom, and at what moment. */
const killOnce = (world: World, number: number) =>
  Effect.gen(function* () {
    const key = keyOf(world.options.seed, number)
    const candidates = all(world).filter(({ isRunning }) => isRunning)
    // Every third is of the broker.
    const victim =
      below(key, 0, 3) === 0 ? world.broker : (candidates[below(key, 1, candidates.length)] ?? world.broker)
    const before = workOf(world, victim)
    const wanted = 1 + below(key, 2, 20)
    // Now and then while it is still starting.
    if (share(key, 3) < 0.8) {
      yield* until(
        () =>
          workOf(world, victim) >= before + wanted ||
          !victim.isRunning ||
          (victim === world.collector && !hasRows(world))
      )
    }
    world.options.tell(`${number}: ${victim.name}`)
    const how = share(key, 4)
    if (victim === world.collector && how < 0.8) yield* killWhileWriting(world, victim, how < 0.4)
    else yield* killAndStart(victim)
  })

/** Lets everything come to its end, undisturbed. */
const finish = (world: World) =>
  Effect.gen(function* () {
    const { ledger, follower, streamers, collector } = world
    for (const streamer of streamers) {
      if (streamer.exitCode === 0) continue
      yield* Effect.promise(async () => {
        await streamer.kill()
        if (streamer.exitCode === undefined) await streamer.start({ RATE: "max" })
      })
    }
    yield* until(() => streamers.every(({ isRunning }) => !isRunning))
    for (const { name, exitCode, said } of streamers) {
      if (exitCode !== 0) throw new Broken(`${name} ended with ${exitCode}: ${said}`)
    }
    ledger.stop()
    const broker = yield* Broker
    const stats = Effect.catchAll(broker.stats, () => Effect.succeed(undefined))
    yield* Effect.repeat(Effect.zipRight(Effect.sleep(20), stats), {
      until: (told) =>
        told !== undefined &&
        follower.entries.length === told.nextOffset &&
        (collector === undefined ||
          told.checkpoints.some(
            ({ subscriberId, offset }) => subscriberId === collectorId && offset === told.nextOffset
          ))
    })
  })

const expectAll = (what: string, found: ReadonlyArray<number>, count: number): void => {
  const wrong = found.findIndex((value, index) => value !== index)
  if (wrong !== -1) throw new Broken(`${what}: ${found[wrong]} stands where ${wrong} should`)
  if (found.length !== count) throw new Broken(`${what}: ${found.length} instead of ${count}`)
}

/** Checks the log: what was acknowledged is where it was acknowledged, and every row is in it once, in order. */
const auditLog = ({ ledger, follower, streamers, rows }: World): void => {
  const { entries } = follower
  for (const { name } of streamers) {
    expectAll(
      `rows of ${name} in the log`,
      entries.filter(({ source }) => source === name).flatMap(({ values }) => values),
      rows
    )
  }
  const numbers = entries
    .filter(({ source }) => source === ledgerName)
    .map(({ batchId }) => Number(batchId.slice(ledgerName.length + 1)))
  expectAll("batches in the log", numbers, Math.max(numbers.length, ledger.offsets.length))
  for (const [n, offset] of ledger.offsets.entries()) {
    // A duplicate's offset may be forgotten.
    if (offset !== null && entries[offset]?.batchId !== `${ledgerName}-${n}`) {
      throw new Broken(`${n} was acknowledged at ${offset}, where ${entries[offset]?.batchId} is`)
    }
  }
}

/** Checks the store: every sample of every streamer, once. */
const auditStore = ({ options: { influx }, bucket, streamers, rows }: World) =>
  Effect.gen(function* () {
    if (influx === undefined) return
    const config = { ...influx, bucket } as Parameters<typeof rowsOf>[0]
    for (const { name } of streamers) {
      const stored = yield* rowsOf(config, `r.hostname =~ /^${name}-/`)
      expectAll(
        `samples of ${name} in the store`,
        stored.map(({ value }) => value),
        rows
      )
    }
  })

/** Kills as often as told, lets everything come to its end, and checks what is there then. */
const live = (world: World) =>
  Effect.gen(function* () {
    const { ledger, follower, options } = world
    yield* Effect.forEach(all(world), (one) => Effect.promise(() => one.start()), { discard: true })
    const background = yield* Effect.fork(
      Effect.all([ledger.publish, follower.follow], { concurrency: "unbounded", discard: true })
    )
    const story = Effect.gen(function* () {
      for (let number = 1; number <= options.kills; number++) yield* killOnce(world, number)
      yield* finish(world)
    })
    // A contradiction ends it at once.
    yield* Effect.raceFirst(story, Effect.zipRight(Fiber.join(background), Effect.never))
    auditLog(world)
    yield* auditStore(world)
  })

/** Runs it all; dies with `Broken` where something is not as it should be. */
export const chaos = (options: ChaosOptions): Effect.Effect<ChaosOutcome> =>
  Effect.gen(function* () {
    const world = yield* makeWorld(options)
    const { ledger, follower, port, rows } = world
    const built = yield* Layer.build(
      Layer.provide(layerTcp, BrokerClientConfig.layer({ host: "127.0.0.1", port }))
    )
    yield* Effect.provide(live(world), built)
    return {
      kills: Object.fromEntries(all(world).map(({ name, kills }) => [name, kills])),
      messages: follower.entries.length,
      rows: rows * world.streamers.length,
      acknowledged: ledger.offsets.length
    }
  }).pipe(Effect.scoped, Effect.provide(Scheduler.layer))
