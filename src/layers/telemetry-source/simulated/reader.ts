/** Reads a fleet pass after pass, from any position that it gave. */
import { Clock, Effect, Option } from "effect"
import type { Sample } from "../../../protocol/Sample.ts"
import { formatShard, ownsHost, type Shard } from "../../../protocol/Shard.ts"
import type { TimeNs } from "../../../protocol/Time.ts"
import type { Rejects } from "../../Rejects.ts"
import type { SourceChunk, SourceReader } from "../../TelemetrySource.ts"
import { makeTimestamper } from "../timestamper.ts"
import { type FaultName, makeReportingFaults } from "./faults.ts"
import { type FleetDescription, makeFleet } from "./fleet.ts"
import { simulatedMetricNames } from "./gpu.ts"
import { makeMalformedRows } from "./malformed.ts"
import { encodePosition, isOfFleet, type SimulatedPosition } from "./position.ts"
import { keyOf } from "./random.ts"

export interface SimulatedSourceSettings extends FleetDescription {
  /** Whether another pass follows a pass; else reading ends with the pass that it is in. */
  readonly loop: boolean
  /** Which time a sample gets: when it was read, or its pass's in simulated time. */
  readonly timestamps: "now" | "original"
  /** What goes wrong. */
  readonly faults: ReadonlyArray<FaultName>
}

/** When the first pass is in simulated time: 2025-01-01T00:00:00Z. */
export const simulatedEpochNs: TimeNs = 1_735_689_600_000_000_000n

const metrics = simulatedMetricNames.length
const originPurpose = 0x41

/** Samples and, index by index, the pass and row behind each. */
interface Collected {
  rowsRead: number
  rowsPassed: number
  readonly samples: Array<Sample>
  readonly passes: Array<number>
  readonly nextRows: Array<number>
}

/** Opens a reader of the shard's hosts; see `TelemetrySource.open`. */
export const openSimulatedReader = (
  settings: SimulatedSourceSettings,
  rejects: Rejects["Type"],
  shard: Shard,
  resumeAt: SimulatedPosition | undefined
): SourceReader => {
  const { seed, hosts, gpusPerHost, intervalMs, loop, timestamps } = settings
  const fleet = makeFleet(settings, settings.faults)
  const reporting = makeReportingFaults(seed, settings.faults)
  const malformed = makeMalformedRows(rejects, timestamps)
  const isNow = timestamps === "now"
  const timestamper = makeTimestamper(resumeAt?.lastGivenNs, shard)
  const isResumed = resumeAt !== undefined && isOfFleet(resumeAt, settings, fleet)
  const isOwn = fleet.hostnames.map((hostname) => ownsHost(shard, hostname, ""))
  const rowsPerHost = gpusPerHost * metrics
  const described = { seed, hosts, gpusPerHost, intervalMs, shard: formatShard(shard) }
  let pass = isResumed ? resumeAt.pass : 0
  let row = isResumed ? resumeAt.row : 0

  /** The sample that is left of a row with a fault, if one is. */
  const spoil = (sample: Sample, nowNs: TimeNs): Sample | undefined => {
    const fault = reporting.ofRow(pass, row)
    if (fault === undefined) return sample
    const origin = `simulated fleet ${hosts}x${gpusPerHost}: pass ${pass}, row ${row}`
    const read = malformed.read(sample, fault, keyOf(seed, originPurpose, pass, row), origin)
    return read && { series: read.series, timeNs: read.timeNs ?? nowNs, value: read.value }
  }

  /** Passes over the rows of the pass up to `untilRow`, at most `rowsMax`. */
  const passOver = (into: Collected, untilRow: number, rowsMax: number): void => {
    const rows = Math.min(untilRow - row, rowsMax)
    into.rowsPassed += rows
    row += rows
  }

  /** Reads of one GPU what is left of the pass, up to `rowsMax` rows. */
  const readGpu = (into: Collected, nowNs: TimeNs, rowsMax: number): void => {
    const gpu = Math.floor(row / metrics)
    const firstRow = gpu * metrics
    // A GPU that is not heard of makes no other report more often.
    if (reporting.isSilent(gpu, (pass * intervalMs) / 1_000)) {
      passOver(into, firstRow + metrics, rowsMax)
      return
    }
    const { values, job } = fleet.stateOf(gpu, pass)
    const series = fleet.seriesOf(gpu, job)
    const passNs = simulatedEpochNs + BigInt(pass) * BigInt(intervalMs) * 1_000_000n
    const untilRow = Math.min(firstRow + metrics, row + rowsMax)
    for (; row < untilRow; row++) {
      const metric = row - firstRow
      const value = values[simulatedMetricNames[metric]!]
      const sample = spoil({ series: series[metric]!, timeNs: isNow ? nowNs : passNs, value }, nowNs)
      into.rowsRead++
      if (sample === undefined) continue
      into.samples.push(isNow ? { ...sample, timeNs: timestamper.next(nowNs) } : sample)
      into.passes.push(pass)
      into.nextRows.push(row + 1)
    }
  }

  /** Goes through up to `rowsMax` rows, of as many passes as it takes. */
  const collect = (rowsMax: number, nowNs: TimeNs): Collected => {
    const collected: Collected = { rowsRead: 0, rowsPassed: 0, samples: [], passes: [], nextRows: [] }
    for (let rowsLeft = rowsMax; rowsLeft > 0; ) {
      const host = Math.floor(row / rowsPerHost)
      if (row >= fleet.rowsPerPass) {
        if (!loop) break
        pass++
        row = 0
      } else if (isOwn[host]!) {
        readGpu(collected, nowNs, rowsLeft)
      } else {
        passOver(collected, (host + 1) * rowsPerHost, rowsLeft)
      }
      rowsLeft = rowsMax - collected.rowsRead - collected.rowsPassed
    }
    return collected
  }

  const toChunk = ({ rowsRead, rowsPassed, samples, passes, nextRows }: Collected): SourceChunk => ({
    rowsRead,
    rowsPassed,
    samples,
    positionAfter: (index) => {
      const at = { ...described, pass: passes[index]!, row: nextRows[index]! }
      const lastGivenNs = isNow ? samples[index]!.timeNs : timestamper.last
      return encodePosition(lastGivenNs === undefined ? at : { ...at, lastGivenNs })
    }
  })

  // A shard without a host has nothing to wait for in a loop but being stopped.
  if (loop && !isOwn.includes(true)) return { read: () => Effect.never }
  return {
    read: (rowsMax) =>
      Effect.map(Clock.currentTimeNanos, (nowNs) => {
        const collected = collect(Math.max(1, rowsMax), nowNs)
        return collected.rowsRead + collected.rowsPassed === 0
          ? Option.none()
          : Option.some(toChunk(collected))
      })
  }
}
