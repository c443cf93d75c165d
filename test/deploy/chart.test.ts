/** The chart: real Helm renders it with every table of values, and everything that comes of it keeps the schemas and the policies. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { parse } from "yaml"
import { chart, kubernetesVersion, lint, manifest, objectsOf, refusal, render, variants } from "./Chart.ts"
import { mutants } from "./ChartMutants.ts"
import { type KubernetesObject, nameOf, ofKind, podsOf } from "./ChartObjects.ts"
import { type PolicyName, policies } from "./ChartPolicies.ts"
import { dangling } from "./ChartReferences.ts"
import { operatorSchemas, type Validate } from "./schemas.ts"
import { describeWith, outcomeOf, root } from "./Tool.ts"

/** What is there already where the values say so. */
const own = [
  "Secret/own-secret",
  ...["INFLUXDB_TOKEN", "INFLUXDB_PASSWORD", "MQ_TOKEN"].map((key) => `Secret/own-secret ${key}`)
]
const existing: Readonly<Record<string, ReadonlyArray<string>>> = {
  minimal: ["ServiceAccount/default"],
  external: own,
  existing: [
    ...own,
    ...["ServiceAccount/own-account", "PersistentVolumeClaim/own-csv", "PersistentVolumeClaim/own-influxdb"]
  ],
  everything: ["Secret/broker-certificate"]
}

const isOfOperator = ({ apiVersion }: KubernetesObject): boolean =>
  apiVersion.startsWith("monitoring.coreos.com/")

