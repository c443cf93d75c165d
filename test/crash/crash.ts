/**
 * Crash tests with real processes: `npm run test:crash -- --kills 500 --seed N`.
 *
 * The seed decides who is killed and after how much work; what the machine does meanwhile is its own. With an InfluxDB
 * (`INFLUX_TEST_URL`, `INFLUXD`, or `influxd` on the path) a collector is killed too.
 */
import { parseArgs } from "node:util"
import { Effect } from "effect"
import { type Influx, Influxd, influxdPath, setup } from "../influx/Influxd.ts"
import { chaos } from "./Chaos.ts"

const { values } = parseArgs({
  options: { kills: { type: "string", default: "100" }, seed: { type: "string" } }
})
const kills = Number(values.kills)
const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed)
if (!Number.isSafeInteger(kills) || !Number.isSafeInteger(seed)) {
  throw new Error("usage: npm run test:crash -- [--kills N] [--seed N]")
}

/** An InfluxDB for this run, and how it is taken away. */
const openInflux = async (): Promise<readonly [Influx | undefined, () => Promise<void>]> => {
  const { INFLUX_TEST_URL: url, INFLUX_TEST_TOKEN: token, INFLUX_TEST_ORG: org } = process.env
  if (url) return [{ url, token: token ?? setup.token, org: org ?? setup.org }, async () => {}]
  const path = influxdPath()
  if (path === undefined) {
    console.warn("SKIPPED: no InfluxDB (INFLUX_TEST_URL, INFLUXD=path, or influxd on the path): no collector")
    return [undefined, async () => {}]
  }
  const influxd = await Influxd.start(path)
  return [influxd.influx, () => influxd.remove()]
}

const [influx, close] = await openInflux()
console.log(`seed ${seed}, ${kills} kills`)
try {
  const outcome = await Effect.runPromise(chaos({ kills, seed, influx, tell: console.log }))
  console.log(`as it should be: ${JSON.stringify(outcome)}`)
} finally {
  await close()
}
