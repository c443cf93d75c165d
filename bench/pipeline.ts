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
import { storeFile } from "./Composition.ts"
import { measure, printRates, type Rate, withFile } from "./Rows.ts"
import { machine, printAim } from "./Table.ts"

const rowCount = Number(process.argv[2] ?? 200_000)
const rounds = 3

await withFile(rowCount, async (path) => {
  const alone: Array<Rate> = []
  const whole: Array<Rate> = []
  // In turns, so that a noisy machine is noisy to both; the first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const ofAlone = await measure(rowCount, async () => parse(readFileSync(path)).length - 1)
    const ofWhole = await measure(rowCount, () => storeFile(path))
    if (round === 0) continue
    alone.push(ofAlone)
    whole.push(ofWhole)
  }
  console.log(`pipeline, ${rowCount.toLocaleString("en")} rows from file to queryable (${machine()}):`)
  const ratio = printRates(["csv-parse alone", alone], ["the whole pipeline", whole])
  printAim("share of csv-parse alone", ratio, "at least", 0.5)
})
