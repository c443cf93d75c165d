/** Who reaches whom, by the policies that the chart renders: exactly what is needed. */
import { beforeAll, expect, it } from "vitest"
import { render, variants } from "./Chart.ts"
import { type Connection, ends, isAllowed, type Party, type Policy } from "./ChartNetwork.ts"
import { type KubernetesObject, ofKind, podsOf } from "./ChartObjects.ts"
import { describeWith } from "./Tool.ts"

const namespace = "gpu-telemetry"

/** Everybody else: in the cluster, and outside of it. */
const others: Readonly<Record<string, Party>> = {
  stranger: { namespace, labels: { app: "stranger" } },
  "old collector": { namespace, labels: { app: "old-collector" } },
  "another release": {
    namespace: "other",
    labels: { "app.kubernetes.io/name": "telemetry-pipeline", "app.kubernetes.io/component": "collector" }
  },
  prometheus: { namespace: "monitoring", labels: { app: "prometheus" } },
  dns: { namespace: "kube-system", labels: { "k8s-app": "kube-dns" } },
  "OpenShift's dns": { namespace: "openshift-dns", labels: { app: "dns" } },
  internet: { address: "203.0.113.7" },
  office: { address: "198.51.100.7" },
  "office's guests": { address: "198.51.100.200" },
  "own InfluxDB": { address: "192.0.2.7" }
}

const ports = [53, 54, 80, 443, 5353, 6443, 8080, 8086, 9000, 9001, 9002]

/** Pods of ours by their component; of more with the same labels, one. */
const ours = (objects: ReadonlyArray<KubernetesObject>): Readonly<Record<string, Party>> =>
  Object.fromEntries(
    podsOf(objects).map(({ metadata: { labels = {} } }) => [
      labels["app.kubernetes.io/component"]!,
      { namespace, labels }
    ])
  )

/** Every connection that may be opened from or to a pod of ours, as lines. */
const matrix = (objects: ReadonlyArray<KubernetesObject>): ReadonlyArray<string> => {
  const own = ours(objects)
  const parties = { ...own, ...others }
  return Object.entries(parties)
    .flatMap(([source, from]) =>
      Object.entries(parties).flatMap(([target, to]) =>
        source !== target && (source in own || target in own)
          ? ports
              .filter((port) => isAllowed(objects, namespace, { from, to, port }))
              .map((port) => `${source} -> ${target} ${port}`)
          : []
      )
    )
    .sort()
}

const everybodyElse = Object.keys(others).map((party) => `${party} -> gateway 8080`)
const toNames = (...components: ReadonlyArray<string>) =>
  components.map((component) => `${component} -> dns 53`)

/** Connections within the release, and of everybody to the gateway. */
const needed = [
  ...["streamer -> broker 9000", "collector -> broker 9000", "test -> broker 9001", "test -> gateway 8080"],
  ...toNames("streamer", "collector", "gateway", "test"),
  ...everybodyElse
]
const ofInfluxdb = [
  ...["collector -> influxdb 8086", "gateway -> influxdb 8086", "influxdb-setup -> influxdb 8086"],
  ...toNames("influxdb-setup")
]

