/**
 * Where figures are read that services keep anyway: at the time of a scrape, so that nothing is counted twice and what is no
 * longer there is no longer shown.
 *
 * What has no such service is counted by Effect's `Metric` directly; a scrape shows both.
 */
import { Context, Effect, Layer, type MetricPair, type Scope } from "effect"

/** Metrics with their values now. */
export type MetricSource = Effect.Effect<ReadonlyArray<MetricPair.MetricPair.Untyped>>

/** A scrape does not wait longer for a source, and goes without it. */
const sourceTimeoutMs = 2_000

const make = () => {
  const sources = new Set<MetricSource>()
  const readOne = (source: MetricSource) =>
    source.pipe(
      Effect.timeoutTo({ duration: sourceTimeoutMs, onSuccess: (read) => read, onTimeout: () => [] }),
      Effect.catchAllCause((cause) => Effect.as(Effect.logWarning("metrics can't be read", cause), []))
    )
  return {
    /** Reads this source too until the scope closes. */
    add: (source: MetricSource): Effect.Effect<void, never, Scope.Scope> =>
      Effect.acquireRelease(
        Effect.sync(() => void sources.add(source)),
        () => Effect.sync(() => void sources.delete(source))
      ),
    /** What all sources give. */
    read: Effect.suspend(() =>
      Effect.map(Effect.forEach(sources, readOne, { concurrency: "unbounded" }), (read) => read.flat())
    )
  }
}

/** The sources of this process, as Effect's metrics are those of the process; `layer` has some of its own. */
export class MetricSources extends Context.Reference<MetricSources>()("telemetry/MetricSources", {
  defaultValue: make
}) {
  static readonly layer: Layer.Layer<MetricSources> = Layer.sync(MetricSources, make)
}
