/** A store of one's own: a file with a sample per line, which outlives the process. Every answer reads all of it. */
import { appendFile, readFile } from "node:fs/promises"
import { Effect, Layer } from "effect"
import { StoreUnavailable, TelemetryStore } from "telemetry-pipeline/layers/TelemetryStore"
import * as Scanning from "telemetry-pipeline/layers/telemetry-store/scanning"
import type { Sample } from "telemetry-pipeline/protocol/Sample"

const lineOf = ({ series, timeNs, value }: Sample): string =>
  `\n${JSON.stringify({ series, timeNs: String(timeNs), value })}`

/** A write that a crash cuts short leaves half a line; nobody was told that it is stored. */
const sampleOf = (line: string): ReadonlyArray<Sample> => {
  try {
    const { series, timeNs, value } = JSON.parse(line)
    return [{ series, timeNs: BigInt(timeNs), value }]
  } catch {
    return []
  }
}

const attempt = <A>(store: string, run: () => Promise<A>): Effect.Effect<A, StoreUnavailable> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new StoreUnavailable({ store, problem: String(cause), cause })
  })

export const layerFile = (file: string): Layer.Layer<TelemetryStore> =>
  Layer.succeed(
    TelemetryStore,
    Scanning.make({
      description: file,
      write: (samples) =>
        attempt(file, () => appendFile(file, samples.map(lineOf).join(""), { flush: true })),
      scan: attempt(file, () => readFile(file, { encoding: "utf8", flag: "a+" })).pipe(
        Effect.map((text) => text.split("\n").flatMap(sampleOf))
      )
    })
  )
