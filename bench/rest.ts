/**
 * REST: a page of 100 samples from the gateway against plain node:http serving the same bytes, in one run.
 *
 * `npm run bench:rest`. The two alternate, so that what else the machine does hits both; the ratio is what counts. The
 * client is a process of its own, so that the time this process spends per request can be told, which holds still on a
 * machine that is busy otherwise. `/health` is asked all the while, to see that it is answered under load.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect, Layer } from "effect"
import { GatewayAddress, layer as gateway } from "../src/http/Gateway.ts"
import { GatewayConfig } from "../src/http/GatewayConfig.ts"
import * as Rejects from "../src/layers/Rejects.ts"
import * as Scheduler from "../src/layers/Scheduler.ts"
import { TelemetryStore } from "../src/layers/TelemetryStore.ts"
import { layerMemory, MemoryStoreConfig } from "../src/layers/telemetry-store/memory.ts"
import type { Sample } from "../src/protocol/Sample.ts"
import type { Series } from "../src/protocol/Series.ts"
import { type Load, load } from "./Load.ts"
import { machine, median, printAim, printTable } from "./Table.ts"

const rounds = 5
const connections = 20
const perRound = { connections, seconds: 2 }
const gpus = 16
const samplesPerSeries = 200
const metricNames = ["DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_POWER_USAGE"]
const startNs = 1_752_871_354_000_000_000n

const uuidOf = (gpu: number) => `GPU-5fd4f087-86f3-7a43-b711-${String(gpu).padStart(12, "0")}`

const seriesOf = (gpu: number, metricName: string): Series => ({
  metricName,
  uuid: uuidOf(gpu),
  hostname: "mtv5-dgx1-hgpu-031",
  gpuId: gpu,
  device: `nvidia${gpu}`,
  modelName: "NVIDIA H100 80GB HBM3",
  container: "",
  pod: "",
  namespace: "",
  labels: [["job", "dgx_dcgm_exporter"]]
})

const samples: ReadonlyArray<Sample> = Array.from({ length: gpus }, (_, gpu) =>
  metricNames.flatMap((metricName) => {
    const series = seriesOf(gpu, metricName)
    return Array.from({ length: samplesPerSeries }, (_, i) => ({
      series,
      timeNs: startNs + BigInt(i) * 5_000_000_123n,
      value: (i * 37) % 101
    }))
  })
).flat()

/** Asks `/health` ten times a second until stopped; answers the slowest answer in ms. */
const watchHealth = (url: string) => {
  let slowestMs = 0
  const timer = setInterval(async () => {
    const start = performance.now()
    await (await fetch(`${url}/health`)).text()
    slowestMs = Math.max(slowestMs, performance.now() - start)
  }, 100)
  return () => {
    clearInterval(timer)
    return slowestMs
  }
}

const measure = async (url: string) => {
  const path = `/api/v1/gpus/${uuidOf(3)}/telemetry?limit=100`
  const bytes = Buffer.from(await (await fetch(url + path)).arrayBuffer())
  const plain = createServer((_, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": bytes.length })
    response.end(bytes)
  })
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve))
  const plainUrl = `http://127.0.0.1:${(plain.address() as AddressInfo).port}`

  const stop = watchHealth(url)
  const pathPastLane = path.replace("GPU-", "GPU%2D")
  const plainLoads: Array<Load> = []
  const loads: Array<Load> = []
  const pastLane: Array<Load> = []
  for (let round = 0; round < rounds; round++) {
    plainLoads.push(await load(plainUrl, ["/"], perRound))
    loads.push(await load(url, [path], perRound))
    pastLane.push(await load(url, [pathPastLane], perRound))
  }
  const slowestHealthMs = stop()
  plain.close()
  plain.closeAllConnections()

  console.log(`page of 100 samples, ${bytes.length} bytes, ${connections} connections (${machine()}):`)
  const share = shareOf(loads, plainLoads)
  printTable(
    ["", "requests/s", "of plain", "CPU µs each", "by CPU time"],
    [
      row("plain node:http", plainLoads, plainLoads),
      row("gateway", loads, plainLoads),
      row("gateway past its fast lane", pastLane, plainLoads)
    ]
  )
  printAim("share of plain node:http", share, "at least", 0.3)
  console.log(`  slowest /health ${slowestHealthMs.toFixed(0)} ms`)
}

/** The median of what each round makes of plain node:http. */
const shareOf = (loads: ReadonlyArray<Load>, plainLoads: ReadonlyArray<Load>): number =>
  median(loads.map((load, round) => load.perSecond / plainLoads[round]!.perSecond))

const row = (name: string, loads: ReadonlyArray<Load>, plainLoads: ReadonlyArray<Load>) => [
  name,
  median(loads.map((load) => load.perSecond)).toFixed(0),
  shareOf(loads, plainLoads).toFixed(2),
  median(loads.map((load) => load.cpuMicros)).toFixed(0),
  median(loads.map((load, round) => plainLoads[round]!.cpuMicros / load.cpuMicros)).toFixed(2)
]

const program = Effect.gen(function* () {
  yield* (yield* TelemetryStore).write(samples)
  const { url } = yield* GatewayAddress
  yield* Effect.promise(() => measure(url))
})

await program.pipe(
  Effect.provide(gateway),
  Effect.provide([
    layerMemory.pipe(Layer.provide(MemoryStoreConfig.layer())),
    Rejects.layer,
    GatewayConfig.layer({ port: 0 })
  ]),
  Effect.provide(Scheduler.layer),
  Effect.runPromise
)
