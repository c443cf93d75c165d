/** Where in which fleet reading goes on, as a text that a record of the log carries. */
import { type Option, Schema } from "effect"
import { SourcePosition } from "../../../protocol/Log.ts"
import { timeNsMax, timeNsMin } from "../../../protocol/Time.ts"
import type { FleetDescription, SimulatedFleet } from "./fleet.ts"

/**
 * What a position says. Faults are not in it: they take rows away or spoil them, and leave every other row where it was.
 */
export const SimulatedPosition = Schema.Struct({
  seed: Schema.Int,
  hosts: Schema.Int,
  gpusPerHost: Schema.Int,
  intervalMs: Schema.Int,
  /** Whose rows were read, by `formatShard`. */
  shard: Schema.String.pipe(Schema.maxLength(32)),
  pass: Schema.NonNegativeInt,
  /** The row of that pass, of all shards, at which reading goes on; behind the last one, the pass is over. */
  row: Schema.NonNegativeInt,
  /** The last time that was given to a sample, in nanoseconds; absent while none was. */
  lastGivenNs: Schema.optional(Schema.BigInt.pipe(Schema.betweenBigInt(timeNsMin, timeNsMax)))
})
export type SimulatedPosition = typeof SimulatedPosition.Type

const SimulatedPositionText = Schema.parseJson(SimulatedPosition)
const encode = Schema.encodeSync(SimulatedPositionText)
const decode = Schema.decodeOption(SimulatedPositionText)

/** The text of a position: some 150 bytes, never more than the 1 KiB that a record may carry. */
export const encodePosition = (position: SimulatedPosition): SourcePosition =>
  SourcePosition.make(encode(position))

/** What a position of this source says; `None` where the text is none. */
export const decodePosition = (position: SourcePosition): Option.Option<SimulatedPosition> => decode(position)

/** Whether a position is one of that fleet. */
export const isOfFleet = (
  position: SimulatedPosition,
  { seed, hosts, gpusPerHost, intervalMs }: FleetDescription,
  { rowsPerPass }: SimulatedFleet
): boolean =>
  position.seed === seed &&
  position.hosts === hosts &&
  position.gpusPerHost === gpusPerHost &&
  position.intervalMs === intervalMs &&
  position.row <= rowsPerPass
