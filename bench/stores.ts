/**
 * Every store in the same run: `npm run bench:stores`. InfluxDB needs a server (`INFLUX_TEST_URL`, or a binary in `INFLUXD`
 * or on the path); without one it is left out, loudly.
 *
 * First writing: batches of 5,000 samples, two under way at a time as a collector has them, and into InfluxDB also by its
 * own client alone, the same points to the same server. Then reading: what a gateway over 1 M samples answers.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { InfluxDB, Point } from "@influxdata/influxdb-client"
import { Effect, Layer, Logger, LogLevel } from "effect"
import { GatewayAddress, layer as gateway } from "../src/http/Gateway.ts"
import { GatewayConfig } from "../src/http/GatewayConfig.ts"
import * as Rejects from "../src/layers/Rejects.ts"
import * as Scheduler from "../src/layers/Scheduler.ts"
import { TelemetryStore } from "../src/layers/TelemetryStore.ts"
import { FileStoreConfig, layerFile } from "../src/layers/telemetry-store/file.ts"
import { InfluxConfig, layerInflux } from "../src/layers/telemetry-store/influx.ts"
import { layerMemory, MemoryStoreConfig } from "../src/layers/telemetry-store/memory.ts"
import { collectorWritesMax, writeSamplesMax } from "../src/protocol/Limits.ts"
import type { Sample } from "../src/protocol/Sample.ts"
import { type Influx, Influxd, influxdPath, ready, setup } from "../test/influx/Influxd.ts"
import { batchAt, fleet, sampleAt } from "./Fleet.ts"
import { type Load, load } from "./Load.ts"
import { median, printAim, printTable } from "./Table.ts"

const series = fleet(250, 10)
const rounds = 3
const writtenPerRound = 250_000
const stored = 1_000_000
const seconds = 3
const connections = 20
/** Of who asks for what looks at every sample. */
const heavyConnections = 2

const batches = (count: number, first = 0) =>
  Array.from({ length: count / writeSamplesMax }, (_, i) =>
    batchAt(series, first + i * writeSamplesMax, writeSamplesMax)
  )

/** Samples per second, with as many writes under way as a collector has. */
const writing = Effect.gen(function* () {
  const store = yield* TelemetryStore
  const all = batches(writtenPerRound)
  // What is made with the first write is made once: a bucket, its shard.
  yield* store.write([sampleAt(series, 0)])
  const startMs = performance.now()
  yield* Effect.forEach(all, store.write, { concurrency: collectorWritesMax, discard: true })
  return (writtenPerRound * 1_000) / (performance.now() - startMs)
})

const pointOf = ({ series: tags, timeNs, value }: Sample): Point => {
  const point = new Point(tags.metricName)
    .tag("uuid", tags.uuid)
    .tag("hostname", tags.hostname)
    .tag("gpu_id", String(tags.gpuId))
    .tag("device", tags.device)
    .tag("model", tags.modelName)
    .floatField("value", value)
    .timestamp(String(timeNs))
  for (const [name, label] of tags.labels) point.tag(name, label)
  return point
}

/** The same by InfluxDB's client alone: its own points, as many batches under way, and each waited for. */
const writingRaw = async ({ url, token, org }: Influx, bucket: string): Promise<number> => {
  const all = batches(writtenPerRound)
  const client = new InfluxDB({ url, token })
  // A batch that it sends by itself, it does not wait for.
  const options = { batchSize: writeSamplesMax + 1, maxRetries: 0, flushInterval: 0 }
  const startMs = performance.now()
  let next = 0
  const lane = async () => {
    const api = client.getWriteApi(org, bucket, "ns", options)
    while (next < all.length) {
      api.writePoints(all[next++]!.map(pointOf))
      await api.flush()
    }
    await api.close()
  }
  await Promise.all(Array.from({ length: collectorWritesMax }, lane))
  return (writtenPerRound * 1_000) / (performance.now() - startMs)
}

const uuids = [...new Set(series.map(({ uuid }) => uuid))]
const telemetry = (query: string) => uuids.map((uuid) => `/api/v1/gpus/${uuid}/telemetry?${query}`)

interface Endpoint {
  readonly name: string
  readonly paths: ReadonlyArray<string>
  readonly connections?: number
  readonly perSecondMin?: number
}

const endpoints: ReadonlyArray<Endpoint> = [
  { name: "list of 250 GPUs", paths: ["/api/v1/gpus"], perSecondMin: 2_000 },
  { name: "one GPU", paths: uuids.map((uuid) => `/api/v1/gpus/${uuid}`), perSecondMin: 2_000 },
  { name: "its metrics", paths: uuids.map((uuid) => `/api/v1/gpus/${uuid}/metrics`), perSecondMin: 2_000 },
  { name: "all metrics", paths: ["/api/v1/metrics"], perSecondMin: 2_000 },
  { name: "stats", paths: ["/api/v1/stats"], perSecondMin: 2_000 },
  { name: "page of 100, one GPU", paths: telemetry("limit=100"), perSecondMin: 470 },
  {
    name: "page of 100, one GPU and metric",
    paths: telemetry("limit=100&metric_name=DCGM_FI_DEV_METRIC_3")
  },
  { name: "page of 100, all GPUs", paths: ["/api/v1/telemetry?limit=100"] },
  { name: "windows of 1m, mean, one GPU", paths: telemetry("window=1m&aggregate=mean") },
  { name: "windows of 1m, p95, one GPU", paths: telemetry("window=1m&aggregate=p95") },
  {
    name: "windows of 1m, mean, by host",
    paths: ["/api/v1/telemetry?window=1m&aggregate=mean&group_by=host"],
    connections: heavyConnections
  }
]

