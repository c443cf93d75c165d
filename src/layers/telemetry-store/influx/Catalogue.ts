/**
 * What the lists, the figures and the bounds of a query are answered from, instead of asking InfluxDB about everything it
 * holds: which series there are, from when to when, and how many samples.
 */
import type { Effect, Option } from "effect"
import type { Sample } from "../../../protocol/Sample.ts"
import type { TimeNs } from "../../../protocol/Time.ts"
import type { SampleFilter, StoreUnavailable, TelemetryStore } from "../../TelemetryStore.ts"

/** Where samples that match a filter are known to be. A hint: what others wrote just now may lie outside. */
export interface Extent {
  readonly firstNs: TimeNs
  readonly lastNs: TimeNs
  /** About as many samples. */
  readonly samples: number
}

export interface Catalogue extends Pick<TelemetryStore["Type"], "gpus" | "gpu" | "metricNames" | "stats"> {
  /** None where nothing that matches is known. */
  readonly extent: (filter: SampleFilter) => Effect.Effect<Option.Option<Extent>, StoreUnavailable>
  /**
   * Notes samples that InfluxDB has just stored, so that every process will count them. A write is done when this is, and is
   * repeated when it fails.
   */
  readonly wrote: (samples: ReadonlyArray<Sample>) => Effect.Effect<void, StoreUnavailable>
}
