/**
 * CSV rows per second from file to queryable, the whole pipeline in one process and in memory, against csv-parse alone.
 *
 *     file → source → streamer → broker → collector → store
 *
 * `npm run bench:pipeline`. The pace is `max`, and a run ends when the store counts every row. The
 * two take turns on the same file. Aim: more than half of what csv-parse alone does.
 */
import { readFileSync } from "node:fs"
import { parse } from "csv-parse/sync"
import { Effect, Layer } from "effect"
import * as Broker from "../src/layers/broker/embedded.ts"
import * as Collectors from "../src/layers/collectors/embedded.ts"
import * as Journal from "../src/layers/journal/memory.ts"
import * as OffsetLog from "../src/layers/offset-log/memory.ts"
import * as Rejects from "../src/layers/Rejects.ts"
import * as Scheduler from "../src/layers/Scheduler.ts"
import { Streamers } from "../src/layers/Streamers.ts"
import { StreamerConfig, layer as streamers } from "../src/layers/streamers/embedded.ts"
import { TelemetryStore } from "../src/layers/TelemetryStore.ts"
import { CsvSourceConfig, layerCsv } from "../src/layers/telemetry-source/csv.ts"
import * as MemoryStore from "../src/layers/telemetry-store/memory.ts"
import { measure, printRates, type Rate, withFile } from "./Rows.ts"
import { machine, printAim } from "./Table.ts"

const rowCount = Number(process.argv[2] ?? 200_000)
const rounds = 3
const pollMs = 5

const pipeline = (path: string) =>
  streamers.pipe(
    Layer.provide(layerCsv.pipe(Layer.provide(CsvSourceConfig.layer({ path, loop: false })))),
    Layer.provide(StreamerConfig.layer({ rowsPerSecond: "max" })),
    Layer.provideMerge(Collectors.layer.pipe(Layer.provide(Collectors.CollectorConfig.layer()))),
    Layer.provide(
      Broker.layerEmbedded.pipe(
        Layer.provide([
          OffsetLog.layerMemory.pipe(Layer.provide(OffsetLog.MemoryLogConfig.layer())),
          Journal.layerMemory,
          Broker.BrokerConfig.layer()
        ])
      )
    ),
    Layer.provideMerge(MemoryStore.layerMemory.pipe(Layer.provide(MemoryStore.MemoryStoreConfig.layer()))),
    Layer.provide(Rejects.layer)
  )

/** Waits until every row is stored; answers how many samples can be queried. */
const allStored = Effect.gen(function* () {
  yield* (yield* Streamers).done
  const store = yield* TelemetryStore
  for (;;) {
    const { samples } = yield* store.stats
    if (samples >= rowCount) return samples
    yield* Effect.sleep(pollMs)
  }
})

const runPipeline = (path: string): Promise<number> =>
  allStored.pipe(Effect.provide(Layer.provideMerge(pipeline(path), Scheduler.layer)), Effect.runPromise)

await withFile(rowCount, async (path) => {
  const alone: Array<Rate> = []
  const whole: Array<Rate> = []
  // In turns, so that a noisy machine is noisy to both; the first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const ofAlone = await measure(rowCount, async () => parse(readFileSync(path)).length - 1)
    const ofWhole = await measure(rowCount, () => runPipeline(path))
    if (round === 0) continue
    alone.push(ofAlone)
    whole.push(ofWhole)
  }
  console.log(`pipeline, ${rowCount.toLocaleString("en")} rows from file to queryable (${machine()}):`)
  const ratio = printRates(["csv-parse alone", alone], ["the whole pipeline", whole])
  printAim("share of csv-parse alone", ratio, "at least", 0.5)
})
