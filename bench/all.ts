/**
 * Every bench in turn, or those that are named, each in a process of its own: `npm run bench`, `npm run bench:log`.
 *
 * What counts are ratios within one run, and whether the aims are met; rates say more about the machine.
 */
import { runBundled } from "./Bundle.ts"
import { machine } from "./Table.ts"

const everyName = [
  "csv",
  "log",
  "durable",
  "fan-out",
  "pipeline",
  "instances",
  "memory",
  "rest",
  "store",
  "stores",
  "tcp",
  "latency",
  "slow-subscriber",
  "brokers"
]
const wanted = process.argv.slice(2)
const names = wanted.length > 0 ? wanted : everyName

console.log(machine())
const failed: Array<string> = []
for (const name of names) {
  console.log(`\n${name}`)
  const startMs = performance.now()
  if ((await runBundled(name, [])) !== 0) failed.push(name)
  console.log(`  took ${Math.round((performance.now() - startMs) / 1_000)} s`)
}
if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join(", ")}`)
  process.exitCode = 1
}
