/** Alerts, as Prometheus itself reads and evaluates them. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { beforeAll, expect, test } from "vitest"
import { parse } from "yaml"
import { prometheusFolder, prometheusTools } from "./prometheus/Prometheus.ts"
import { describeWith, execute, outcomeOf, root } from "./Tool.ts"

const alertsFile = "deploy/helm/telemetry-pipeline/files/alerts.yaml"
const valuesFile = "deploy/helm/telemetry-pipeline/values.yaml"
const unitTestsFile = "test/deploy/prometheus/alerts_test.yaml"

const textOf = (file: string) => readFile(join(root, file), "utf8")

/** What stands in the file of each alert, from its name to the next. */
const alertsOf = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text
      .split(/^ +- alert: /m)
      .slice(1)
      .map((block) => [block.slice(0, block.indexOf("\n")), block])
  )

test("every alert has a severity, and says what it is and what to do", async () => {
  const alerts = alertsOf(await textOf(alertsFile))
  expect(alerts.size).toBeGreaterThan(10)
  for (const [name, block] of alerts) {
    expect(name).toMatch(/^Telemetry[A-Z]/)
    expect(block, name).toMatch(/severity: (critical|warning)\n/)
    expect(block, name).toMatch(/summary: ".+\."\n/)
    expect(block, name).toMatch(/description: \|\n(?: {12}.+\n)+/)
  }
})

test("every alert has a test in which it fires, and one in which it does not", async () => {
  const [alerts, unitTests] = await Promise.all([textOf(alertsFile), textOf(unitTestsFile)])
  for (const name of alertsOf(alerts).keys()) {
    const checks = unitTests.split("- expr: ").filter((check) => check.includes(`alertname="${name}", alert`))
    expect(
      checks.some((check) => check.includes("exp_samples: []")),
      `${name} is quiet`
    ).toBe(true)
    expect(
      checks.some((check) => check.includes("value: 1")),
      `${name} fires`
    ).toBe(true)
  }
})

test("the memory that is too much is nine tenths of the chart's limits", async () => {
  const { streamer, api, collector, mqServer } = parse(await textOf(valuesFile))
  const limitOf = ({ resources }: typeof api) => /^(\d+)([MG])i$/.exec(resources.limits.memory)!
  const mebibytes = (part: typeof api) => {
    const [, number, unit] = limitOf(part)
    return Number(number) * (unit === "G" ? 1024 : 1)
  }
  const block = alertsOf(await textOf(alertsFile)).get("TelemetryMemoryHigh")
  const told = [...(block ?? "").matchAll(/job(\S+)"} > 0\.9 \* (\d+) \* 2 \^ 20/g)].map(([, job, limit]) => [
    job,
    Number(limit)
  ])
  expect(mebibytes(api)).toBe(mebibytes(streamer))
  expect(told).toEqual([
    ['=~"streamer|gateway', mebibytes(streamer)],
    ['="collector', mebibytes(collector)],
    ['!~"streamer|gateway|collector', mebibytes(mqServer)]
  ])
})

describeWith(prometheusTools, "Prometheus' own tool", () => {
  let promtool: string
  beforeAll(async () => {
    promtool = join(await prometheusFolder(), "promtool")
  })

  test("takes the rules, their expressions and their texts", async () => {
    expect(await execute(promtool, ["check", "rules", "--lint=all", "--lint-fatal", alertsFile])).toContain(
      "SUCCESS"
    )
  })

  test("has each alert fire when it should, and not otherwise", async () => {
    const { exitCode, stdout, stderr } = await outcomeOf(promtool, ["test", "rules", unitTestsFile])
    expect(`${stdout}${stderr}`).not.toContain("FAILED")
    expect(exitCode).toBe(0)
  })

  test("takes compose's configuration", async () => {
    const file = "deploy/prometheus/prometheus.yaml"
    expect(await execute(promtool, ["check", "config", "--syntax-only", file])).toContain("SUCCESS")
  })
})
