/** Dashboards: clean, as Grafana defines them, and every query of them answered by the real parts. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { influxdPath } from "../influx/Influxd.ts"
import {
  type Choice,
  type Dashboard,
  dashboardFiles,
  fluxOf,
  metricsOf,
  type Panel,
  promqlOf,
  readDashboard,
  type Variable
} from "./prometheus/Dashboards.ts"
import { bucket, gpus, hosts, Pipeline } from "./prometheus/Pipeline.ts"
import { prometheusFolder, prometheusTools } from "./prometheus/Prometheus.ts"
import { describeWith, eventually, outcomeOf, root } from "./Tool.ts"

const [fleet, pipeline] = (await Promise.all(dashboardFiles.map(readDashboard))) as [Dashboard, Dashboard]
const both = [fleet, pipeline]

const drawn = ({ panels }: Dashboard): ReadonlyArray<Panel> => panels.filter(({ type }) => type !== "row")

const textOf = (file: string) => readFile(join(root, file), "utf8")

const queryOf = ({ query }: Variable): string => (typeof query === "string" ? query : query.query)

const overlap = ({ gridPos: a }: Panel, { gridPos: b }: Panel): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h

describe.each(both)("the dashboard $title", (dashboard) => {
  test("is provisioned under a uid of its own, and links to the other", () => {
    expect(dashboard.id).toBeUndefined()
    expect(dashboard.__inputs).toBeUndefined()
    const others = both.filter(({ uid }) => uid !== dashboard.uid)
    expect(dashboard.links.map(({ url }) => url)).toEqual(others.map(({ uid }) => `/d/${uid}`))
  })

  test("has panels of which each says what it shows, in which unit, and what to do", () => {
    const ids = dashboard.panels.map(({ id }) => id)
    expect(ids).toEqual(ids.map((_, i) => i + 1))
    const titles = drawn(dashboard).map(({ title }) => title)
    expect(new Set(titles).size).toBe(titles.length)
    for (const { title, description, fieldConfig, targets } of drawn(dashboard)) {
      expect(description, title).toMatch(/^[A-Z].{30,}\.$/)
      expect(fieldConfig?.defaults.unit, title).toBeTruthy()
      expect(new Set(targets?.map(({ refId }) => refId)).size, title).toBe(targets?.length)
    }
  })

  test("lays panels out in the order in which they are read, none over another", () => {
    const { panels } = dashboard
    for (const [i, panel] of panels.entries()) {
      const { x, y, w } = panel.gridPos
      expect(x + w, panel.title).toBeLessThanOrEqual(24)
      const before = panels[i - 1]?.gridPos
      if (before !== undefined)
        expect(y > before.y || (y === before.y && x > before.x), panel.title).toBe(true)
      for (const other of panels.slice(0, i))
        expect(overlap(panel, other), `${panel.title} lies over ${other.title}`).toBe(false)
    }
  })

  test("asks the data sources that Grafana is provisioned with", async () => {
    const provisioned = await textOf("deploy/grafana/provisioning/datasources/datasources.yaml")
    for (const { datasource, title } of [
      ...drawn(dashboard),
      ...dashboard.templating.list.map((v) => ({ ...v, title: v.name }))
    ]) {
      if (datasource === undefined) continue
      expect(provisioned, title).toContain(`uid: ${datasource.uid}\n    type: ${datasource.type}\n`)
    }
  })
})

test("a variable's values can't change the structure of a query", () => {
  for (const { targets, title } of drawn(fleet))
    for (const { query } of targets!)
      for (const [use] of query!.matchAll(/.{5}\$\{(?:host|model|gpu)[^}]*\}.{2}/g))
        expect(use, title).toMatch(/^=~ \/\^\$\{\w+:regex\}\$\/$/)
  const moment = { from: new Date(0), to: new Date(1), windowPeriod: "30s" }
  const { query } = drawn(fleet)[0]!.targets![0]!
  const choices = { host: ['a/b" or .*', "c"], silence: ["5m"] }
  expect(fluxOf(query!, fleet.templating.list, choices, moment, "b")).toContain(
    'r.hostname =~ /^(a\\/b" or \\.\\*|c)$/ and'
  )
})

describeWith(prometheusTools, "Grafana's own definition of a dashboard", () => {
  test("knows every field of both", async () => {
    const checker = join(await prometheusFolder(), "dashboard-check")
    expect(await outcomeOf(checker, dashboardFiles)).toEqual({ exitCode: 0, stdout: "", stderr: "" })
  })
})

const influxd = influxdPath()

describeWith(
  [...prometheusTools, ...(influxd === undefined ? ["influxd"] : [])],
  "over the real parts",
  () => {
    let running: Pipeline
    beforeAll(async () => {
      running = await Pipeline.start(influxd!)
      await running.use()
    })
    afterAll(() => running?.remove())

    const now = (): Date => new Date()
    const hourMs = 3_600_000

    /** What Grafana gets for a query of the fleet's dashboard. */
    const ask = (query: string, choices: Readonly<Record<string, Choice>>, to: Date = now()) =>
      running.rows(
        fluxOf(
          query,
          fleet.templating.list,
          { silence: ["5m"], ...choices },
          { from: new Date(to.getTime() - hourMs), to, windowPeriod: "30s" },
          bucket
        )
      )

    const panelOf = (title: string): Panel => {
      const panel = drawn(fleet).find((found) => found.title === title)
      if (panel === undefined) throw new Error(`no panel ${title}`)
      return panel
    }

    const rowsOf = (title: string, choices: Readonly<Record<string, Choice>> = {}, to?: Date) =>
      ask(panelOf(title).targets![0]!.query!, choices, to)

    const valueOf = async (title: string, choices: Readonly<Record<string, Choice>> = {}, to?: Date) =>
      Number((await rowsOf(title, choices, to))[0]?._value)

    test("compose's Prometheus scrapes every process, and takes every rule", async () => {
      const { prometheus } = running
      const targets = await eventually(
        "every process is up",
        60,
        () => prometheus.targets(),
        (found) =>
          // Prometheus itself is not at the address that it has in compose.
          found.length === 8 &&
          found.every(({ labels, health }) => (health === "up") !== (labels.job === "prometheus"))
      )
      expect(new Set(targets.map(({ labels }) => labels.job))).toEqual(
        new Set(["broker", "streamer", "collector", "gateway", "influxdb", "prometheus"])
      )
      const rules = await eventually(
        "every rule is evaluated",
        60,
        () => prometheus.rules(),
        (found) => found.every(({ health }) => health !== "unknown")
      )
      expect(rules.filter(({ health }) => health !== "ok")).toEqual([])
      expect(await prometheus.query('ALERTS{alertstate="firing"}')).toEqual([])
    })

    test("every metric that dashboards and alerts name is exported", async () => {
      const text = `${await textOf("deploy/helm/telemetry-pipeline/files/alerts.yaml")}${JSON.stringify(pipeline)}`
      const named = [...new Set(metricsOf(text))]
      expect(named.length).toBeGreaterThan(40)
      await eventually(
        "every metric is there",
        60,
        async () => {
          await running.use()
          const there = new Set(
            await running.prometheus.labelValues("__name__", '{job=~".+", job!="prometheus"}')
          )
          return named.filter((name) => !there.has(name))
        },
        (missing) => missing.length === 0
      )
    })

    test("every expression of the pipeline's dashboard has an answer", async () => {
      const jobs = await running.prometheus.labelValues("job", '{__name__=~"telemetry_.+"}')
      expect([...jobs].sort()).toEqual(["broker", "collector", "gateway", "streamer"])
      for (const { title, targets } of drawn(pipeline))
        for (const { expr, refId } of targets!)
          await eventually(
            `${title} ${refId}`,
            60,
            async () => {
              await running.use()
              return running.prometheus.query(promqlOf(expr!, jobs))
            },
            (series) => series.length > 0
          )
    })

    test("a process that is killed is told by the dashboard and by the alert", async () => {
      await eventually(
        "all six are known",
        60,
        () => running.prometheus.query("telemetry:process:present"),
        (found) => found.length === 6
      )
      running.gateway.signal("SIGKILL")
      await running.gateway.exit
      const down = drawn(pipeline).find(({ title }) => title === "Processes down")!
      await eventually(
        "one process is down",
        60,
        () => running.prometheus.query(promqlOf(down.targets![0]!.expr!, ["gateway"])),
        ([series]) => series?.value[1] === "1"
      )
      await eventually(
        "its alert is pending, and no other's",
        60,
        async () =>
          (await running.prometheus.query('ALERTS{alertname="TelemetryProcessDown"}')).map(
            ({ metric }) => metric.job
          ),
        (jobs) => jobs.join() === "gateway"
      )
    })

    test("every query of the fleet's dashboard has rows, of the shape that its panel draws", async () => {
      for (const { title, type, targets, transformations, fieldConfig } of drawn(fleet)) {
        // Nobody is silent here, see below.
        if (title === "GPUs silent") continue
        const rows = await eventually(
          title,
          120,
          () => ask(targets![0]!.query!, {}),
          (found) => found.length > 0
        )
        const columns = Object.keys(rows[0]!).filter((column) => !["", "result", "table"].includes(column))
        // Grafana draws a result with a value and a time as series, and any other as a table.
        if (type === "timeseries")
          expect(columns, title).toEqual(expect.arrayContaining(["_time", "_value", "hostname"]))
        else if (type === "stat") expect([columns, rows.length], title).toEqual([["_value"], 1])
        else {
          expect([...columns].sort(), title).toEqual(
            Object.keys(transformations![0]!.options.indexByName).sort()
          )
          for (const { matcher } of fieldConfig!.overrides) expect(columns, title).toContain(matcher.options)
        }
      }
    })

    test("it counts what reports, and what has fallen silent", async () => {
      expect(await valueOf("GPUs reporting")).toBe(gpus)
      expect(await valueOf("Hosts reporting")).toBe(hosts)
      expect(await rowsOf("GPUs silent")).toEqual([])
      const later = new Date(now().getTime() + hourMs / 4)
      expect(await rowsOf("GPUs reporting", {}, later)).toEqual([])
      expect(await valueOf("GPUs silent", {}, later)).toBe(gpus)
      expect(await rowsOf("Last seen")).toHaveLength(gpus)
    })

    test("its figures are right for a host with an odd name, whose GPU changes jobs within a window", async () => {
      const name = 'rack/1 (a|b).$x"'
      const windowS = Math.floor(now().getTime() / 30_000) * 30 - 60
      const point = (metric: string, gpu: number, value: number, second: number, more = "") =>
        `DCGM_FI_DEV_${metric},uuid=GPU-odd-${gpu},hostname=${name.replaceAll(" ", "\\ ")},gpu_id=${gpu},model=A\\ B${more} value=${value} ${windowS + second}`
      await running.write([
        point("POWER_USAGE", 0, 100, 5, ",pod=a"),
        point("POWER_USAGE", 0, 100, 10, ",pod=b"),
        point("POWER_USAGE", 1, 250, 5),
        ...[0, 1].flatMap((gpu) => [
          point("GPU_UTIL", gpu, 50 + 50 * gpu, 5),
          point("GPU_TEMP", gpu, 60 + 10 * gpu, 5),
          point("FB_USED", gpu, 30 - 20 * gpu, 5),
          point("FB_FREE", gpu, 50 + 20 * gpu, 5)
        ]),
        point("XID_ERRORS", 0, 79, 5),
        point("XID_ERRORS", 0, 0, 10)
      ])
      const [host, , gpu] = fleet.templating.list
      const hostNames = (await ask(queryOf(host!), {})).map(({ _value }) => _value)
      expect(hostNames).toHaveLength(hosts + 1)
      expect(hostNames).toContain(name)
      const choices = { host: [name] }
      const named = new RegExp(gpu!.regex!.slice(1, -1))
      const gpusOfHost = (await ask(queryOf(gpu!), choices)).map(({ _value }) => named.exec(_value!)?.groups)
      expect(gpusOfHost.map((groups) => ({ ...groups }))).toEqual(
        expect.arrayContaining([0, 1].map((i) => ({ text: `${name} GPU ${i}`, value: `GPU-odd-${i}` })))
      )
      expect(await valueOf("GPUs reporting", choices)).toBe(2)
      expect(await valueOf("Utilisation", choices)).toBe(75)
      expect(await valueOf("Power", choices)).toBe(350)
      expect(await valueOf("Hottest GPU", choices)).toBe(70)
      expect(await valueOf("Memory used", choices)).toBe(0.25)
      expect(await valueOf("GPUs with XID errors", choices)).toBe(1)
      expect((await rowsOf("XID errors", choices)).map(({ XID, GPU }) => [XID, GPU])).toEqual([["79", "0"]])
      expect(
        (await rowsOf("Power by host", choices)).map(({ _time, _value }) => [
          Date.parse(_time!) / 1000,
          _value
        ])
      ).toEqual([[windowS, "350"]])
      const one = await rowsOf("GPUs", { gpu: ["GPU-odd-1"] })
      expect(one.map(({ GPU, DCGM_FI_DEV_POWER_USAGE: power }) => [GPU, power])).toEqual([["1", "250"]])
      expect(
        await valueOf("GPUs reporting", {
          host: [name, ...(hostNames.filter((other) => other !== name) as string[])]
        })
      ).toBe(gpus + 2)
    })
  }
)
