/** The sample that the product ships: one pass of a small simulated fleet, in the format of dcgm-exporter's scrapes. */
import { Chunk, Effect, Layer, Option, Stream } from "effect"
import { TelemetrySource } from "../src/layers/TelemetrySource.ts"
import { layerSimulated, SimulatedSourceConfig } from "../src/layers/telemetry-source/simulated.ts"
import type { Sample } from "../src/protocol/Sample.ts"
import { wholeSource } from "../src/protocol/Shard.ts"
import { formatTime } from "../src/protocol/Time.ts"

/** Where it is kept. */
export const samplePath = new URL("../deploy/sample/dcgm_metrics.csv", import.meta.url)

const header =
  "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw"

/** Prometheus labels, those that repeat a column included, by name. */
const labelsRaw = ({ series }: Sample): string =>
  [
    ...series.labels,
    ["Hostname", series.hostname],
    ["UUID", series.uuid],
    ["__name__", series.metricName],
    ["device", series.device],
    ["gpu", String(series.gpuId)],
    ["modelName", series.modelName]
  ]
    .sort(([a], [b]) => (a! < b! ? -1 : 1))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(",")

const row = (sample: Sample): string => {
  const { series } = sample
  return [
    formatTime(sample.timeNs),
    series.metricName,
    String(series.gpuId),
    series.device,
    series.uuid,
    series.modelName,
    series.hostname,
    series.container,
    series.pod,
    series.namespace,
    String(sample.value),
    labelsRaw(sample)
  ]
    .map((cell) => `"${cell.replaceAll('"', '""')}"`)
    .join(",")
}

const fleet = SimulatedSourceConfig.layer({
  hosts: 4,
  gpusPerHost: 8,
  seed: 1,
  loop: false,
  timestamps: "original"
})

/** Every sample of it, in the order of its rows. */
export const sampleOfFleet: Effect.Effect<ReadonlyArray<Sample>> = Effect.gen(function* () {
  const source = yield* TelemetrySource
  const reader = yield* source.open({ resumeAt: Option.none(), shard: wholeSource })
  const chunks = yield* Stream.runCollect(
    Stream.repeatEffectOption(
      Effect.flatMap(Effect.mapError(reader.read(1_000), Option.some), Effect.mapError(Option.none))
    )
  )
  return Chunk.toReadonlyArray(chunks).flatMap((chunk) => chunk.samples)
}).pipe(Effect.scoped, Effect.provide(Layer.provide(layerSimulated, fleet)), Effect.orDie)

/** The whole file. */
export const sampleCsv: Effect.Effect<string> = Effect.map(sampleOfFleet, (samples) =>
  [header, ...samples.map(row), ""].join("\n")
)