describeWith(["helm"], "the chart's NetworkPolicies", () => {
  const rendered = new Map<string, ReadonlyArray<KubernetesObject>>()
  beforeAll(async () => {
    for (const [variant, file] of Object.entries(variants)) rendered.set(variant, await render({ file }))
  })

  it("let through what is needed, and nothing else", () => {
    for (const variant of ["default", "simulated", "existing"]) {
      expect(matrix(rendered.get(variant)!)).toEqual([...needed, ...ofInfluxdb].sort())
    }
  })

  it("let in those whom the values name, to what they are named for", () => {
    const named = [
      ...["broker 9001", "streamer 9002", "collector 9002", "influxdb 8086"].map(
        (to) => `prometheus -> ${to}`
      ),
      "office -> influxdb 8086",
      "old collector -> broker 9000"
    ]
    const asked = [...needed, ...ofInfluxdb].flatMap((line) =>
      line.endsWith("-> dns 53")
        ? [54, 5353].map((port) => line.replace("dns 53", `OpenShift's dns ${port}`))
        : [line]
    )
    expect(matrix(rendered.get("everything")!)).toEqual([...asked, ...named].sort())
  })

  it("let out to an InfluxDB of one's own at its port, where it is", () => {
    const out = ["collector -> own InfluxDB 443", "gateway -> own InfluxDB 443"]
    expect(matrix(rendered.get("external")!)).toEqual([...needed, ...out].sort())
  })

  it("let out to it at its port anywhere, where nobody says where it is", async () => {
    const values = { influxdb: { enabled: false, url: "http://x:9999" }, secret: { existingSecret: "own" } }
    const objects = await render({ values })
    const { gateway, streamer } = ours(objects)
    const toInternet = (from: Party, port: number) =>
      isAllowed(objects, namespace, { from, to: others.internet!, port })
    expect([toInternet(gateway!, 9999), toInternet(gateway!, 443), toInternet(streamer!, 9999)]).toEqual([
      true,
      false,
      false
    ])
  })

  it("let names be asked for over UDP too, and of nobody else", () => {
    const objects = rendered.get("default")!
    const { collector, broker } = ours(objects)
    const ask = (from: Party, to: Party): Connection => ({ from, to, port: 53, protocol: "UDP" })
    expect(isAllowed(objects, namespace, ask(collector!, others.dns!))).toBe(true)
    expect(isAllowed(objects, namespace, ask(collector!, others.stranger!))).toBe(false)
    expect(isAllowed(objects, namespace, ask(broker!, others.dns!))).toBe(false)
  })

  it("let InfluxDB be used from a machine that runs KIND, and by no pod", () => {
    const objects = rendered.get("kind")!
    const { influxdb } = ours(objects)
    const use = (from: Party) => isAllowed(objects, namespace, { from, to: influxdb!, port: 8086 })
    expect(
      [{ address: "10.244.0.1" }, others.internet!, { address: "10.244.0.9" }, others.stranger!].map(use)
    ).toEqual([true, true, false, false])
  })

  it("say the same at both ends, so that neither is wider than the other", () => {
    for (const objects of rendered.values()) {
      const pods = Object.entries(ours(objects))
      const unlike = pods.flatMap(([source, from]) =>
        pods
          // Everybody is let in to the gateway, and few of ours are let out to it.
          .filter(([target]) => target !== source && target !== "gateway")
          .flatMap(([target, to]) =>
            ports
              .map((port) => ({ port, ...ends(objects, namespace, { from, to, port }) }))
              .filter(({ isLetOut, isLetIn }) => isLetOut !== isLetIn)
              .map(({ port }) => `${source} -> ${target} ${port}`)
          )
      )
      expect(unlike).toEqual([])
    }
  })

  it("are off where the values say so", () => {
    expect(ofKind(rendered.get("minimal")!, "NetworkPolicy")).toEqual([])
    expect(matrix(rendered.get("minimal")!)).toContain("stranger -> influxdb 8086")
  })

  it("would be found out by any rule that is wider, or missing", () => {
    const change = (
      name: string,
      edit: (policy: Policy & { ingress?: unknown; egress?: unknown }) => void
    ) => {
      const objects = structuredClone(rendered.get("default")!) as Array<KubernetesObject>
      const found = objects.find(({ kind, metadata }) => kind === "NetworkPolicy" && metadata.name === name)
      edit(found!.spec as unknown as Policy)
      return matrix(objects)
    }
    const exact = [...needed, ...ofInfluxdb].sort()
    expect(change("influxdb", ({ ingress }) => Object.assign(ingress![0]!, { from: [] }))).not.toEqual(exact)
    expect(change("streamer", (policy) => Object.assign(policy, { egress: [{}] }))).not.toEqual(exact)
    expect(
      change("collector", (policy) => Object.assign(policy, { egress: policy.egress!.slice(1) }))
    ).not.toEqual(exact)
    // Each component has a policy of its own for both directions: without the one for all of them, nothing is opened.
    expect(rendered.get("default")!.filter(({ metadata }) => metadata.name === "deny-all")).toHaveLength(1)
    expect(matrix(rendered.get("default")!.filter(({ metadata }) => metadata.name !== "deny-all"))).toEqual(
      exact
    )
  })
})
