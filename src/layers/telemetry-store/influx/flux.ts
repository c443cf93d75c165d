/**
 * Flux that asks for samples: range and filter, which InfluxDB's storage engine answers by itself.
 *
 * Whatever comes from outside is a parameter of the client's template; pieces that are put together were made by it. But texts are
 * made literals of here: of `$${` the client makes `$\${`, in which Flux takes `$\` for two characters and reads what follows as code.
 */
import {
  FLUX_VALUE,
  type FluxParameterLike,
  flux,
  fluxInteger,
  type ParameterizedQuery
} from "@influxdata/influxdb-client"
import type { TimeNs } from "../../../protocol/Time.ts"
import type { SampleFilter } from "../../TelemetryStore.ts"

/** Instants from `startNs` to `endNs`, both inclusive. */
export interface Range {
  readonly startNs: TimeNs
  readonly endNs: TimeNs
}

/**
 * Every instant that Flux reads. InfluxDB stores one more, 2262-04-11T23:47:16.854775806Z, which no range of Flux reaches: its
 * end is exclusive, and its greatest end is read as that instant.
 */
export const allTime: Range = { startNs: -(2n ** 63n) + 2n, endNs: 2n ** 63n - 3n }

/** Which samples, whenever they were. */
export interface TagFilter extends Omit<SampleFilter, "startNs" | "endNs"> {
  /** Of any of these GPUs, at least one, in the place of `uuid`. */
  readonly uuids?: ReadonlyArray<string>
}

/** What ends a literal, begins an escape or an expression, or is no character of Flux. */
const special = /["\\$\p{Control}]/gu

/** A text as a literal of Flux, in which nothing special is left but the escapes of bytes. */
export const textLiteral = (text: string): FluxParameterLike => {
  const escaped = text.replace(special, (character) =>
    Buffer.from(character).toString("hex").replace(/../g, "\\x$&")
  )
  return { [FLUX_VALUE]: () => `"${escaped}"` }
}

/** Half a surrogate pair has no UTF-8 of its own: InfluxDB holds no such text. */
const isUnstorable = (text: string | undefined): boolean => text !== undefined && /\p{Surrogate}/u.test(text)

/** The instants that a filter leaves; `undefined` where nothing can match it, so that nobody need be asked. */
export const rangeOf = (filter: SampleFilter): Range | undefined => {
  const { uuid, metricName, hostname, startNs, endNs } = filter
  if (uuid === "" || metricName === "") return undefined
  if ([uuid, metricName, hostname].some(isUnstorable)) return undefined
  return intersection(allTime, { startNs: startNs ?? allTime.startNs, endNs: endNs ?? allTime.endNs })
}

export const intersection = (a: Range, b: Range): Range | undefined => {
  const startNs = a.startNs > b.startNs ? a.startNs : b.startNs
  const endNs = a.endNs < b.endNs ? a.endNs : b.endNs
  return startNs > endNs ? undefined : { startNs, endNs }
}

/** The field of our points, and the tags that are asked for. A point without a UUID is no sample of ours. */
const predicateOf = ({ uuid, uuids, metricName, hostname, gpuId }: TagFilter): ParameterizedQuery => {
  const [first, ...others] = uuids ?? (uuid === undefined ? [] : [uuid])
  let predicate = flux`r._field == "value" and exists r.uuid`
  if (first !== undefined) {
    let ofGpus = flux`r.uuid == ${textLiteral(first)}`
    for (const other of others) ofGpus = flux`${ofGpus} or r.uuid == ${textLiteral(other)}`
    predicate = flux`r._field == "value" and (${ofGpus})`
  }
  if (metricName !== undefined)
    predicate = flux`${predicate} and r._measurement == ${textLiteral(metricName)}`
  if (hostname === "") predicate = flux`${predicate} and not exists r.hostname`
  else if (hostname !== undefined) predicate = flux`${predicate} and r.hostname == ${textLiteral(hostname)}`
  if (gpuId !== undefined) predicate = flux`${predicate} and r.gpu_id == ${textLiteral(String(gpuId))}`
  return predicate
}

/** The tables of the series that match, one each. */
export const selection = (
  bucket: string,
  { startNs, endNs }: Range,
  filter: TagFilter
): ParameterizedQuery => {
  const [start, stop] = [fluxInteger(startNs), fluxInteger(endNs + 1n)]
  return flux`from(bucket: ${textLiteral(bucket)}) |> range(start: time(v: ${start}), stop: time(v: ${stop})) |> filter(fn: (r) => ${predicateOf(filter)})`
}
