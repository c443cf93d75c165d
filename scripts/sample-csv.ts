/** The sample that the product ships: one pass of a small simulated fleet, in the format of dcgm-exporter's scrapes. */
import { Chunk, Effect, Layer, Option, Stream } from "effect"
import { layer as layerRejects } from "../src/layers/Rejects.ts"
import { TelemetrySource } from "../src/layers/TelemetrySource.ts"
import { columnNames } from "../src/layers/telemetry-source/csv-header.ts"
import { csvCells, csvRow, inOrder } from "../src/layers/telemetry-source/simulated/csv-row.ts"
import { layerSimulated, SimulatedSourceConfig } from "../src/layers/telemetry-source/simulated.ts"
import type { Sample } from "../src/protocol/Sample.ts"
import { wholeSource } from "../src/protocol/Shard.ts"

/** Where it is kept. */
export const samplePath = new URL("../deploy/sample/dcgm_metrics.csv", import.meta.url)

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
}).pipe(Effect.scoped, Effect.provide(Layer.provide(layerSimulated, [fleet, layerRejects])), Effect.orDie)

/** The whole file. */
export const sampleCsv: Effect.Effect<string> = Effect.map(sampleOfFleet, (samples) =>
  [columnNames.join(","), ...samples.map((sample) => csvRow(inOrder(csvCells(sample)))), ""].join("\n")
)
