/**
 * What goes wrong in a simulated fleet, where it is asked for.
 *
 * Faults of the machine (`xid`, `hot`) are part of a job's plan, see `timetable.ts`. Those of reporting are here: they change
 * nothing about the GPU, only what is heard of it.
 */
import { type RowRejectReason, rowRejectReasons } from "../../../protocol/Reject.ts"
import { below, keyOf, mix, share } from "./random.ts"

export const faultNames = [
  /** A GPU reports an XID error and its job ends with it. */
  "xid",
  /** A GPU is not heard of for some minutes. */
  "silent",
  /** A GPU's cooling fails under load: it heats up and is throttled. */
  "hot",
  /** A value is one of DCGM's blanks. */
  "sentinel",
  /** A row is malformed, in every way there is. */
  "rejects"
] as const
export type FaultName = (typeof faultNames)[number]

/** What is wrong with a row; `bad_label` alone leaves it a row. */
export type RowFault = RowRejectReason | "bad_label"
const rowFaults: ReadonlyArray<RowFault> = [...rowRejectReasons, "bad_label"]

/** A GPU falls silent at most once in each block of this time, and is back before it ends. */
const silenceBlockS = 1_800
const silenceShare = 0.15
const silenceMinS = 60
const silenceMaxS = 240

const sentinelShare = 1 / 600
const malformedShare = 1 / 400

const purpose = {
  sentinel: 1,
  isMalformed: 2,
  rowFault: 3,
  isSilent: 4,
  silentFrom: 5,
  silentFor: 6
} as const
const silence = 0x51
const reporting = 0x52

export interface ReportingFaults {
  /** Whether a GPU is silent that long after the simulation's beginning. */
  readonly isSilent: (gpu: number, simulatedS: number) => boolean
  readonly ofRow: (pass: number, row: number) => RowFault | undefined
}

const isSilentIn = (key: number, inBlockS: number): boolean => {
  if (share(key, purpose.isSilent) >= silenceShare) return false
  const from = share(key, purpose.silentFrom) * (silenceBlockS - silenceMaxS)
  const forS = silenceMinS + share(key, purpose.silentFor) * (silenceMaxS - silenceMinS)
  return inBlockS >= from && inBlockS < from + forS
}

export const makeReportingFaults = (seed: number, faults: ReadonlyArray<FaultName>): ReportingFaults => {
  const [silent, sentinel, rejects] = (["silent", "sentinel", "rejects"] as const).map((name) =>
    faults.includes(name)
  )
  const silenceKey = keyOf(seed, silence)
  const rowKey = keyOf(seed, reporting)
  return {
    isSilent: (gpu, simulatedS) => {
      if (!silent) return false
      const block = Math.floor(simulatedS / silenceBlockS)
      return isSilentIn(mix(mix(silenceKey, gpu), block), simulatedS - block * silenceBlockS)
    },
    ofRow: (pass, row) => {
      if (!sentinel && !rejects) return undefined
      const key = mix(mix(rowKey, pass), row)
      if (sentinel && share(key, purpose.sentinel) < sentinelShare) return "sentinel"
      if (rejects && share(key, purpose.isMalformed) < malformedShare) {
        return rowFaults[below(key, purpose.rowFault, rowFaults.length)]
      }
      return undefined
    }
  }
}
