/** `influxdb setup` against a real InfluxDB of its own, from before it is there. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { isInfluxThere } from "../influx/Buckets.ts"
import { Influxd, influxdPath, ready } from "../influx/Influxd.ts"
import { start } from "./Program.ts"

const token = "a-token-of-ours"
const password = "only-for-tests"

const setup = (url: string, environment: Record<string, string> = {}) =>
  start(["influxdb", "setup"], {
    INFLUXDB_URL: url,
    INFLUXDB_TOKEN: token,
    INFLUXDB_PASSWORD: password,
    ...environment
  })

const ended = async (url: string, environment: Record<string, string> = {}) => {
  const program = await setup(url, environment)
  return { exit: await program.exit, said: program.said().trimEnd() }
}

const path = influxdPath()

describe.runIf(isInfluxThere && path !== undefined)("influxdb setup", () => {
  let influxd: Influxd
  let url: string
  beforeAll(async () => {
    influxd = await Influxd.start(path!)
    url = influxd.influx.url
    await influxd.kill()
  })
  afterAll(() => influxd.remove())

  const setupAllowed = async () =>
    ((await (await fetch(`${url}/api/v2/setup`)).json()) as { readonly allowed: boolean }).allowed

  const retentionSeconds = async () => {
    const headers = { authorization: `Token ${token}` }
    const response = await fetch(`${url}/api/v2/buckets?org=cisco&name=gpu_telemetry`, { headers })
    const { buckets } = (await response.json()) as {
      readonly buckets: ReadonlyArray<{
        readonly retentionRules: ReadonlyArray<{ readonly everySeconds: number }>
      }>
    }
    return buckets.map(({ retentionRules: [rule] }) => rule?.everySeconds ?? 0)
  }

  test("told to end while InfluxDB is away, it ends, and not as if it were done", async () => {
    const waiting = await setup(url)
    await waiting.says(/waiting for InfluxDB: .*ECONNREFUSED/)
    waiting.signal("SIGTERM")
    expect(await waiting.exit).toBe(1)
    expect(waiting.said()).toContain("interrupted before InfluxDB was ready")
  })

  test("what InfluxDB would refuse halfway is refused before anything is made", async () => {
    const waiting = await setup(url, { INFLUXDB_PASSWORD: "" })
    await waiting.says(/waiting for InfluxDB/)
    influxd.launch()
    expect(await waiting.exit).toBe(1)
    expect(waiting.said()).toContain("is new, and INFLUXDB_PASSWORD, for its administrator, is not set")
    for (const [environment, line] of [
      [{ INFLUXDB_BUCKET: "_own" }, "takes no bucket of that name: _own (INFLUXDB_BUCKET)"],
      [{ RETENTION_PERIOD: "30m" }, "keeps no bucket for less than 1h, and RETENTION_PERIOD is 30m"]
    ] as const) {
      const { exit, said } = await ended(url, environment)
      expect(said).toContain(line)
      expect(exit).toBe(1)
    }
    expect(await setupAllowed()).toBe(true)
  })

  test("of two at once one sets it up, both are content, and so is one that comes later", async () => {
    const outcomes = await Promise.all([ended(url), ended(url)])
    expect(outcomes.map(({ exit }) => exit)).toEqual([0, 0])
    expect(outcomes.filter(({ said }) => said.includes("is set up: organization cisco"))).toHaveLength(1)
    expect(await retentionSeconds()).toEqual([120 * 3_600])
    const later = await ended(url, { INFLUXDB_PASSWORD: "" })
    expect(later.said).toContain("was set up before and takes the token: organization cisco")
    expect(later.exit).toBe(0)
  })

  test("a retention that is asked for is that of the bucket afterwards", async () => {
    expect((await ended(url, { RETENTION_PERIOD: "240h" })).exit).toBe(0)
    expect((await ended(url)).exit).toBe(0)
    expect(await retentionSeconds()).toEqual([240 * 3_600])
  })

  test("a token of another InfluxDB and an organization that is not there are told", async () => {
    const [foreign, missing] = await Promise.all([
      ended(url, { INFLUXDB_TOKEN: "of-another" }),
      ended(url, { INFLUXDB_ORG: "nobody" })
    ])
    expect(foreign.said).toContain("was set up before, and does not accept the token (INFLUXDB_TOKEN)")
    expect(missing.said).toContain("was set up before, and does not have organization nobody (INFLUXDB_ORG)")
    expect([foreign.exit, missing.exit]).toEqual([1, 1])
  })

  test("one that others have set up is taken as it is", async () => {
    const theirs = await Influxd.start(path!)
    try {
      await ready(theirs.influx)
      const { exit, said } = await ended(theirs.influx.url, { INFLUXDB_TOKEN: theirs.influx.token })
      expect(said).toMatch(/created bucket gpu_telemetry .*\n.*was set up before and takes the token/)
      expect(exit).toBe(0)
    } finally {
      await theirs.remove()
    }
  })
})

test("a password that InfluxDB takes from nobody is refused at once, and not told", async () => {
  const { exit, said } = await ended("http://127.0.0.1:1", { INFLUXDB_PASSWORD: "short" })
  expect(said).toBe("INFLUXDB_PASSWORD: of 5 bytes is not accepted, expected a text of 8 to 72 bytes")
  expect(exit).toBe(1)
})

test("without a token nothing is asked", async () => {
  const { exit, said } = await ended("http://127.0.0.1:1", { INFLUXDB_TOKEN: "" })
  expect(said).toBe("INFLUXDB_TOKEN: not set, and InfluxDB needs a token")
  expect(exit).toBe(1)
})

test("what is at the URL and is no InfluxDB is told in a line", async () => {
  const server = createServer((_, response) => response.writeHead(404).end("<html>\n</html>"))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const { exit, said } = await ended(url)
    expect(said).toBe(`InfluxDB at ${url}: is no InfluxDB 2: GET /api/v2/setup is answered with 404`)
    expect(exit).toBe(1)
  } finally {
    server.close()
  }
})