const answering = Effect.gen(function* () {
  const store = yield* TelemetryStore
  yield* Effect.forEach(batches(stored), store.write, { concurrency: collectorWritesMax, discard: true })
  const { url } = yield* GatewayAddress
  const loads: Array<Load> = []
  for (const { paths, connections: asking = connections } of endpoints) {
    loads.push(yield* Effect.promise(() => load(url, paths, { connections: asking, seconds })))
  }
  return loads
})

interface Bench {
  readonly name: string
  /** A store that is empty each time it is built. */
  readonly layer: () => Layer.Layer<TelemetryStore, unknown>
}

const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
  effect.pipe(Effect.provide(Scheduler.layer), Logger.withMinimumLogLevel(LogLevel.None), Effect.runPromise)

const withInflux = async (use: (influx: Influx | undefined) => Promise<void>): Promise<void> => {
  const {
    INFLUX_TEST_URL: url,
    INFLUX_TEST_TOKEN: token = setup.token,
    INFLUX_TEST_ORG: org = setup.org
  } = process.env
  if (url) return use({ url, token, org })
  const path = influxdPath()
  if (path === undefined) {
    console.log("SKIPPED: no InfluxDB (INFLUX_TEST_URL, INFLUXD=path, or influxd on the path)")
    return use(undefined)
  }
  const influxd = await Influxd.start(path)
  try {
    await ready(influxd.influx)
    await use(influxd.influx)
  } finally {
    await influxd.remove()
  }
}

const folder = mkdtempSync(join(tmpdir(), "bench-stores-"))
let made = 0

const benchAll = async (influx: Influx | undefined) => {
  const stores: ReadonlyArray<Bench> = [
    { name: "memory", layer: () => Layer.provide(layerMemory, MemoryStoreConfig.layer()) },
    {
      name: "file",
      layer: () =>
        Layer.provide(layerFile, FileStoreConfig.layer({ directory: join(folder, String(made++)) }))
    },
    ...(influx === undefined
      ? []
      : [
          {
            name: "InfluxDB",
            layer: () =>
              Layer.provide(
                layerInflux,
                InfluxConfig.layer({ ...influx, bucket: `bench-${made++}`, retentionMs: 0 })
              )
          }
        ])
  ]

  const rates = new Map<string, Array<number>>()
  const note = (name: string, rate: number) => rates.set(name, [...(rates.get(name) ?? []), rate])
  for (let round = 0; round < rounds; round++) {
    for (const { name, layer } of stores) note(name, await run(Effect.provide(writing, layer())))
    if (influx === undefined) continue
    const bucket = `bench-${made++}`
    // The store makes the bucket and its shard; the client's own points go there.
    const emptied = Layer.provide(layerInflux, InfluxConfig.layer({ ...influx, bucket, retentionMs: 0 }))
    await run(
      Effect.provide(
        Effect.flatMap(TelemetryStore, (store) => store.ready),
        emptied
      )
    )
    note("InfluxDB, its client alone", await writingRaw(influx, bucket))
  }
  console.log(
    `written in batches of ${writeSamplesMax}, ${collectorWritesMax} under way, median of ${rounds}:`
  )
  printTable(
    ["", "samples/s"],
    [...rates].map(([name, of]) => [name, median(of).toFixed(0)])
  )
  const own = rates.get("InfluxDB")
  const raw = rates.get("InfluxDB, its client alone")
  if (own !== undefined && raw !== undefined) {
    printAim("share of the client alone", median(own.map((rate, i) => rate / raw[i]!)), "at least", 0.9)
  }

  for (const { name, layer } of stores) {
    const loads = await run(
      answering.pipe(
        Effect.provide(
          Layer.provideMerge(
            gateway,
            Layer.mergeAll(layer(), Rejects.layer, GatewayConfig.layer({ port: 0 }))
          )
        )
      )
    )
    console.log(`\n${name}: ${stored / 1e6} M samples, ${connections} connections`)
    printTable(
      ["", "answers/s", "p50 ms", "p99 ms"],
      loads.map((figures, i) => [
        endpoints[i]!.name,
        figures.perSecond.toFixed(0),
        figures.p50Ms.toFixed(1),
        figures.p99Ms.toFixed(1)
      ])
    )
    if (name !== "InfluxDB") continue
    endpoints.forEach(({ name: endpoint, perSecondMin }, i) => {
      if (perSecondMin !== undefined) printAim(endpoint, loads[i]!.perSecond, "at least", perSecondMin)
    })
  }
}

try {
  await withInflux(benchAll)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
