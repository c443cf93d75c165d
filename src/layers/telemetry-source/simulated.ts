/**
 * A simulated fleet as a telemetry source: deterministic for its seed, endless in a loop.
 *
 * A pass is one sample of every series. A position names the fleet by what makes it; of another fleet it starts afresh,
 * but for the last time given, behind which times go on rising.
 */
import { Clock, Context, Effect, Layer, Option, Schema } from "effect"
import { SourcePosition } from "../../protocol/Log.ts"
import type { Sample } from "../../protocol/Sample.ts"
import { type TimeNs, timeNsMax, timeNsMin } from "../../protocol/Time.ts"
import { type SourceChunk, type SourceReader, TelemetrySource } from "../TelemetrySource.ts"
import { type FleetDescription, makeFleet, type SimulatedFleet } from "./simulated-fleet.ts"
import { makeTimestamper } from "./timestamper.ts"

interface SimulatedSourceSettings extends FleetDescription {
  /** Whether another pass follows a pass; else reading ends with the pass that it is in. */
  readonly loop: boolean
  /** Which time a sample gets: when it was read, or its pass's in simulated time. */
  readonly timestamps: "now" | "original"
  /** Simulated time between two passes. */
  readonly intervalMs: number
}

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
    intervalMs: 1_000
  }

  /** The defaults but for what is given. */
  static readonly layer = (
    settings: Partial<SimulatedSourceSettings> = {}
  ): Layer.Layer<SimulatedSourceConfig> =>
    Layer.succeed(SimulatedSourceConfig, { ...SimulatedSourceConfig.defaults, ...settings })
}

/** When the first pass is in simulated time: 2025-01-01T00:00:00Z. */
export const simulatedEpochNs: TimeNs = 1_735_689_600_000_000_000n

const SimulatedPosition = Schema.Struct({
  seed: Schema.Int,
  hosts: Schema.Int,
  gpusPerHost: Schema.Int,
  pass: Schema.NonNegativeInt,
  /** The row of that pass at which reading goes on; behind the last one, the pass is over. */
  row: Schema.NonNegativeInt,
  /** The last time that was given to a sample, in nanoseconds; absent while none was. */
  lastGivenNs: Schema.optional(Schema.BigInt.pipe(Schema.betweenBigInt(timeNsMin, timeNsMax)))
})
type SimulatedPosition = typeof SimulatedPosition.Type

const SimulatedPositionText = Schema.parseJson(SimulatedPosition)
const encodePosition = Schema.encodeSync(SimulatedPositionText)
const decodePosition = Schema.decodeOption(SimulatedPositionText)

const isOfFleet = (position: SimulatedPosition, settings: FleetDescription, fleet: SimulatedFleet): boolean =>
  position.seed === settings.seed &&
  position.hosts === settings.hosts &&
  position.gpusPerHost === settings.gpusPerHost &&
  position.row <= fleet.rowsPerPass

const openReader = (
  settings: SimulatedSourceSettings,
  fleet: SimulatedFleet,
  resumeAt: SimulatedPosition | undefined
): SourceReader => {
  const { seed, hosts, gpusPerHost, loop, timestamps, intervalMs } = settings
  const start =
    resumeAt !== undefined && isOfFleet(resumeAt, settings, fleet) ? resumeAt : { pass: 0, row: 0 }
  const timestamper = makeTimestamper(resumeAt?.lastGivenNs)
  let { pass, row } = start

  const chunk = (rows: number, nowNs: TimeNs): SourceChunk => {
    const passNs = simulatedEpochNs + BigInt(pass) * BigInt(intervalMs) * 1_000_000n
    const samples: Array<Sample> = []
    for (let i = row; i < row + rows; i++) {
      const timeNs = timestamps === "now" ? timestamper.next(nowNs) : passNs
      samples.push({ series: fleet.seriesOf(i), timeNs, value: fleet.valueOf(pass, i) })
    }
    const [atPass, firstRow] = [pass, row]
    row += rows
    return {
      rowsRead: rows,
      samples,
      positionAfter: (index) => {
        const lastGivenNs = timestamps === "now" ? samples[index]!.timeNs : timestamper.last
        const at = { seed, hosts, gpusPerHost, pass: atPass, row: firstRow + index + 1 }
        return SourcePosition.make(encodePosition(lastGivenNs === undefined ? at : { ...at, lastGivenNs }))
      }
    }
  }

  return {
    read: (rowsMax) =>
      Effect.map(Clock.currentTimeNanos, (nowNs) => {
        if (row >= fleet.rowsPerPass) {
          if (!loop) return Option.none()
          pass++
          row = 0
        }
        return Option.some(chunk(Math.max(1, Math.min(rowsMax, fleet.rowsPerPass - row)), nowNs))
      })
  }
}

const make = Effect.gen(function* () {
  const settings = yield* SimulatedSourceConfig
  return TelemetrySource.of({
    description: `simulated fleet ${settings.hosts}x${settings.gpusPerHost}`,
    open: (resumeAt) =>
      Effect.sync(() =>
        openReader(
          settings,
          makeFleet(settings),
          Option.getOrUndefined(Option.flatMap(resumeAt, decodePosition))
        )
      )
  })
})

/** The fleet that `SimulatedSourceConfig` describes. It needs nothing and never fails. */
export const layerSimulated: Layer.Layer<TelemetrySource, never, SimulatedSourceConfig> = Layer.effect(
  TelemetrySource,
  make
)
