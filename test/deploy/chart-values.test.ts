/** Every value of the chart arrives where it is promised: rendered with every table of values, and looked for. */
import { beforeAll, expect, it } from "vitest"
import { render, variants } from "./Chart.ts"
import { arrivals, settingsIn } from "./ChartArrivals.ts"
import type { KubernetesObject } from "./ChartObjects.ts"
import { astray, at, expected, isLookedAt, merged, takeOut, type Values, valuesOf } from "./ChartValues.ts"
import { describeWith } from "./Tool.ts"

/** Values that chart-secret.test.ts and chart-network.test.ts look for by what comes of them. */
const elsewhere = [
  "secret",
  ...["prometheusFrom", "influxdbFrom", "brokerFrom", "influxdbTo"].map((name) => `networkPolicy.${name}`)
]

/** What shuts out something of every table of values. */
const others: Readonly<Record<string, Values>> = {
  tags: {
    image: { tag: "1.2.3" },
    influxdb: { image: { digest: `sha256:${"0123456789abcdef".repeat(4)}` } },
    api: { replicas: 5, autoscaling: { enabled: false } }
  }
}

describeWith(["helm"], "the chart's values", () => {
  let defaults: Values
  const rendered = new Map<string, { values: Values; objects: ReadonlyArray<KubernetesObject> }>()
  beforeAll(async () => {
    defaults = await valuesOf()
    for (const [variant, file] of Object.entries(variants)) {
      rendered.set(variant, { values: await valuesOf(file), objects: await render({ file }) })
    }
    for (const [variant, values] of Object.entries(others)) {
      rendered.set(variant, { values: merged(defaults, values), objects: await render({ values }) })
    }
  })

  it("arrive, with every table of them", () => {
    const found = [...rendered].flatMap(([variant, { values, objects }]) =>
      astray([...arrivals, ...settingsIn(values)], objects, values).map((problem) => `${variant}: ${problem}`)
    )
    expect(found).toEqual([])
  })

  it("are all looked for, each with another value than its default", () => {
    const leaves = (of: Values, path: string): ReadonlyArray<string> =>
      typeof of !== "object" || of === null || Array.isArray(of) || Object.keys(of).length === 0
        ? [path]
        : Object.entries(of).flatMap(([key, value]) => leaves(value, path === "" ? key : `${path}.${key}`))
    const isWithin = (path: string, of: string) => path === of || path.startsWith(`${of}.`)
    const tables = [...rendered.values()].map(({ values }) => values)
    const lookedFor = [
      ...arrivals
        .filter((arrival) =>
          tables.some(
            (values) =>
              isLookedAt(arrival, values) &&
              JSON.stringify(at(values, arrival.value)) !== JSON.stringify(at(defaults, arrival.value))
          )
        )
        .map(({ value }) => value),
      ...["config", "mqServer.config", "streamer.config", "collector.config", "api.config"]
    ]
    const unsought = leaves(defaults, "").filter(
      (path) => ![...elsewhere, ...lookedFor].some((of) => isWithin(path, of))
    )
    expect(unsought).toEqual([])
    // Not only the value somewhere: each place where it arrives.
    expect(arrivals.filter(({ value }) => !lookedFor.includes(value))).toEqual([])
  })

  it("would be missed wherever one of them did not arrive", () => {
    const { values, objects } = rendered.get("everything")!
    const sought = [...arrivals, ...settingsIn(values)].filter(
      (arrival) => isLookedAt(arrival, values) && expected(arrival, values) !== undefined
    )
    expect(sought.length).toBeGreaterThan(100)
    const unmissed = sought.filter((arrival) => {
      const changed = structuredClone(objects)
      takeOut(changed, arrival)
      return astray([arrival], changed, values).length === 0
    })
    expect(unmissed).toEqual([])
  })
})