describeWith(["helm", "kubernetes-validate", "go"], "the chart", () => {
  const texts = new Map<string, string>()
  const rendered = new Map<string, ReadonlyArray<KubernetesObject>>()
  let validate: Validate
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "chart-"))
    validate = await operatorSchemas(["servicemonitors", "prometheusrules"])
    for (const [variant, file] of Object.entries(variants)) {
      const text = await manifest({ file })
      texts.set(variant, text)
      rendered.set(variant, objectsOf(text))
    }
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const everywhere = (
    violations: (objects: ReadonlyArray<KubernetesObject>, variant: string) => ReadonlyArray<string>
  ) =>
    [...rendered].flatMap(([variant, objects]) =>
      violations(objects, variant).map((of) => `${variant}: ${of}`)
    )

  /** Kubernetes' own objects, in one run for all: starting it takes longer than what it does. */
  const validatedByKubernetes = async (manifests: ReadonlyMap<string, string>) => {
    const files = await Promise.all(
      [...manifests].map(async ([name, text]) => {
        const file = join(folder, `${name}.yaml`)
        await writeFile(file, text)
        return file
      })
    )
    const outcome = await outcomeOf("kubernetes-validate", ["--strict", "-k", kubernetesVersion, ...files])
    return { ...outcome, lines: `${outcome.stdout}${outcome.stderr}`.split("\n") }
  }

  it("has nothing that Helm's own lint finds", async () => {
    for (const file of Object.values(variants)) await lint({ file })
  })

  it("renders nothing that Kubernetes does not know", async () => {
    const { exitCode, lines } = await validatedByKubernetes(texts)
    expect(
      lines.filter((line) => !line.startsWith("INFO") && !/ServiceMonitor|PrometheusRule|^$/.test(line))
    ).toEqual([])
    expect(exitCode).toBe(0)
    const checked = lines.filter((line) => line.startsWith("INFO")).length
    expect(checked).toBe([...rendered.values()].flat().filter((object) => !isOfOperator(object)).length)
  })

  it("would be refused with a field that Kubernetes does not know", async () => {
    const text = texts.get("default")!.replace("readOnlyRootFilesystem", "readOnlyRootFileSystem")
    expect((await validatedByKubernetes(new Map([["mistaken", text]]))).exitCode).not.toBe(0)
  })

  it("renders nothing that the Prometheus operator does not know", () => {
    const ofOperator = rendered.get("everything")!.filter(isOfOperator)
    expect(ofOperator.map(({ kind }) => kind).sort()).toEqual(["PrometheusRule", "ServiceMonitor"])
    expect(ofOperator.flatMap(validate)).toEqual([])
    const [rule, monitor] = ofOperator
      .map((object) => structuredClone(object))
      .sort((a, b) => (a.kind < b.kind ? -1 : 1))
    Object.assign(rule!.spec!, { group: [] })
    Object.assign(monitor!.spec!.endpoints![0]!, { intervall: "1s" })
    expect([rule!, monitor!].map((object) => validate(object).length)).toEqual([1, 1])
  })

  it.each(Object.keys(policies) as Array<PolicyName>)("keeps the policy %s", (policy) => {
    expect(everywhere(policies[policy])).toEqual([])
  })

  it.each(mutants.map(({ policy, what, change, variant }) => [policy, what, change, variant] as const))(
    "%s would find %s",
    (policy, _, change, variant) => {
      const objects = structuredClone(rendered.get(variant)!) as Array<KubernetesObject>
      change(objects)
      expect(policies[policy](objects)).not.toEqual([])
    }
  )

  it("refers to nothing that is not there", () => {
    expect(everywhere((objects, variant) => dangling(objects, existing[variant]))).toEqual([])
    expect(dangling(rendered.get("default")!.filter(({ kind }) => kind !== "Secret"))).not.toEqual([])
    expect(dangling(rendered.get("default")!.filter(({ kind }) => kind !== "PersistentVolume"))).not.toEqual(
      []
    )
  })

  it("takes no name of the cluster from a release in another namespace", async () => {
    const clusterWide = (objects: ReadonlyArray<KubernetesObject>) =>
      objects
        .filter(({ kind }) => ["PersistentVolume", "ClusterRole", "ClusterRoleBinding"].includes(kind))
        .map(nameOf)
    const here = clusterWide(rendered.get("default")!)
    const there = clusterWide(await render({ namespace: "another" }))
    expect(here).toHaveLength(1)
    expect(here.filter((name) => there.includes(name))).toEqual([])
  })

  it("makes another volume for another folder, as a volume can't be changed", async () => {
    const claims = async (csv: unknown) =>
      ofKind(await render({ values: { streamer: { csv } } }), "PersistentVolumeClaim").map(nameOf)
    const names = await Promise.all([{}, { hostPath: "/mnt" }, { nodes: ["a"] }].map(claims))
    expect(new Set(names.flat()).size).toBe(4)
  })

  it("renders the same again, but for the secrets that nobody has given", async () => {
    const withoutSecret = (objects: ReadonlyArray<KubernetesObject>) =>
      objects.filter(({ kind }) => kind !== "Secret")
    const again = await render({ file: variants.default! })
    expect(withoutSecret(again)).toEqual(withoutSecret(rendered.get("default")!))
    expect(ofKind(again, "Secret")).not.toEqual(ofKind(rendered.get("default")!, "Secret"))
    expect(await render({ file: variants.everything! })).toEqual(rendered.get("everything"))
  })

  it("restarts the pods that read what has changed, and no others", async () => {
    const annotationsOf = (objects: ReadonlyArray<KubernetesObject>) =>
      Object.fromEntries(
        podsOf(objects)
          .filter((pod) => pod.isServing)
          .map(({ name, metadata }) => [name, metadata.annotations])
      )
    const before = annotationsOf(rendered.get("default")!)
    const restarted = async (values: unknown) => {
      const after = annotationsOf(await render({ values }))
      return Object.keys(before)
        .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
        .sort()
    }
    const ofOurs = [
      "Deployment/api",
      "StatefulSet/collector",
      "StatefulSet/mq-server",
      "StatefulSet/streamer"
    ]
    expect(await restarted({ config: { LOG_LEVEL: "debug" } })).toEqual(ofOurs)
    expect(await restarted({ networkPolicy: { enabled: false } })).toEqual([])
  })

  it("has no hook but the test, which goes when it has passed", () => {
    const hooks = rendered
      .get("everything")!
      .filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] !== undefined)
    expect(hooks.map(nameOf)).toEqual(["Pod/smoke"])
    expect(hooks[0]!.metadata.annotations).toEqual({
      "helm.sh/hook": "test",
      "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded"
    })
  })

  it("hands over dashboards and alerts as they are", async () => {
    const objects = rendered.get("everything")!
    const folder = join(chart, "dashboards")
    const files = (await readdir(folder)).sort()
    const handed = ofKind(objects, "ConfigMap").filter(
      ({ metadata }) => metadata.labels?.grafana_dashboard === "1"
    )
    expect(files.length).toBeGreaterThan(0)
    expect(handed.flatMap(({ data = {} }) => Object.keys(data)).sort()).toEqual(files)
    for (const { data = {} } of handed) {
      const [[file, text]] = Object.entries(data) as [[string, string]]
      expect(JSON.parse(text)).toEqual(JSON.parse(await readFile(join(folder, file), "utf8")))
      // Kubernetes takes no larger object.
      expect(Buffer.byteLength(text)).toBeLessThan(2 ** 20)
    }
    const [rule] = ofKind(objects, "PrometheusRule")
    const alerts = await readFile(join(chart, "files/alerts.yaml"), "utf8")
    // Absent is what is not in the release's namespace, wherever else it is.
    const inNamespace = alerts.replace(/absent\((\w+)\)/g, 'absent($1{namespace="gpu-telemetry"})')
    expect(inNamespace.match(/absent\(\w+\{namespace/g)).toHaveLength(4)
    expect(rule!.spec).toEqual(parse(inNamespace))
  })

  it("carries the version of the program", async () => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"))
    const text = await readFile(join(chart, "Chart.yaml"), "utf8")
    expect(text).toContain(`\nappVersion: "${version}"\n`)
    expect(texts.get("default")).toContain(`image: telemetry-pipeline:${version}\n`)
  })

  it.each([
    ["a name that is none", { apii: {} }, /additional properties 'apii' not allowed/],
    [
      "a setting that the program does not have",
      { config: { LOG_LEVLE: "info" } },
      /'LOG_LEVLE' not allowed/
    ],
    [
      "a setting of another component",
      { api: { config: { RATE: 5 } } },
      /'\/api\/config'[\s\S]*'RATE'[\s\S]*one of 'API_HOST'/
    ],
    ["a setting that is the chart's", { config: { TCP_PORT: 1 } }, /'TCP_PORT' not allowed/],
    ["a wrong type", { api: { replicas: "two" } }, /'\/api\/replicas': got string, want integer/],
    ["a wrong value", { config: { FSYNC: "sometimes" } }, /'\/config\/FSYNC': value must be one of 'always'/],
    [
      "a duration that is none",
      { config: { DRAIN_TIMEOUT: "soon" } },
      /DRAIN_TIMEOUT': 'soon' does not match/
    ],
    ["the tag latest", { image: { tag: "latest" } }, /the tag latest of the image telemetry-pipeline says/],
    [
      "a scrape longer than its interval",
      { serviceMonitor: { enabled: true, interval: "5s" } },
      /serviceMonitor.scrapeTimeout 10s is longer than serviceMonitor.interval 5s/
    ],
    [
      "secrets beside those of an existing Secret",
      { secret: { existingSecret: "x", mqToken: "0123456789abcdef" } },
      /influxdbToken, influxdbPassword and mqToken have to be empty/
    ],
    [
      "a part of resources",
      { api: { resources: { limits: { memory: null } } } },
      /missing property 'memory'/
    ],
    ["a short token", { secret: { influxdbToken: "short" } }, /'\/secret\/influxdbToken'/],
    ["nobody who resolves names", { networkPolicy: { dnsTo: [] } }, /'\/networkPolicy\/dnsTo': minItems/],
    [
      "a log beyond its volume",
      { config: { LOG_RETENTION_BYTES: "9.5GiB" } },
      /LOG_RETENTION_BYTES 9.5GiB does not fit in mqServer.persistence.size 10Gi/
    ],
    [
      "more pending requests than memory",
      { mqServer: { config: { TCP_MAX_PENDING_TOTAL: "300MiB" } } },
      /limits.memory 1Gi is too little for TCP_MAX_PENDING_TOTAL 300MiB/
    ],
    [
      "an InfluxDB of one's own that is nowhere",
      { influxdb: { enabled: false }, secret: { existingSecret: "x" } },
      /influxdb.url has to say where/
    ],
    ["one whose token nobody knows", { influxdb: { enabled: false, url: "http://x" } }, /needs its token/],
    ["an ingress without a host", { api: { ingress: { enabled: true } } }, /api.ingress.hosts has to name/]
  ])("refuses %s, and says so", async (_, values, problem) => {
    expect(await refusal({ values })).toMatch(problem)
  })
})
