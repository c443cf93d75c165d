/**
 * A simulated fleet as a telemetry source: deterministic for its seed, endless in a loop.
 *
 * A pass is one sample of every series that there is at that moment. Values depend on the time of their pass in the
 * simulation, which begins at its epoch and goes on by an interval per pass, whatever times samples are given. A position
 * names the fleet by what makes it; of another fleet it starts afresh, but for the last time given, behind which times go
 * on rising.
 */
import { Context, Effect, Layer, Option } from "effect"
import { Rejects } from "../Rejects.ts"
import { refuseOtherShard, TelemetrySource } from "../TelemetrySource.ts"
import { decodePosition } from "./simulated/position.ts"
import { openSimulatedReader, type SimulatedSourceSettings } from "./simulated/reader.ts"

export { simulatedEpochNs } from "./simulated/reader.ts"

export class SimulatedSourceConfig extends Context.Tag("telemetry/SimulatedSourceConfig")<
  SimulatedSourceConfig,
  SimulatedSourceSettings
>() {
  static readonly defaults: SimulatedSourceSettings = {
    hosts: 4,
    gpusPerHost: 8,
    seed: 1,
    loop: true,
    timestamps: "now",
    // What a pass over 32x8 GPUs takes at 1,000 rows a second, roughly: there the simulation keeps step with the clock.
    intervalMs: 10_000,
    faults: []
  }

  /** The defaults but for what is given. */
  static readonly layer = (
    settings: Partial<SimulatedSourceSettings> = {}
  ): Layer.Layer<SimulatedSourceConfig> =>
    Layer.succeed(SimulatedSourceConfig, { ...SimulatedSourceConfig.defaults, ...settings })
}

const make = Effect.gen(function* () {
  const settings = yield* SimulatedSourceConfig
  const rejects = yield* Rejects
  const description = `simulated fleet ${settings.hosts}x${settings.gpusPerHost}`
  return TelemetrySource.of({
    description,
    open: ({ resumeAt, shard }) =>
      Effect.gen(function* () {
        const position = Option.getOrUndefined(Option.flatMap(resumeAt, decodePosition))
        if (position !== undefined) yield* refuseOtherShard(description, position.shard, shard)
        return openSimulatedReader(settings, rejects, shard, position)
      })
  })
})

/** The fleet that `SimulatedSourceConfig` describes; what its faults make of rows is counted in `Rejects`. */
export const layerSimulated: Layer.Layer<TelemetrySource, never, SimulatedSourceConfig | Rejects> =
  Layer.effect(TelemetrySource, make)
