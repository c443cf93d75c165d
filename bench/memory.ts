/**
 * What a process takes that has stored a million samples: `npm run bench:memory`.
 *
 * A simulated fleet goes through the whole pipeline into the memory store, in a process of its own, once with a log that
 * keeps little, so that what is seen is the store, and once with the log that is the default. Beside them stand a process
 * that does nothing, and one in which the pipeline waits for its first sample.
 */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Effect, Layer } from "effect"
import * as Broker from "../src/layers/broker/embedded.ts"
import { TelemetrySource } from "../src/layers/TelemetrySource.ts"
import { TelemetryStore } from "../src/layers/TelemetryStore.ts"
import { layerSimulated, SimulatedSourceConfig } from "../src/layers/telemetry-source/simulated.ts"
import { pipeline } from "./Composition.ts"
import { machine, printTable } from "./Table.ts"

const samplesWanted = 1_000_000
const fleet = { hosts: 32, gpusPerHost: 8 }
const MiB = 1024 * 1024
const smallLogBytes = 16 * MiB
const pollMs = 20

const processes = ["empty", "waiting", "small log", "default log"] as const
type Name = (typeof processes)[number]

const descriptions: Readonly<Record<Name, string>> = {
  empty: "a process that does nothing",
  waiting: "the pipeline, before its first sample",
  "small log": `a million samples, log of ${smallLogBytes / MiB} MiB`,
  "default log": `a million samples, log of ${Broker.BrokerConfig.defaults.retentionBytes / MiB} MiB (default)`
}

interface Taken {
  /** As it is in the middle of its work. */
  readonly residentBytes: number
  /** Behind a garbage collection. */
  readonly heapBytes: number
  readonly buffersBytes: number
}

const taken = (): Taken => {
  const { rss: residentBytes } = process.memoryUsage()
  const collectGarbage = (globalThis as { gc?: () => void }).gc!
  // The buffers of a first collection are given back behind the second.
  collectGarbage()
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return { residentBytes, heapBytes: heapUsed, buffersBytes: arrayBuffers }
}

const simulated = layerSimulated.pipe(Layer.provide(SimulatedSourceConfig.layer(fleet)))
const silent = Layer.succeed(TelemetrySource, { description: "nothing", open: () => Effect.never })

const stored = Effect.gen(function* () {
  const store = yield* TelemetryStore
  while ((yield* store.stats).samples < samplesWanted) yield* Effect.sleep(pollMs)
  return taken()
})

/** What the process takes that this is. */
const measureHere = (name: Exclude<Name, "empty">): Promise<Taken> => {
  switch (name) {
    case "waiting":
      return Effect.runPromise(Effect.provide(Effect.delay(Effect.sync(taken), "1 second"), pipeline(silent)))
    case "small log":
      return Effect.runPromise(Effect.provide(stored, pipeline(simulated, { retentionBytes: smallLogBytes })))
    case "default log":
      return Effect.runPromise(Effect.provide(stored, pipeline(simulated)))
  }
}

/** What a process takes that this file is started in, or for the empty one: nothing but the measuring. */
const measure = async (name: Name): Promise<Taken> => {
  const args =
    name === "empty"
      ? ["--eval", `console.log(JSON.stringify((${taken})()))`]
      : [fileURLToPath(import.meta.url), name]
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", ...args])
  return JSON.parse(stdout)
}

const mebibytes = (bytes: number): string => (bytes / MiB).toFixed(0)

const compare = async (): Promise<void> => {
  const measured: Array<readonly [Name, Taken]> = []
  for (const name of processes) measured.push([name, await measure(name)])
  const waiting = measured.find(([name]) => name === "waiting")![1]
  const held = ({ heapBytes, buffersBytes }: Taken) => heapBytes + buffersBytes
  console.log(`memory, MiB, heap and buffers behind a garbage collection (${machine()}):`)
  printTable(
    ["", "RSS", "heap", "buffers", "B/sample"],
    measured.map(([name, figures]) => [
      descriptions[name],
      mebibytes(figures.residentBytes),
      mebibytes(figures.heapBytes),
      mebibytes(figures.buffersBytes),
      name.endsWith("log") ? ((held(figures) - held(waiting)) / samplesWanted).toFixed(0) : ""
    ])
  )
}

const here = processes.find((name) => name === process.argv[2])
if (here === undefined || here === "empty") await compare()
else {
  console.log(JSON.stringify(await measureHere(here)))
  // What was measured is all that was wanted.
  process.exit(0)
}
