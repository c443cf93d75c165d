/**
 * Once per run of the tests: an InfluxDB for those that need one. `INFLUX_TEST_URL` (with `INFLUX_TEST_TOKEN` and
 * `INFLUX_TEST_ORG`) names one that is there; else one is started, where a binary is. It is not waited for here.
 */
import type { TestProject } from "vitest/node"
import { type Influx, Influxd, influxdPath, setup } from "./Influxd.ts"

declare module "vitest" {
  export interface ProvidedContext {
    influx: Influx | undefined
  }
}

export default async ({ provide }: TestProject): Promise<(() => Promise<void>) | undefined> => {
  const { INFLUX_TEST_URL: url, INFLUX_TEST_TOKEN: token, INFLUX_TEST_ORG: org } = process.env
  if (url) {
    provide("influx", { url, token: token ?? setup.token, org: org ?? setup.org })
    return undefined
  }
  const path = influxdPath()
  if (path === undefined) {
    if (process.env.CI === "true") throw new Error("no influxd: CI builds one and names it in INFLUXD")
    console.warn("SKIPPED: no InfluxDB (INFLUX_TEST_URL, INFLUXD=path, or influxd on the path): its tests")
    provide("influx", undefined)
    return undefined
  }
  const influxd = await Influxd.start(path)
  provide("influx", influxd.influx)
  return () => influxd.remove()
}
