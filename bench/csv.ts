/**
 * Rows per second of the CSV source, end to end, against csv-parse alone on the same bytes.
 *
 * `npm run bench:csv`. The ratio is what counts: it is what cutting, validating and interning cost
 * beside parsing.
 */
import { readFileSync } from "node:fs"
import { parse } from "csv-parse/sync"
import { Effect, Layer, Option } from "effect"
import * as Rejects from "../src/layers/Rejects.ts"
import { TelemetrySource } from "../src/layers/TelemetrySource.ts"
import { CsvSourceConfig, layerCsv } from "../src/layers/telemetry-source/csv.ts"
import { wholeSource } from "../src/protocol/Shard.ts"
import { measure, printRates, type Rate, withFile } from "./Rows.ts"
import { machine } from "./Table.ts"

const rowCount = Number(process.argv[2] ?? 100_000)
const rounds = 5
const rowsPerRead = 1_000

const readAll = Effect.scoped(
  Effect.gen(function* () {
    const source = yield* TelemetrySource
    const reader = yield* source.open({ resumeAt: Option.none(), shard: wholeSource })
    let samples = 0
    for (;;) {
      const chunk = yield* reader.read(rowsPerRead)
      if (Option.isNone(chunk)) return samples
      samples += chunk.value.samples.length
    }
  })
)

await withFile(rowCount, async (path) => {
  const layer = layerCsv.pipe(
    Layer.provide(Layer.merge(Rejects.layer, CsvSourceConfig.layer({ path, loop: false })))
  )
  const alone: Array<Rate> = []
  const source: Array<Rate> = []
  // In turns, so that a noisy machine is noisy to both; the first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const ofAlone = await measure(rowCount, async () => parse(readFileSync(path)).length - 1)
    const ofSource = await measure(rowCount, () => Effect.runPromise(Effect.provide(readAll, layer)))
    if (round === 0) continue
    alone.push(ofAlone)
    source.push(ofSource)
  }
  console.log(`CSV source, ${rowCount.toLocaleString("en")} rows (${machine()}):`)
  printRates(["csv-parse alone", alone], ["source: cut, parsed, validated, interned", source])
  console.log(`  peak RSS ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`)
})
