/**
 * Many streamers and collectors in one process against one of each: `npm run bench:instances`.
 *
 * All read the same file, in turns. Several streamers share its rows by host, each of them going through all of it; each of
 * several collectors reads everything, so that four decode and store everything four times. A run ends when every
 * collector has stored every row. JavaScript runs on one core whatever their number: what can be won is only the overlap
 * with what other threads do, and what is to be seen is what more of them cost.
 */
import { storeFile } from "./Composition.ts"
import { measure, type Rate, withFile } from "./Rows.ts"
import { machine, median, printTable } from "./Table.ts"

const rowCount = Number(process.argv[2] ?? 40_000)
const rounds = 3

const ways = [
  { streamers: 1, collectors: 1 },
  { streamers: 4, collectors: 1 },
  { streamers: 1, collectors: 4 },
  { streamers: 4, collectors: 4 }
]

await withFile(rowCount, async (path) => {
  const measured = ways.map((): Array<Rate> => [])
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const [index, way] of ways.entries()) {
      const rate = await measure(rowCount, () => storeFile(path, way))
      if (round > 0) measured[index]!.push(rate)
    }
  }
  console.log(`${rowCount.toLocaleString("en")} rows from file to queryable (${machine()}):`)
  const one = measured[0]!
  printTable(
    ["streamers x collectors", "rows/s", "CPU µs/row", "of 1x1", "by CPU time"],
    ways.map(({ streamers, collectors }, index) => {
      const rates = measured[index]!
      return [
        `${streamers}x${collectors}`,
        median(rates.map(({ rowsPerSecond }) => rowsPerSecond)).toFixed(0),
        median(rates.map(({ cpuMicros }) => cpuMicros)).toFixed(1),
        median(rates.map((rate, round) => rate.rowsPerSecond / one[round]!.rowsPerSecond)).toFixed(2),
        median(rates.map((rate, round) => one[round]!.cpuMicros / rate.cpuMicros)).toFixed(2)
      ]
    })
  )
})
